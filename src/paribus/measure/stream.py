"""What was measured, block by block of contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ExperimentError
from paribus.measure.nulls import NullSums
from paribus.measure.watch import Watch
from paribus.results.schema import EngineReport

MeasureBlock = Callable[[Ints, Any], tuple[Floats, EngineReport]]
"""From contexts ``[b]`` and their cells to values ``[r, conditions, b]``, and how they were measured."""


@dataclass(frozen=True, eq=False)
class Block:
    """What was measured of some contexts.

    Attributes:
        columns: Which contexts ``[b]``.
        values: ``[r, conditions, b]``, NaN where a cell was taken out.

    Example:
        >>> Block(columns=np.arange(3), values=np.zeros((1, 2, 3))).values.shape
        (1, 2, 3)
    """

    columns: Ints
    values: Floats


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of all contexts.

    Attributes:
        values: ``[r, conditions, n]`` (or ``[r, *shape]`` of cells), NaN where a cell was taken out.
        null: Mean effects of the null features ``[rows, n_null]``, each scaled to the sd of the feature under study;
            None unless contrasts were asked for.
        report: How it was measured.

    Example:
        >>> Measured(np.zeros((1, 2, 3)), None, EngineReport("inputs", 6, 4)).report.n_unique
        4
    """

    values: Floats
    null: Floats | None
    report: EngineReport


class Stream:
    """Measures blocks of contexts as they are asked for, and holds nothing but sums for the null features.

    Attributes:
        report: How the blocks so far were measured: strategy, cells asked for, distinct ones computed, parity.

    Example:
        >>> def measure(columns, cells):
        ...     return np.zeros((1, 2, len(columns))), EngineReport("inputs", 2 * len(columns), len(columns))
        >>> Stream(measure, [(np.arange(2), None), (np.arange(2, 4), None)]).collected(4).values.shape
        (1, 2, 4)
    """

    def __init__(
        self,
        measure: MeasureBlock,
        blocks: Iterable[tuple[Ints, Any]],
        *,
        sums: NullSums | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Prepare; nothing is run yet.

        Args:
            measure: Measures one block.
            blocks: Contexts and their cells.
            sums: What ``measure`` adds the null features to.
            watch: Gets the report after the last block.
        """
        self._measure, self._blocks, self._sums, self._watch = measure, blocks, sums, watch
        self.report = EngineReport()

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""
        for columns, cells in self._blocks:
            values, report = self._measure(columns, cells)
            self.report = self.report.joined(report)
            yield Block(columns, values)
        if self._watch is not None:
            self._watch.diagnose(engine=self.report)

    @property
    def null(self) -> Floats | None:
        """Mean effects of the null features over the blocks so far ``[rows, n_null]``; None without contrasts."""
        return None if self._sums is None else self._sums.means()

    def collected(self, n: int) -> Measured:
        """Measure all blocks and return the values of all ``n`` contexts.

        Raises:
            ExperimentError: If there are no blocks.
        """
        values: Floats | None = None
        for block in self:
            if values is None:
                values = np.full((*block.values.shape[:2], n), np.nan)
            values[:, :, block.columns] = block.values
        if values is None:
            raise ExperimentError("no contexts to measure")
        return Measured(values, self.null, self.report)
