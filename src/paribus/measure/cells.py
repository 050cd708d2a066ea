"""Cells: contexts under edits of their inputs, in any shape; methods never look inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError


class Cells(Protocol):
    """Contexts under edits: ``[b]`` as they are, ``[levels, b]`` at several levels.

    Example:
        >>> cells = ArrayCells.of((np.zeros((3, 2)),), np.arange(3))
        >>> cells.only(np.array([True, False, True])).ok.tolist()
        [True, False, True]
    """

    @property
    def ok(self) -> Bools:
        """Whether a cell is to be measured; edits and constraints take cells out, never put them back."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of ``ok``."""

    def __getitem__(self, rows: Any) -> Self:
        """Return the cells at ``rows`` (any numpy index over the leading axes)."""

    def only(self, mask: Bools) -> Self:
        """Return the same cells with those outside ``mask`` taken out."""


@dataclass(frozen=True, eq=False)
class ArrayCells:
    """Cells whose inputs are arrays.

    Attributes:
        values: What the network is called with, each ``[*shape, ...]``.
        ctx: Which context each cell is an edit of ``[*shape]``.
        ok: Whether the cell is to be measured ``[*shape]``.

    Example:
        >>> cells = ArrayCells.of((np.zeros((3, 2)),), np.arange(3))
        >>> doubled = stack([cells, cells.with_value(0, cells.values[0] + 1)])
        >>> doubled.shape, doubled.values[0].shape
        ((2, 3), (2, 3, 2))
    """

    values: tuple[np.ndarray, ...]
    ctx: Ints
    ok: Bools

    @classmethod
    def of(cls, values: Sequence[np.ndarray], ctx: Ints) -> ArrayCells:
        """Return untouched cells of contexts ``ctx [b]``."""
        return cls(tuple(values), ctx, np.ones(ctx.shape, bool))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of ``ok``."""
        return self.ok.shape

    def __getitem__(self, rows: Any) -> ArrayCells:
        """Return the cells at ``rows``."""
        return ArrayCells(tuple(one[rows] for one in self.values), self.ctx[rows], self.ok[rows])

    def only(self, mask: Bools) -> ArrayCells:
        """Return the same cells with those outside ``mask`` taken out."""
        return replace(self, ok=self.ok & mask)

    def with_value(self, index: int, value: np.ndarray) -> ArrayCells:
        """Return the same cells with argument ``index`` exchanged for ``value [*shape, ...]``."""
        values = list(self.values)
        values[index] = value
        return replace(self, values=tuple(values))


def stack(cells: Sequence[ArrayCells]) -> ArrayCells:
    """Put cells of equal shape on a new first axis: levels.

    Raises:
        ConfigError: If there are none.

    Example:
        >>> cells = ArrayCells.of((np.zeros((3, 2)),), np.arange(3))
        >>> stack([cells, cells]).shape
        (2, 3)
    """
    if not cells:
        raise ConfigError("nothing to stack: no levels")
    values = tuple(np.stack(parts) for parts in zip(*(one.values for one in cells), strict=True))
    return ArrayCells(values, np.stack([one.ctx for one in cells]), np.stack([one.ok for one in cells]))
