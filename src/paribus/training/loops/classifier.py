"""Training a classifier: deterministic, resumable, with checkpoints on a schedule."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from paribus import seeds
from paribus.config.science import stated
from paribus.engine.given import Given, arguments
from paribus.errors import DivergedError
from paribus.models.loading import fit_state
from paribus.models.state import cpu_state
from paribus.subjects.in_splits import SPLITS
from paribus.subjects.labelled import LabelledData
from paribus.training.grokfast import GrokfastEMA
from paribus.training.init_scale import ScaledTensor, scale_starting_weights
from paribus.training.loops.measure import Evaluation, OnFrozen, SplitImages, best_epoch, evaluate, memory_format
from paribus.training.loops.workspace import RESUME, CheckpointStore, checkpoint_name, kept_state
from paribus.training.schedule import log_spaced, thinned
from paribus.training.spec import TrainingSpec

_PEAKS = (("peak_val", ("val", "id_val")), ("peak_ood", ("ood",)))
"""The best checkpoints, and the splits whose accuracy they are best on: the first that there is."""


def peaks_of(splits: Collection[str]) -> dict[str, str]:
    """Return the column that each of the best checkpoints is best in, without those that no split can tell.

    Example:
        >>> peaks_of(["train", "id_val"])
        {'peak_val': 'id_val_acc'}
    """
    found = {peak: next((split for split in among if split in splits), None) for peak, among in _PEAKS}
    return {peak: f"{split}_acc" for peak, split in found.items() if split is not None}


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes:
        history: One entry per evaluation, by ascending epoch.
        kept: Epochs whose weights are kept, ascending.
        scaled: The weights that the init scale touches.
        resumed_from: Epoch from which an interrupted training was resumed, None for one that was not interrupted.
        peaks: Column of the history that each of the best checkpoints is best in (:func:`peaks_of`).
    """

    history: tuple[Evaluation, ...]
    kept: tuple[int, ...]
    scaled: tuple[ScaledTensor, ...]
    resumed_from: int | None
    peaks: Mapping[str, str]

    @property
    def peak_val_epoch(self) -> int | None:
        """Epoch of the best accuracy on val, or on id_val in data without it; the earliest of equals, None without."""
        return self._best("peak_val")

    @property
    def peak_ood_epoch(self) -> int | None:
        """Epoch of the best accuracy on ood, the earliest of equals (looks at the reported split); None without it."""
        return self._best("peak_ood")

    def _best(self, peak: str) -> int | None:
        return best_epoch(self.history, self.peaks[peak]) if peak in self.peaks else None


def train_classifier(
    model: nn.Module,
    data: LabelledData,
    spec: TrainingSpec,
    *,
    rng: np.random.Generator,
    workspace: CheckpointStore,
    device: str = "cpu",
    batch_limit: int = 512,
    observe: Callable[[Evaluation], None] = lambda _: None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> Training:
    """Train ``model`` in place and keep its checkpoints in ``workspace``.

    A training that was killed resumes from its last saved state and, on the CPU, ends with bit-identical weights.

    Args:
        model: The network with its starting weights; ends with those of the last epoch.
        data: Examples with their splits; only ``train`` is learned from.
        spec: How to train, when to evaluate.
        rng: Draws the order of the images; a resumed training must be given an equal one.
        workspace: Where checkpoints (``checkpoint_e00012``) and the ``resume`` state are kept.
        device: Torch device.
        batch_limit: The most images in one forward pass of an evaluation.
        observe: Is called with every evaluation; after a resume first with those made before.
        progress: Wraps the range of epochs, to show the progress.

    Raises:
        DivergedError: If the loss is not finite; the epoch is named.
        CheckpointError: If the kept state belongs to another training.
    """
    loop = _Loop(model, data, spec, int(rng.integers(2**62)), workspace, device, batch_limit)
    resumed_from = loop.take_up()
    for evaluation in loop.history:
        observe(evaluation)
    for epoch in progress(range(loop.epoch + 1, spec.epochs + 1)):
        loop.run_epoch(epoch)
        if epoch in loop.evaluations:
            observe(loop.evaluate())
        if epoch in loop.evaluations or time.monotonic() - loop.kept_at > spec.resume_seconds:
            loop.keep_state()
    return Training(tuple(loop.history), loop.finish(), tuple(loop.scaled), resumed_from, loop.peak_columns)


class _Loop:
    """The moving parts of one training."""

    def __init__(
        self,
        model: nn.Module,
        data: LabelledData,
        spec: TrainingSpec,
        seed: int,
        workspace: CheckpointStore,
        device: str,
        batch_limit: int,
    ) -> None:
        self.spec, self.seed, self.workspace, self.device = spec, seed, workspace, device
        self.batch_limit = batch_limit
        self.identity = f"{seed}/{data.digest}/{sorted(stated(spec).items())}"
        self.model = model.to(device)
        # where the first part of a network is never trained, what comes after it is trained on what it gives
        on_frozen = model if isinstance(model, OnFrozen) and model.frozen else None
        through = None if on_frozen is None else partial(_features, on_frozen)
        self.trained: nn.Module = model if on_frozen is None else on_frozen.head
        self.scaled = scale_starting_weights(self.trained, spec.init_scale)
        layout = memory_format(model)
        present = [name for name in SPLITS if name in data.splits]
        self.splits = {
            name: SplitImages(data, data.rows(name), device, layout, through=through, batch_limit=batch_limit)
            for name in present
        }
        self.peak_columns = peaks_of(present)
        decayed = [p for p in self.trained.parameters() if p.ndim >= 2]
        plain = [p for p in self.trained.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": spec.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=spec.lr,
            fused=True,
        )
        self.grokfast = GrokfastEMA(spec.grokfast_alpha, spec.grokfast_lamb) if spec.grokfast else None
        self.half = spec.mixed_precision and device.startswith("cuda")
        self.evaluations = log_spaced(spec.epochs, spec.n_evaluations)
        self.scheduled = thinned(self.evaluations, spec.n_checkpoints)
        self.epoch = 0
        self.loss = float("nan")
        self.history: list[Evaluation] = []
        self.peaks: dict[str, dict[str, torch.Tensor]] = {}
        self.kept_at = time.monotonic()

    def run_epoch(self, epoch: int) -> None:
        """Pass once over the training images, in an order that depends only on seed and epoch."""
        train = self.splits["train"]
        order = torch.randperm(len(train), generator=seeds.torch_rng(self.seed, f"order/{epoch}"))
        total = torch.zeros((), device=self.device)
        self.trained.train()
        for examples, labels in train.batches(order, self.spec.batch_size):
            if len(labels) == 1 and len(train) > 1:
                continue  # a batch norm cannot be trained on a single image
            with self._precision():
                loss = functional.cross_entropy(examples.call(self.trained), labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.grokfast is not None:
                self.grokfast.amplify(self.trained.named_parameters())
            self.optimizer.step()
            total += loss.detach() * len(labels)
        self.epoch = epoch
        self.loss = float(total) / len(train)
        if not np.isfinite(self.loss):
            raise DivergedError(
                f"training: the loss became {self.loss} in epoch {epoch}; a lower training.lr (now {self.spec.lr:g})"
                " or training.init_scale may help"
            )

    def evaluate(self) -> Evaluation:
        """Measure the present weights, and keep them where the schedule or a new peak asks for it."""
        evaluation = evaluate(
            self.trained, self.splits, epoch=self.epoch, train_loss=self.loss, batch_limit=self.batch_limit
        )
        self.history.append(evaluation)
        state: dict[str, torch.Tensor] | None = None
        for peak, column in self.peak_columns.items():
            if best_epoch(self.history, column) == self.epoch:
                state = state or cpu_state(self.model)
                self.peaks[peak] = state
        if self.epoch in self.scheduled:
            self._keep(self.epoch, state or cpu_state(self.model))
        return evaluation

    def finish(self) -> tuple[int, ...]:
        """Keep the best checkpoints and return the epochs kept."""
        kept = set(self.scheduled)
        for peak, column in self.peak_columns.items():
            epoch = best_epoch(self.history, column)
            if epoch not in kept:
                self._keep(epoch, self.peaks[peak])
                kept.add(epoch)
        return tuple(sorted(kept))

    def keep_state(self) -> None:
        """Save everything that is needed to resume from here."""
        self.workspace.save(
            RESUME,
            {
                "identity": self.identity,
                "epoch": self.epoch,
                "model": cpu_state(self.model),
                "optimizer": _copied(self.optimizer.state_dict()),
                "grokfast": self.grokfast.state() if self.grokfast else {},
                "history": [dataclasses.asdict(evaluation) for evaluation in self.history],
                "peaks": self.peaks,
            },
        )
        self.kept_at = time.monotonic()

    def take_up(self) -> int | None:
        """Resume from a saved state, if there is one; return its epoch."""
        kept = kept_state(self.workspace, self.identity)
        if kept is None:
            return None
        fit_state(self.model, kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self._restore_layout()
        if self.grokfast is not None:
            self.grokfast.restore(kept["grokfast"], dict(self.trained.named_parameters()))
        self.history = [Evaluation(**entry) for entry in kept["history"]]
        self.peaks = {name: dict(state) for name, state in kept["peaks"].items()}
        self.epoch = int(kept["epoch"])
        return self.epoch

    def _restore_layout(self) -> None:
        """Give the optimizer's averages the memory layout of their parameters, which the fused step relies on."""
        for parameter, averages in self.optimizer.state.items():
            for name, value in averages.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.ndim:
                    averages[name] = torch.empty_like(parameter).copy_(value).detach()

    def _keep(self, epoch: int, state: dict[str, torch.Tensor]) -> None:
        self.workspace.save(checkpoint_name(epoch), {"model": state, "epoch": epoch})

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if not self.half:
            return contextlib.nullcontext()
        return torch.autocast("cuda", dtype=torch.bfloat16)


def _features(model: OnFrozen, examples: Given) -> torch.Tensor:
    positional, named = arguments(examples.tensors, examples.names)
    return model.features(*positional, **named)


def _copied(value: Any) -> Any:
    """Return a nested state with its tensors copied, so that later steps do not change it."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value
