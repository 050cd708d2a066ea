"""Columns of array inputs as factors and units: set to values, taken from other contexts, or set to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.cells import ArrayCells, stack
from paribus.measure.executor import Executor
from paribus.measure.factor import InputFactor, InputUnits

AS_IT_IS = "as it is"


@dataclass(frozen=True, eq=False)
class SlotValues(InputFactor):
    """Some columns of the first input ``[n, d]`` at values, all others as they are.

    Attributes:
        inputs: The inputs of all contexts ``[n, d]``.
        slots: The columns.
        levels: What they are at each level ``[levels, width]``.

    Example:
        >>> inputs = np.array([[7.0, 1.0], [8.0, 3.0]])
        >>> factor = SlotValues(inputs, slice(1, 2), np.array([[1.0], [2.0]]), "dose", ("1", "2"))
        >>> factor.edit(ArrayCells.of((inputs,), np.arange(2))).values[0].tolist()
        [[[7.0, 1.0], [8.0, 1.0]], [[7.0, 2.0], [8.0, 2.0]]]
        >>> factor.observed(np.arange(2)).tolist()
        [0, -1]
    """

    inputs: Any
    slots: slice
    levels: Floats
    name: str
    labels: tuple[str, ...]
    doses: tuple[float, ...] | None = None

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return cells with the columns at every level."""
        return stack([with_slots(cells, [self.slots], level) for level in self.levels])

    def observed(self, columns: Ints) -> Ints:
        """Return the level that contexts have; -1 where it is none of them."""
        own = np.asarray(self.inputs[columns, self.slots], np.float64)
        same = np.isclose(own[None], self.levels[:, None], rtol=1e-6, atol=1e-6).all(axis=2)
        return np.where(same.any(axis=0), same.argmax(axis=0), -1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class SlotsOfDonors(InputFactor):
    """Some columns as they are, then as donors have them.

    Attributes:
        inputs: The inputs of all contexts ``[n, d]``.
        slots: The columns.
        donors: The context that each one gets them from ``[levels - 1, n]``; -1 where there is none.

    Example:
        >>> inputs = np.array([[7.0, 1.0], [8.0, 3.0]])
        >>> factor = SlotsOfDonors(inputs, [slice(0, 1)], np.array([[1, -1]]), "age", (AS_IT_IS, "of the other"))
        >>> made = factor.edit(ArrayCells.of((inputs,), np.arange(2)))
        >>> made.values[0][1, 0].tolist(), made.ok[1].tolist()
        ([8.0, 1.0], [True, False])
    """

    inputs: Any
    slots: Sequence[slice]
    donors: Ints
    name: str
    labels: tuple[str, ...]

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return cells as they are and with the columns of every donor; without a donor they are not measured."""
        inputs = np.asarray(self.inputs)
        made = [cells]
        for donors in self.donors:
            given = donors[cells.ctx]
            values = np.concatenate([inputs[given, slots] for slots in self.slots], axis=-1)
            made.append(with_slots(cells, self.slots, values).only(given >= 0))
        return stack(made)


@dataclass(frozen=True, eq=False)
class SlotUnits(InputUnits):
    """Columns, or groups of them, that keep their values or are set to a baseline.

    Attributes:
        inputs: The inputs of all contexts ``[n, d]``.
        slots: The columns of each unit.
        onehot: Units whose baseline is the most frequent of their columns, not the mean of each.
        fitted_on: Contexts that the baseline is of, until others are fitted ``[m]``.

    Example:
        >>> inputs = np.array([[6.0, 1.0], [8.0, 3.0]])
        >>> units = SlotUnits(inputs, [slice(0, 1), slice(1, 2)], (), np.arange(2), ("age", "dose"))
        >>> units.keep(ArrayCells.of((inputs,), np.arange(2)), np.array([[False, True]])).values[0].tolist()
        [[[7.0, 1.0], [7.0, 3.0]]]
    """

    inputs: Any
    slots: Sequence[slice]
    onehot: Sequence[slice]
    fitted_on: Ints
    names: tuple[str, ...]
    name: str = "columns"

    @cached_property
    def off(self) -> Floats:
        """The baseline of every column ``[d]``."""
        found = np.asarray(self.inputs[self.fitted_on], np.float64).mean(axis=0)
        for slots in self.onehot:
            found[slots] = np.eye(slots.stop - slots.start)[found[slots].argmax()]
        return np.asarray(found, np.float64)

    def fit(self, executor: Executor, rows: Ints) -> SlotUnits:
        """Return the units with baselines of contexts ``rows``."""
        return replace(self, fitted_on=rows)

    def keep(self, cells: ArrayCells, on: Bools) -> ArrayCells:
        """Return cells with the units of each row of ``on [m, k]`` as they are, the others at their baseline."""
        made = []
        for row in on:
            gone = [slots for slots, there in zip(self.slots, row, strict=True) if not there]
            values = np.concatenate([self.off[slots] for slots in gone]) if gone else self.off[:0]
            made.append(with_slots(cells, gone, values))
        return stack(made)


def with_slots(cells: ArrayCells, slots: Sequence[slice], values: Any) -> ArrayCells:
    """Return cells with columns of the first input at ``values [..., widths]``.

    Example:
        >>> cells = ArrayCells.of((np.zeros((1, 3)),), np.arange(1))
        >>> with_slots(cells, [slice(0, 1), slice(2, 3)], np.array([5.0, 6.0])).values[0].tolist()
        [[5.0, 0.0, 6.0]]
    """
    changed = cells.values[0].copy()
    start = 0
    for one in slots:
        width = one.stop - one.start
        changed[..., one] = values[..., start : start + width]
        start += width
    return cells.with_value(0, changed)


def donors_of_group(groups: Ints, group: int, alike: Ints, rng: np.random.Generator) -> Ints:
    """Return for each context outside a group one of the group that is like it ``[n]``, drawn at random; -1: none.

    Args:
        groups: Group of each context ``[n]``.
        group: The group that donors are of.
        alike: What a donor has in common with the context that it gives to ``[n]``.
        rng: Draws them.

    Example:
        >>> donors_of_group(np.array([0, 0, 1]), 1, np.zeros(3, int), np.random.default_rng(0)).tolist()
        [2, 2, -1]
    """
    donors = np.full(len(groups), -1, np.int64)
    for kind in np.unique(alike):
        pool = np.flatnonzero((alike == kind) & (groups == group))
        to = np.flatnonzero((alike == kind) & (groups != group))
        if len(pool):
            donors[to] = rng.choice(pool, len(to))
    return donors


def others_within(groups: Ints, rng: np.random.Generator) -> Ints:
    """Return for each context another one of its group ``[n]``, a permutation without fixed points; -1: alone.

    Example:
        >>> others_within(np.array([0, 0, 1]), np.random.default_rng(0)).tolist()
        [1, 0, -1]
    """
    donors = np.full(len(groups), -1, np.int64)
    for group in np.unique(groups):
        order = rng.permutation(np.flatnonzero(groups == group))
        if len(order) > 1:
            donors[order] = np.roll(order, 1)  # a single cycle has no fixed points
    return donors
