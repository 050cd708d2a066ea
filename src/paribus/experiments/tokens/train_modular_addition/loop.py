"""The loop that trains a network on modular addition: full batch, deterministic, resumable."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from paribus.errors import DivergedError
from paribus.models.state import cpu_state
from paribus.training.loops.workspace import RESUME, CheckpointStore, kept_state

BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class ModularTraining:
    """How a network is trained on modular addition.

    Attributes:
        epochs: Steps, each on all training pairs.
        lr: Learning rate of AdamW (betas .9 and .98).
        weight_decay: Decoupled weight decay of all parameters.
        warm_up: Epochs over which the learning rate rises to ``lr``.
        evaluate_every: Epochs between evaluations.
        keep: Epochs whose weights are kept, the last one among them.
    """

    epochs: int
    lr: float
    weight_decay: float
    warm_up: int
    evaluate_every: int
    keep: tuple[int, ...]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        epoch: Steps so far.
        train_loss: Cross-entropy at the training pairs, in nats.
        train_acc: Share of training pairs answered right.
        val_loss: Cross-entropy at the held-out pairs.
        val_acc: Share of held-out pairs answered right.
        weight_norm: Euclidean norm of all parameters.
    """

    epoch: int
    train_loss: float
    train_acc: float
    val_loss: float
    val_acc: float
    weight_norm: float


def train_modular(
    network: nn.Module,
    pairs: Tensor,
    answers: Tensor,
    train: Tensor,
    held_out: Tensor,
    settings: ModularTraining,
    *,
    identity: str,
    workspace: CheckpointStore,
    keep: Callable[[int], None],
    observe: Callable[[Evaluation], None] = lambda _: None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> list[Evaluation]:
    """Train ``network`` in place; a training that was killed resumes from its last evaluation, bit for bit.

    Args:
        network: Reads pairs and returns logits; on its device.
        pairs: All pairs ``[n, 2]``, on the same device.
        answers: The right answer of each ``[n]``.
        train: Rows to learn from.
        held_out: Rows to evaluate on.
        settings: How to train.
        identity: Of starting weights and data; a kept state of another identity is refused.
        workspace: Where the state is kept at evaluations.
        keep: Is called with every epoch of ``settings.keep``, to keep the network's weights.
        observe: Is called with every evaluation; after a resume first with those made before.
        progress: Wraps the range of epochs.

    Raises:
        DivergedError: If the loss is not finite.
        CheckpointError: If the kept state belongs to another training.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, betas=BETAS)
    identity = f"{identity}/{settings}"
    history = _taken_up(network, optimizer, workspace, identity)
    for evaluation in history:
        observe(evaluation)
    rows, wanted = pairs[train], answers[train]
    done = history[-1].epoch if history else 0
    if not history:
        history.append(evaluated(network, pairs, answers, train, held_out, 0))
        observe(history[-1])
        if 0 in settings.keep:
            keep(0)
    for epoch in progress(range(done + 1, settings.epochs + 1)):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * min(1.0, epoch / max(1, settings.warm_up))
        loss = cross_entropy(network(rows), wanted)
        if not torch.isfinite(loss):
            raise DivergedError(f"training: the loss became {loss.item()} in epoch {epoch}; a lower lr may help")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if epoch in settings.keep:
            keep(epoch)
        if epoch % settings.evaluate_every == 0 or epoch == settings.epochs:
            history.append(evaluated(network, pairs, answers, train, held_out, epoch))
            observe(history[-1])
            _keep_state(network, optimizer, workspace, identity, history)
    return history


def cross_entropy(logits: Tensor, answers: Tensor) -> Tensor:
    """Return the mean cross-entropy in double precision: single precision cannot tell losses below 1e-7."""
    return functional.cross_entropy(logits.double(), answers)


@torch.no_grad()
def evaluated(
    network: nn.Module, pairs: Tensor, answers: Tensor, train: Tensor, held_out: Tensor, epoch: int
) -> Evaluation:
    """Return how well ``network`` answers both parts."""
    logits = network(pairs)
    right = (logits.argmax(1) == answers).double()
    norm = torch.stack([weight.double().square().sum() for weight in network.parameters()]).sum().sqrt()
    return Evaluation(
        epoch=epoch,
        train_loss=float(cross_entropy(logits[train], answers[train])),
        train_acc=float(right[train].mean()),
        val_loss=float(cross_entropy(logits[held_out], answers[held_out])),
        val_acc=float(right[held_out].mean()),
        weight_norm=float(norm),
    )


def first_above(history: Iterable[Evaluation], column: str, level: float) -> int | None:
    """Return the first epoch whose ``column`` reached ``level``; None where none did.

    Example:
        >>> rows = [Evaluation(0, 3.0, 0.1, 3.0, 0.1, 9.0), Evaluation(10, 0.1, 1.0, 3.0, 0.2, 9.0)]
        >>> first_above(rows, "train_acc", 0.99), first_above(rows, "val_acc", 0.99)
        (10, None)
    """
    return next((one.epoch for one in history if getattr(one, column) >= level), None)


def _keep_state(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    workspace: CheckpointStore,
    identity: str,
    history: list[Evaluation],
) -> None:
    workspace.save(
        RESUME,
        {
            "identity": identity,
            "model": cpu_state(network),
            "optimizer": copy.deepcopy(optimizer.state_dict()),
            "history": [dataclasses.asdict(one) for one in history],
        },
    )


def _taken_up(
    network: nn.Module, optimizer: torch.optim.Optimizer, workspace: CheckpointStore, identity: str
) -> list[Evaluation]:
    """Resume from a saved state, if there is one; return the history up to it."""
    kept = kept_state(workspace, identity)
    if kept is None:
        return []
    network.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    return [Evaluation(**one) for one in kept["history"]]
