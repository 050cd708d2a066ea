"""Headline metrics with the ends of their intervals, named so that a tracking UI lists them side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from paribus.experiments.base import Recorder

if TYPE_CHECKING:
    import pandas as pd

    Row = Mapping[str, Any] | Mapping[Hashable, Any] | pd.Series[Any]

LOW, HIGH = "_ci_low", "_ci_high"
ADJ_LOW, ADJ_HIGH = "_ci_adj_low", "_ci_adj_high"


def estimate(recorder: Recorder, name: str, value: float, low: float, high: float) -> None:
    """Keep a number as metric ``name`` with its interval as ``<name>_ci_low`` and ``<name>_ci_high``.

    An interval that is not known, or has no width because all units are equal, is left out, so that neither a chart nor
    a filter uses it.

    Args:
        recorder: What keeps it.
        name: Name of the metric.
        value: The number; for one row that was not chosen by its value.
        low: Lower end, NaN where there is none.
        high: Upper end.

    Example:
        >>> from paribus.experiments.base import MemoryRecorder
        >>> recorder = MemoryRecorder()
        >>> estimate(recorder, "slope", 0.5, 0.1, 0.9)
        >>> sorted(recorder.metrics)
        ['slope', 'slope_ci_high', 'slope_ci_low']
    """
    _kept(recorder, name, value, {LOW: low, HIGH: high})


def largest(recorder: Recorder, name: str, row: Row, value: str = "mean_delta") -> None:
    """Keep the effect of the row that was chosen as the largest of its table, with the interval that allows for that.

    The interval is the one that holds for all rows together (``ci_adj_low``, ``ci_adj_high``), kept as
    ``<name>_ci_adj_low`` and ``<name>_ci_adj_high``: that of the row alone is too narrow for a row picked by its size.

    Args:
        recorder: What keeps it.
        name: Name of the metric.
        row: A row of a table of effects.
        value: Column of the effect.
    """
    _kept(recorder, name, float(row[value]), _adjusted(row))


def largest_size(recorder: Recorder, name: str, row: Row) -> None:
    """Keep the size of the largest effect of a table, with its interval in the direction of the effect."""
    effect, ends = float(row["mean_delta"]), _adjusted(row)
    if effect < 0:
        ends = {ADJ_LOW: -ends[ADJ_HIGH], ADJ_HIGH: -ends[ADJ_LOW]}
    _kept(recorder, name, abs(effect), ends)


def _adjusted(row: Row) -> dict[str, float]:
    return {ADJ_LOW: float(row["ci_adj_low"]), ADJ_HIGH: float(row["ci_adj_high"])}


def _kept(recorder: Recorder, name: str, value: float, ends: Mapping[str, float]) -> None:
    recorder.metric(name, float(value))
    low, high = ends.values()
    if math.isfinite(low) and math.isfinite(high) and low < high:
        for end, number in ends.items():
            recorder.metric(f"{name}{end}", float(number))
