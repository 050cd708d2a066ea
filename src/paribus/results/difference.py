"""Compares two results of one request: every table and metric, bit for bit or within a stated tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from paribus.results.nested import equal
from paribus.results.schema import Result

SAME, WITHIN, DIFFERENT = "same", "within", "different"
OF_THE_RUN = ("run_id", "duration_seconds")
"""Columns about when and where something was run, not about findings."""


@dataclass(frozen=True)
class Tolerance:
    """How far apart two numbers may be that differ by rounding.

    Attributes:
        relative: Share of the larger of both.
        absolute: Added to it.

    Example:
        >>> Tolerance(relative=0.01).holds(100.0, 100.5)
        True
    """

    relative: float = 1e-4
    absolute: float = 1e-6

    def holds(self, before: float, after: float) -> bool:
        """Return whether two numbers are within it."""
        return abs(before - after) <= self.absolute + self.relative * max(abs(before), abs(after))

    def __str__(self) -> str:
        """Return it as it is stated."""
        return f"{self.relative:g} relative + {self.absolute:g}"


@dataclass(frozen=True)
class Compared:
    """One table or metric, compared with its second measurement.

    Attributes:
        name: ``table NAME`` or ``metric NAME``.
        verdict: ``same`` (bit for bit), ``within`` (the tolerance) or ``different``.
        largest: Largest absolute difference of numbers; 0 where they are the same.
        where: Where that is, or what else differs.
    """

    name: str
    verdict: str
    largest: float = 0.0
    where: str = ""

    def __str__(self) -> str:
        """Return it in a line."""
        if self.verdict == SAME:
            return f"{self.name}: same bit for bit"
        apart = f"largest difference {self.largest:.3g} at {self.where}" if self.largest else self.where
        return f"{self.name}: {'within the tolerance' if self.verdict == WITHIN else 'DIFFERENT'}, {apart}"


def compare(before: Result, after: Result, tolerance: Tolerance | None = None) -> list[Compared]:
    """Return every table and metric of two results of one request, compared.

    Ids of runs and wall times, which no request gives twice, are left out.
    """
    allowed = tolerance or Tolerance()
    found = [
        _table(name, before.tables[name].frame, after.tables[name].frame, allowed)
        if name in before.tables and name in after.tables
        else _one_sided(f"table {name}", name in before.tables)
        for name in dict.fromkeys((*before.tables, *after.tables))
    ]
    first, second = numbers(before), numbers(after)
    for name in dict.fromkeys((*first, *second)):
        if name in first and name in second:
            found.append(_metric(name, first[name], second[name], allowed))
        else:
            found.append(_one_sided(f"metric {name}", name in first))
    return found


def numbers(result: Result) -> dict[str, float]:
    """Return the metrics and the numbers among the aggregates of a result."""
    own = {f.name: getattr(result.aggregates, f.name) for f in fields(result.aggregates) if f.name != "custom"}
    every: Mapping[str, object] = {**own, **result.aggregates.custom, **result.metrics}
    return {k: float(v) for k, v in every.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _one_sided(name: str, first: bool) -> Compared:
    return Compared(name, DIFFERENT, where="only the kept run has it" if first else "only the new run has it")


def _metric(name: str, before: float, after: float, tolerance: Tolerance) -> Compared:
    if equal(before, after):
        return Compared(f"metric {name}", SAME)
    if not (math.isfinite(before) and math.isfinite(after)):
        return Compared(f"metric {name}", DIFFERENT, where=f"{before:g} -> {after:g}")
    verdict = WITHIN if tolerance.holds(before, after) else DIFFERENT
    return Compared(f"metric {name}", verdict, abs(after - before), f"{before:.6g} -> {after:.6g}")


def _table(name: str, before: pd.DataFrame, after: pd.DataFrame, tolerance: Tolerance) -> Compared:
    called = f"table {name}"
    if list(before.columns) != list(after.columns):
        gone, new = (
            [c for c in a.columns if c not in b.columns] for a, b in ((before, after), (after, before))
        )  # fmt: skip
        said = [f"{what} {', '.join(map(str, which))}" for what, which in (("without", gone), ("with", new)) if which]
        return Compared(called, DIFFERENT, where=f"columns now {' and '.join(said) or 'in another order'}")
    if len(before) != len(after):
        return Compared(called, DIFFERENT, where=f"{len(before)} rows -> {len(after)} rows")
    worst = Compared(called, SAME)
    for column in (c for c in before.columns if c not in OF_THE_RUN):
        one = _column(called, str(column), before[column], after[column], tolerance)
        ranks = (SAME, WITHIN, DIFFERENT)
        if (ranks.index(one.verdict), one.largest) > (ranks.index(worst.verdict), worst.largest):
            worst = one
    return worst


def _column(called: str, column: str, before: pd.Series[Any], after: pd.Series[Any], tolerance: Tolerance) -> Compared:
    gone, missing = before.isna().to_numpy(), after.isna().to_numpy()
    if (gone != missing).any():
        row = int(np.flatnonzero(gone != missing)[0])
        return Compared(called, DIFFERENT, where=f"{column}, row {row} ({before.iloc[row]!r} -> {after.iloc[row]!r})")
    if before.dtype.kind == after.dtype.kind == "f":
        a, b = (one.to_numpy(np.float64, na_value=np.nan) for one in (before, after))
        apart = np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b))))
        if not len(apart):
            return Compared(called, SAME)
        gaps = np.abs(a[apart] - b[apart])
        at = int(apart[np.argmax(np.where(np.isfinite(gaps), gaps, np.inf))])
        where = f"{column}, row {at} ({a[at]:.6g} -> {b[at]:.6g})"
        if not np.isfinite(gaps).all():
            return Compared(called, DIFFERENT, where=where)
        fits = all(tolerance.holds(float(x), float(y)) for x, y in zip(a[apart], b[apart], strict=True))
        return Compared(called, WITHIN if fits else DIFFERENT, float(gaps.max()), where)
    for row, (x, y) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        if not (gone[row] or equal(x, y)):
            return Compared(called, DIFFERENT, where=f"{column}, row {row} ({x!r} -> {y!r})")
    return Compared(called, SAME)
