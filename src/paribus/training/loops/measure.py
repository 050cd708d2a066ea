"""The evaluations of a classifier during training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from paribus.arrays import Ints
from paribus.engine.batches import halving
from paribus.engine.given import Given, given
from paribus.subjects.images.data import EightBitImages
from paribus.subjects.in_splits import SPLITS
from paribus.subjects.labelled import LabelledData

RANK_ROWS = 512
KEEP_BYTES, STREAMED_KEEP_BYTES = 1 << 31, 1 << 25


@dataclass(frozen=True)
class Evaluation:
    """One evaluation during training.

    Attributes:
        epoch: Epochs of training behind it.
        train_loss: Mean cross-entropy over the steps of that epoch (train mode).
        train_acc: Accuracy on the training rows (eval mode, as all that follow; NaN in data without the split).
        id_val_acc: Accuracy on held-out rows of the training domains.
        val_acc: Accuracy on the validation domain.
        ood_acc: Accuracy on the OOD domain.
        weight_norm: Euclidean norm of all parameters that are trained.
        feature_rank: Effective rank of the features that enter the last linear layer.
    """

    epoch: int
    train_loss: float
    train_acc: float
    id_val_acc: float
    val_acc: float
    ood_acc: float
    weight_norm: float
    feature_rank: float


def memory_format(model: nn.Module) -> torch.memory_format:
    """Return the layout in which a model wants its images: channels last if it keeps its weights so, else plain.

    A model that was not made for it may reshape feature maps in ways that only the plain layout allows.
    """
    last = any(p.ndim == 4 and not p.is_contiguous() for p in model.parameters())
    return torch.channels_last if last else torch.contiguous_format


@runtime_checkable
class OnFrozen(Protocol):
    """A network whose first part may be frozen: then that part is run once for every example.

    Attributes:
        frozen: Whether it is.
        head: What is trained, on the vectors of the first part.
    """

    frozen: bool
    head: nn.Module

    def features(self, *arguments: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return what the first part gives ``[n, d]``."""


class SplitImages:
    """The examples of a split on the device, or fetched batch by batch where all of them would take too much memory.

    Args:
        data: The examples: images, rows, texts.
        rows: Which of them.
        device: Where they are wanted.
        memory_format: Layout of the batches.
        through: A module applied to them once (the frozen part of a network); its outputs are kept instead.
        batch_limit: How many go through it at once.
    """

    def __init__(
        self,
        data: LabelledData,
        rows: Ints,
        device: str,
        memory_format: torch.memory_format,
        *,
        through: Callable[[Given], torch.Tensor] | None = None,
        batch_limit: int = 512,
    ) -> None:
        """Bring the examples over if they are few enough."""
        self.data = data
        self.rows = rows
        self.device = device
        self.memory_format = memory_format
        self.labels = torch.from_numpy(data.labels[rows].copy()).to(device)
        size = 4 * len(rows) * math.prod(data.inputs.shape[1:])
        streamed = isinstance(data.inputs, EightBitImages) and not data.inputs.in_memory
        self.kept: Given | None = None
        if through is not None:
            self.kept = halving(batch_limit, partial(self._through, through))
        elif size <= (STREAMED_KEEP_BYTES if streamed else KEEP_BYTES):
            self.kept = self._fetch(rows)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.rows)

    def batch(self, positions: torch.Tensor) -> tuple[Given, torch.Tensor]:
        """Return examples and labels at positions within the split (an index tensor on the CPU)."""
        if self.kept is None:
            examples = self._fetch(self.rows[positions.numpy()])
        else:
            examples = self.kept.take(positions.to(self.device))
        return examples, self.labels[positions.to(self.device)]

    def batches(self, order: torch.Tensor, size: int) -> Iterator[tuple[Given, torch.Tensor]]:
        """Yield examples and labels at the positions ``order``, ``size`` at a time; the next are fetched meanwhile."""
        parts = torch.split(order, size)
        if self.kept is not None:
            yield from map(self.batch, parts)
            return
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, parts[0])
            for part in parts[1:]:
                ready, coming = coming, ahead.submit(self.batch, part)
                yield ready.result()
            yield coming.result()

    def _fetch(self, rows: Ints) -> Given:
        taken = given(self.data.take(rows))
        return Given(tuple(self._laid_out(one.to(self.device)) for one in taken.tensors), taken.names)

    def _laid_out(self, value: torch.Tensor) -> torch.Tensor:
        return value.contiguous(memory_format=self.memory_format) if value.ndim == 4 else value

    def _through(self, through: Callable[[Given], torch.Tensor], size: int) -> Given:
        with torch.no_grad():
            parts = [through(self._fetch(self.rows[at : at + size])) for at in range(0, len(self.rows), size)]
        return given(torch.cat(parts))


def evaluate(
    model: nn.Module, splits: dict[str, SplitImages], *, epoch: int, train_loss: float, batch_limit: int
) -> Evaluation:
    """Measure a model on the splits there are; its train or eval mode is left as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            accuracies = {name: accuracy(model, images, batch_limit) for name, images in splits.items()}
            rank = feature_rank(model, splits["train"], batch_limit)
    finally:
        model.train(was_training)
    norm = torch.stack([parameter.detach().float().norm() for parameter in model.parameters()]).norm()
    return Evaluation(
        epoch=epoch,
        train_loss=train_loss,
        **{f"{name}_acc": accuracies.get(name, float("nan")) for name in SPLITS},
        weight_norm=float(norm),
        feature_rank=rank,
    )


def accuracy(model: nn.Module, images: SplitImages, batch_limit: int) -> float:
    """Return the share of a split's images that the model labels rightly."""

    def right(size: int) -> int:
        batches = images.batches(torch.arange(len(images)), size)
        return sum(int((batch.call(model).argmax(dim=1) == labels).sum()) for batch, labels in batches)

    return halving(batch_limit, right) / len(images)


def feature_rank(model: nn.Module, images: SplitImages, batch_limit: int) -> float:
    """Return the effective rank of the features that enter the last linear layer, NaN for a model without one.

    Effective rank (Roy and Vetterli 2007, definition 2): the exponential of the entropy of the normalised singular
    values of the centred features, here of at most 512 training rows.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linears:
        return float("nan")

    def features(size: int) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        handle = linears[-1].register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().flatten(1).clone()))
        try:
            for batch, _ in images.batches(torch.arange(min(RANK_ROWS, len(images))), size):
                batch.call(model)
        finally:
            handle.remove()
        return torch.cat(seen)

    return effective_rank(halving(batch_limit, features))


def effective_rank(features: torch.Tensor) -> float:
    """Return the effective rank of centred features ``[n, d]``: 0 (all rows equal) to ``min(n, d)``, or NaN."""
    centred = features.double().cpu()
    centred = centred - centred.mean(dim=0)
    if not torch.isfinite(centred).all():
        return float("nan")
    singular = torch.linalg.svdvals(centred)
    total = singular.sum()
    if float(total) <= 1e-12:
        return 0.0
    shares = singular[singular > 0] / total
    return float(torch.exp(-(shares * shares.log()).sum()))


def best_epoch(history: Sequence[Evaluation], column: str) -> int:
    """Return the epoch of the highest value of a column, the earliest of equals."""
    return max(history, key=lambda evaluation: (getattr(evaluation, column), -evaluation.epoch)).epoch
