"""The loop that trains a set completion model: deterministic, resumable, best epoch kept."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus import seeds
from paribus.engine.batches import to_device
from paribus.errors import DataError, DivergedError
from paribus.experiments.builds.train_set_completion.settings import SetCompletionEpoch, SetCompletionTraining
from paribus.models.state import cpu_state
from paribus.subjects.builds.contexts import remove_some
from paribus.subjects.builds.states import WEAPON_COLUMN, Codes
from paribus.subjects.builds.tokens import padded_ids, presence
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.training.loops.workspace import RESUME, CheckpointStore, kept_state


@dataclass(frozen=True)
class SetCompletionRun:
    """The result of a training; the network ends with the weights of the best epoch.

    Attributes:
        history: One entry per epoch.
        best_epoch: The epoch with the smallest validation loss.
        n_train: Builds learned from.
        n_val: Builds held out.
        resumed_from: Epoch from which an interrupted training was resumed.
    """

    history: tuple[SetCompletionEpoch, ...]
    best_epoch: int
    n_train: int
    n_val: int
    resumed_from: int | None


class SetCompletionLoop:
    """Trains a network in place on whole builds ``[n, 16]`` (each once)."""

    def __init__(
        self,
        network: nn.Module,
        builds: Codes,
        vocabulary: Vocabulary,
        settings: SetCompletionTraining,
        *,
        seed: int,
        identity: str,
        workspace: CheckpointStore,
        device: str = "cpu",
    ) -> None:
        """Take what is trained, on what, and how.

        Args:
            network: The network with its starting weights.
            builds: Distinct whole builds.
            vocabulary: What the codes mean.
            settings: How to train.
            seed: Every draw is derived from it and the epoch, so a resumed training ends as an uninterrupted one.
            identity: Of data and architecture; a kept state of another identity is refused.
            workspace: Where the state after each epoch is kept.
            device: Torch device.

        Raises:
            DataError: If there are too few builds to hold any out.
        """
        self.network = network.to(device)
        self.vocabulary, self.settings, self.seed = vocabulary, settings, seed
        self.identity = f"{identity}/{settings}/{seed}"
        self.workspace, self.device = workspace, torch.device(device)
        order = seeds.rng(seed, "split").permutation(len(builds))
        n_val = max(1, round(settings.val_share * len(builds)))
        if len(builds) - n_val < 1:
            raise DataError(f"training needs at least 2 distinct builds, the corpus has {len(builds)}")
        self.val, self.train = builds[order[:n_val]], builds[order[n_val:]]
        self.val_partial = remove_some(self.val, seeds.rng(seed, "val_removal"))
        self.token_ids = torch.from_numpy(vocabulary.ability_ids)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.history: list[SetCompletionEpoch] = []
        self.best: dict[str, Tensor] = cpu_state(network)

    def run(
        self,
        observe: Callable[[SetCompletionEpoch], None] = lambda _: None,
        progress: Callable[[range], Iterable[int]] = iter,
    ) -> SetCompletionRun:
        """Train, or go on with an interrupted training; the network ends with the weights of the best epoch.

        Args:
            observe: Is called with every epoch; after a resume first with those made before.
            progress: Wraps the range of epochs.

        Raises:
            DivergedError: If the loss is not finite.
            CheckpointError: If the kept state belongs to another training.
        """
        resumed_from = self.take_up()
        for entry in self.history:
            observe(entry)
        for epoch in progress(range(len(self.history) + 1, self.settings.epochs + 1)):
            observe(self.run_epoch(epoch))
        self.network.load_state_dict(self.best)
        best = min(self.history, key=lambda entry: (entry.val_loss, entry.epoch))
        return SetCompletionRun(tuple(self.history), best.epoch, len(self.train), len(self.val), resumed_from)

    def run_epoch(self, epoch: int) -> SetCompletionEpoch:
        """Pass once over the training builds, validate, and keep the state."""
        rng = seeds.rng(self.seed, f"epoch/{epoch}")
        order = rng.permutation(len(self.train))
        partial = remove_some(self.train, rng)
        self.network.train()
        total = 0.0
        for start in range(0, len(order), self.settings.batch_size):
            rows = order[start : start + self.settings.batch_size]
            loss = self._loss(partial[rows], self.train[rows])[0]
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            self.optimizer.step()
            total += float(loss.detach()) * len(rows)
        train_loss = total / len(order)
        if not np.isfinite(train_loss):
            raise DivergedError(f"training: the loss became {train_loss} in epoch {epoch}; a lower lr may help")
        val_loss, recall = self._validate()
        entry = SetCompletionEpoch(epoch, train_loss, val_loss, recall)
        if all(val_loss < before.val_loss for before in self.history):
            self.best = cpu_state(self.network)
        self.history.append(entry)
        self.workspace.save(RESUME, self._state())
        return entry

    def _loss(self, partial: Codes, whole: Codes) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss, logits and target of some builds."""
        ids, pad = padded_ids(partial, self.vocabulary)
        weapon = whole[:, WEAPON_COLUMN:].astype(np.int64)
        inputs = (to_device(torch.from_numpy(array), self.device) for array in (ids, weapon, pad))
        logits = self.network(*inputs)
        target = torch.zeros(len(whole), self.vocabulary.size)
        target[:, self.token_ids] = torch.from_numpy(presence(whole, self.vocabulary)).float()
        target = to_device(target, self.device)
        return nn.functional.binary_cross_entropy_with_logits(logits, target), logits, target

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        self.network.eval()
        total, found, wanted = 0.0, 0, 0
        for start in range(0, len(self.val), 512):
            rows = slice(start, start + 512)
            loss, logits, target = self._loss(self.val_partial[rows], self.val[rows])
            total += float(loss) * len(logits)
            shown = torch.zeros_like(target, dtype=torch.bool)
            held = torch.from_numpy(presence(self.val_partial[rows], self.vocabulary)).to(logits.device)
            shown[:, self.token_ids.to(logits.device)] = held
            missing = (target > 0) & ~shown
            ranks = logits.masked_fill(shown, -torch.inf).argsort(1, descending=True).argsort(1)
            found += int((missing & (ranks < missing.sum(1, keepdim=True))).sum())
            wanted += int(missing.sum())
        return total / len(self.val), found / max(1, wanted)

    def _state(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "model": cpu_state(self.network),
            "best": self.best,
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "history": [dataclasses.asdict(entry) for entry in self.history],
        }

    def take_up(self) -> int | None:
        """Resume from a saved state, if there is one; return its epoch."""
        kept = kept_state(self.workspace, self.identity)
        if kept is None:
            return None
        self.network.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.best = dict(kept["best"])
        self.history = [SetCompletionEpoch(**entry) for entry in kept["history"]]
        return len(self.history)
