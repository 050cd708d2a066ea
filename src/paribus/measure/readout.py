"""Readouts: what is read per context, of the network's output or of a value inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Floats, Ints
from paribus.engine.batches import widened
from paribus.errors import ConfigError
from paribus.measure.nulls import NullFeatures


class Columns(Protocol):
    """Many scalars of one kind that are read together from one value: the latents of an autoencoder, units, outputs.

    Example:
        >>> from paribus.features.columns import Units
        >>> Units(3).read(torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([0, 2]))[0]
        tensor([[1., 3.]])
    """

    @property
    def size(self) -> int:
        """How many there are."""

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return activation and pre-activation ``[n, len(rows)]`` of some of them, from ``x [n, d]``."""


class Readout:
    """Base of what is read.

    Attributes:
        place: The place whose value is read, as text; empty for the network's output.
        names: Names of the values per context; effects are about the first.
        by_context: Whether the reading depends on the context (its label, its donor), not on the input alone.
        nulls: Features of the same kind that are read in the same passes; None where there are none.
        positions: Which positions (axis 1) of the output it needs, negative ones from the end, where a network gives
            one output per position: under edits ``read`` gets only these, and no others need be computed. None: all.
        each: What is made of the vector at each position ``[..., d]`` before the subject makes one of all, or None.

    Example:
        >>> class Largest(Readout):
        ...     names = ("largest",)
        ...     def read(self, x, ctx):
        ...         return x.max(1).values[None], None
        >>> Largest().read(torch.tensor([[1.0, 4.0], [3.0, 2.0]]), np.arange(2))[0]
        tensor([[4., 3.]])
    """

    place: str = ""
    names: tuple[str, ...] = ("value",)
    by_context: bool = False
    nulls: NullFeatures | None = None
    positions: tuple[int, ...] | None = None
    each: Callable[[Tensor], Tensor] | None = None

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return what is read of a batch.

        Args:
            x: Of the output ``[n, *output]``, or the vectors at the place ``[n, d]``.
            ctx: The context of each row ``[n]``.

        Returns:
            The values ``[r, n]``, and those of the nulls ``[n, n_null]`` (None without).
        """
        raise NotImplementedError

    def finish(self, values: Floats) -> Floats:
        """Return the final values ``[r, conditions, b]``; condition 0 is the baseline. By default as they were read."""
        return values


class FeatureReadout(Readout):
    """One of many columns: its activation ``f`` and pre-activation ``z``, with others of its kind as nulls.

    Example:
        >>> class Outputs:
        ...     size = 3
        ...     def read(self, x, rows):
        ...         return x[:, rows], x[:, rows]
        >>> values, nulls = FeatureReadout(Outputs(), 2).read(torch.eye(3), None)
        >>> values.tolist(), nulls
        ([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], None)
    """

    names = ("f", "z")

    def __init__(
        self,
        columns: Columns,
        row: int,
        *,
        place: str = "",
        nulls: NullFeatures | None = None,
        by_position: bool = False,
    ) -> None:
        """Read column ``row`` at ``place``; ``nulls`` from the same forward passes.

        Args:
            columns: All of its kind.
            row: Which.
            place: Where; empty: the output.
            nulls: Others to read.
            by_position: Whether it is read at each position, and then the mean is taken.
        """
        self.columns, self.row, self.place, self.nulls = columns, row, place, nulls
        self._wanted = torch.tensor([row] if nulls is None else [row, *nulls.rows.tolist()])
        self.each = self._at_each if by_position else None

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return f and z ``[2, n]``, and f of the nulls."""
        self._wanted = self._wanted.to(x.device)  # kept there for the next batch
        f, z = self.columns.read(x, self._wanted) if self.each is None else x.chunk(2, dim=1)
        return torch.stack([f[:, 0], z[:, 0]]), None if self.nulls is None else f[:, 1:]

    def _at_each(self, h: Tensor) -> Tensor:
        self._wanted = self._wanted.to(h.device)
        return at_each_position(self.columns, self._wanted)(h)


def at_each_position(columns: Columns, rows: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what reads columns ``rows`` at each position: from ``[..., d]`` their f, then their z ``[..., 2 * rows]``.

    Example:
        >>> from paribus.features.columns import Units
        >>> at_each_position(Units(3), torch.tensor([2]))(torch.arange(12.0).reshape(2, 2, 3))[..., 0].tolist()
        [[2.0, 5.0], [8.0, 11.0]]
    """

    def read(h: Tensor) -> Tensor:
        f, z = columns.read(h.reshape(-1, h.shape[-1]), rows)
        return torch.cat([f, z], dim=1).reshape(*h.shape[:-1], 2 * len(rows))

    return read


class Outputs(Readout):
    """The outputs themselves, flattened: ``r`` values per context.

    Example:
        >>> Outputs().read(torch.tensor([[0.5]]), np.array([0]))[0]
        tensor([[0.5000]])
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        """Name them, where they have names."""
        self.names = names or ("output",)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the outputs ``[k, n]``."""
        return x.reshape(len(x), -1).T, None


class Margin(Readout):
    """The margin of one class: its logit minus the mean of the others.

    Example:
        >>> Margin(1).read(torch.tensor([[0.0, 3.0, 1.0]]), None)[0].tolist()
        [[2.5]]
    """

    names = ("margin",)

    def __init__(self, positive: int) -> None:
        """Read the margin of class ``positive``."""
        self.positive = positive

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the margin ``[1, n]`` of logits ``[n, k]``."""
        _check_classes(x, self.positive, "margin")
        chosen = x[:, self.positive]
        others = (x.sum(1) - chosen) / (x.shape[1] - 1)
        return (chosen - others)[None], None


class LogitDifference(Readout):
    """The logit of one output minus that of another.

    Example:
        >>> LogitDifference(0, 2).read(torch.tensor([[5.0, 3.0, 1.0]]), None)[0].tolist()
        [[4.0]]
    """

    names = ("logit_difference",)

    def __init__(self, one: int, other: int) -> None:
        """Compare output ``one`` with output ``other``."""
        self.one, self.other = one, other

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the difference ``[1, n]`` of logits ``[n, k]``."""
        _check_classes(x, self.one, "logit difference")
        _check_classes(x, self.other, "logit difference")
        return (x[:, self.one] - x[:, self.other])[None], None


class _Labelled(Readout):
    """Base of readouts that need the label of each context."""

    by_context = True

    def __init__(self, label: Ints) -> None:
        """Take the class of every context ``[n_contexts]``."""
        self._label = torch.as_tensor(label)

    def _of(self, x: Tensor, ctx: Ints) -> Tensor:
        label = self._label[torch.as_tensor(ctx)].to(x.device)
        if x.ndim != 2 or int(label.max()) >= x.shape[1] or int(label.min()) < 0:
            raise ConfigError(
                f"readout {self.names[0]}: needs outputs [n, classes] and labels below the number of classes; outputs "
                f"have shape {tuple(x.shape)}, labels reach {int(label.max())}"
            )
        return label


class Correctness(_Labelled):
    """Whether the largest output is that of the context's label: 1 or 0.

    Example:
        >>> import numpy as np
        >>> Correctness(np.array([0, 1])).read(torch.tensor([[2.0, 1.0], [2.0, 1.0]]), np.array([0, 1]))[0].tolist()
        [[1.0, 0.0]]
    """

    names = ("correct",)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return correctness ``[1, n]`` of logits ``[n, k]``."""
        return is_largest(x, self._of(x, ctx))[None], None


def is_largest(x: Tensor, label: Tensor) -> Tensor:
    """Return whether the largest of the last axis is that of the label ``[...]``: 1 or 0; NaN where none is largest.

    Args:
        x: Logits ``[..., k]``. Where one is NaN, or the largest is infinite, nothing is.
        label: ``[...]``.

    Example:
        >>> is_largest(torch.tensor([[2.0, 1.0], [float("nan"), 1.0]]), torch.tensor([0, 0])).tolist()
        [1.0, nan]
    """
    largest, place = x.max(-1)
    return torch.where(largest.isfinite(), (place == label).to(x), float("nan"))


class Loss(_Labelled):
    """The cross-entropy at the context's label, in nats.

    Example:
        >>> Loss(np.array([1])).read(torch.tensor([[0.0, 0.0]]), np.array([0]))[0]
        tensor([[0.6931]])
    """

    names = ("loss",)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the loss ``[1, n]`` of logits ``[n, k]``."""
        return torch.nn.functional.cross_entropy(widened(x), self._of(x, ctx), reduction="none")[None], None


class LabelLogit(_Labelled):
    """The logit of the context's own label minus the mean of the others: the margin toward the truth.

    Example:
        >>> LabelLogit(np.array([1])).read(torch.tensor([[0.0, 3.0, 1.0]]), np.array([0]))[0]
        tensor([[2.5000]])
    """

    names = ("label_margin",)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the margin ``[1, n]`` of logits ``[n, k]``."""
        label = self._of(x, ctx)
        chosen = x.gather(1, label[:, None])[:, 0]
        return (chosen - (x.sum(1) - chosen) / (x.shape[1] - 1))[None], None


class Divergence(Readout):
    """The Kullback-Leibler divergence of the output's distribution from that of the unedited network, in nats.

    ``KL(base || edited) = sum p_base (log p_base - log p_edited)``; 0 at the baseline.

    Example:
        >>> logits = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
        >>> read, _ = Divergence().read(logits, np.array([0, 0]))
        >>> Divergence().finish(read.numpy()[:, :, None]).round(3)[0, :, 0].tolist()
        [0.0, 0.27300000190734863]
    """

    names = ("kl",)

    def read(self, x: Tensor, ctx: Ints) -> tuple[Tensor, Tensor | None]:
        """Return the log-probabilities ``[k, n]`` of logits ``[n, k]``."""
        if x.ndim != 2:
            raise ConfigError(f"readout kl: needs outputs [n, classes], got shape {tuple(x.shape)}")
        return torch.log_softmax(widened(x), 1).T, None

    def finish(self, values: Floats) -> Floats:
        """Return the divergence ``[1, conditions, b]`` from condition 0."""
        base = values[:, :1]
        return np.asarray((np.exp(base) * (base - values)).sum(0, keepdims=True))


def _check_classes(x: Tensor, wanted: int, what: str) -> None:
    if x.ndim != 2 or not 0 <= wanted < x.shape[1] or x.shape[1] < 2:
        raise ConfigError(f"readout {what}: needs outputs [n, classes] with class {wanted}, got {tuple(x.shape)}")
