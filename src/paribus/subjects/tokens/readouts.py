"""What is read of a language model: its answers after the target positions of each sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.engine.batches import widened
from paribus.errors import ConfigError, size_of
from paribus.measure.readout import Readout, is_largest
from paribus.subjects.tokens.data import Targets, TokenData

MOST_KEPT = 2 << 30
"""Bytes of unedited log-probabilities that are kept for the divergence from them."""


class _AtTargets(Readout):
    """Base of what is read after the target positions."""

    by_context = True

    def __init__(self, targets: Targets, length: int | None = None) -> None:
        """Take the targets; with the sequences' ``length`` only the last position is asked for where all are there."""
        self._positions, self._ids = torch.from_numpy(targets.positions), torch.from_numpy(targets.ids)
        if length is not None and (targets.positions == length - 1).all():
            self.positions = (-1,)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the mean over a sequence's targets ``[1, n]`` of logits ``[n, positions, V]``."""
        logits, ids, asked = self._logits(x, ctx)
        return ((self._values(logits, ids, ctx) * asked).sum(1) / asked.sum(1))[None], None

    def _values(self, logits: Tensor, ids: Tensor, ctx: Ints) -> Tensor:
        """Return what is read ``[n, t]`` of the logits ``[n, t, V]`` at the targets of the sequences ``ctx``."""
        raise NotImplementedError

    def _logits(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits ``[n, t, V]`` after the targets' positions, the right tokens and which of them are asked."""
        if x.ndim != 3:
            shape = tuple(x.shape)
            raise ConfigError(f"readout {self.names[0]}: needs a language model's [n, positions, tokens], got {shape}")
        rows = torch.as_tensor(ctx)
        positions, ids = self._positions[rows].to(x.device), self._ids[rows].to(x.device)
        asked = positions >= 0
        if self.positions is not None and x.shape[1] == len(self.positions):
            positions = torch.zeros_like(positions)
        index = positions.clamp(min=0)[:, :, None].expand(-1, -1, x.shape[2])
        return widened(x.gather(1, index)), ids.clamp(min=0), asked


def _right(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.gather(2, ids[:, :, None])[:, :, 0]


class TargetLoss(_AtTargets):
    """The cross-entropy at the right tokens, in nats: the mean over a sequence's targets.

    Example:
        >>> targets = Targets(np.array([[0, 1]]), np.array([[1, 0]]))
        >>> round(float(TargetLoss(targets).read(torch.zeros(1, 2, 4), np.array([0]))[0]), 4)
        1.3863
    """

    names = ("loss",)

    def _values(self, logits: Tensor, ids: Tensor, ctx: Ints) -> Tensor:
        return torch.logsumexp(logits, 2) - _right(logits, ids)


class TargetCorrect(_AtTargets):
    """The share of a sequence's targets where the right token has the largest logit."""

    names = ("correct",)

    def _values(self, logits: Tensor, ids: Tensor, ctx: Ints) -> Tensor:
        return is_largest(logits, ids)


class TargetDifference(_AtTargets):
    """The logit of the right token minus the mean of those it is compared with; the mean over a sequence's targets.

    Example:
        >>> targets = Targets(np.array([[0]]), np.array([[1]]), against=np.array([[2, -1]]))
        >>> TargetDifference(targets).read(torch.tensor([[[0.0, 5.0, 3.0]]]), np.array([0]))[0].tolist()
        [[2.0]]
    """

    names = ("logit_difference",)

    def __init__(self, targets: Targets, length: int | None = None) -> None:
        """Take the targets, and the sequences' length."""
        super().__init__(targets, length)
        self._against = None if targets.against is None else torch.from_numpy(targets.against)

    def _values(self, logits: Tensor, ids: Tensor, ctx: Ints) -> Tensor:
        if self._against is None:
            return _right(logits, ids) - logits.mean(2)
        against = self._against[torch.as_tensor(ctx)].to(logits.device)[:, None].expand(-1, logits.shape[1], -1)
        others, counted = logits.gather(2, against.clamp(min=0)), against >= 0
        return _right(logits, ids) - (others * counted).sum(2) / counted.sum(2).clamp(min=1)


class TargetDivergence(_AtTargets):
    """The Kullback-Leibler divergence of the answers after the targets' positions from the unedited ones, in nats.

    ``KL(base || edited)``, the mean over a sequence's targets; the unedited log-probabilities are computed when they
    are first asked for, and kept.
    """

    names = ("kl",)

    def __init__(self, targets: Targets, executor: Any, length: int | None = None) -> None:
        """Take the targets, what runs the network, and the sequences' length."""
        super().__init__(targets, length)
        self._executor = executor
        self._base: dict[int, Tensor] = {}

    def _values(self, logits: Tensor, ids: Tensor, ctx: Ints) -> Tensor:
        base = self._unedited(ctx, logits).to(logits.device)
        return (base.exp() * (base - torch.log_softmax(logits, 2))).sum(2).clamp(min=0)

    def _unedited(self, ctx: Ints, like: Tensor) -> Tensor:
        missing = np.array(sorted({int(one) for one in ctx} - self._base.keys()), np.int64)
        if len(missing):
            size = like[0].numel() * 4 * (len(self._base) + len(missing))
            if size > MOST_KEPT:
                raise ConfigError(
                    f"experiment.readout=kl: the log-probabilities of {len(self._base) + len(missing)} sequences take "
                    f"{size_of(size)} (at most {size_of(MOST_KEPT)}); fewer sequences (experiment.n_contexts) or "
                    "targets"
                )

            def keep(rows: slice, output: Tensor, _: Any) -> None:
                own = missing[rows]
                found = torch.log_softmax(self._logits(output, own)[0], 2).cpu()
                self._base.update({int(one): value for one, value in zip(own, found, strict=True)})

            self._executor.run(self._executor.subject.cells(missing), "", keep)
        return torch.stack([self._base[int(one)] for one in ctx])


def token_readouts(data: TokenData) -> Mapping[str, Callable[[Any], Readout]]:
    """Return by name what can be read of a language model on these sequences; the first is read by default."""
    targets = data.targets
    if targets is None:
        return {}
    length = data.ids.shape[1]
    first = "loss" if targets.against is None else "logit_difference"
    made: dict[str, Callable[[Any], Readout]] = {
        "loss": lambda _: TargetLoss(targets, length),
        "logit_difference": lambda _: TargetDifference(targets, length),
        "correct": lambda _: TargetCorrect(targets, length),
        "kl": lambda executor: TargetDivergence(targets, executor, length),
    }
    return {name: _of_logits(made[name], data) for name in (first, *made)}


def _of_logits(make: Callable[[Any], Readout], data: TokenData) -> Callable[[Any], Readout]:
    """Return the same for networks that give a logit for every token after every position; refuse others."""

    def made(executor: Any) -> Readout:
        shape = tuple(executor.output_of(data.given.take(torch.tensor([0]))).shape)
        if len(shape) != 3 or shape[1] != data.ids.shape[1] or shape[2] < data.n_tokens:
            raise ConfigError(
                f"model: {type(executor.network).__name__} gives {list(shape)} for one sequence; what is asked of "
                f"these data needs logits [1, {data.ids.shape[1]} positions, {data.n_tokens} tokens], as of a causal "
                "language model"
            )
        return make(executor)

    return made
