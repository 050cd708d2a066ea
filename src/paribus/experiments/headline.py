"""Headline metrics with the ends of their intervals, named so that a tracking UI lists them side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from paribus.experiments.base import Recorder
from paribus.results.hypothesis import COMPLETE

if TYPE_CHECKING:
    import pandas as pd


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
    _kept(recorder, name, value, "ci", low, high)


def picked(recorder: Recorder, name: str, value: float, low: float, high: float) -> None:
    """Keep a number of the row that was picked out of a table, with the interval that holds for all rows together.

    The interval is kept as ``<name>_ci_adj_low`` and ``<name>_ci_adj_high``, and left out as by :func:`estimate`.

    Args:
        recorder: What keeps it.
        name: Name of the metric.
        value: The number.
        low: Lower end of the simultaneous interval, NaN where there is none.
        high: Upper end.
    """
    _kept(recorder, name, value, "ci_adj", low, high)


def largest_row(frame: pd.DataFrame, value: str = "mean_delta") -> int | None:
    """Return the place of the largest effect of a table: among the rows that were tested, where any was.

    A row of a few contexts is easily the largest of all, and has no interval and no p.

    Args:
        frame: A table of effects with ``p``, NaN where a row was not tested.
        value: Column of the effect, NaN where nothing was measured.

    Returns:
        The place, of equal ones the first; None where no row has an effect.

    Example:
        >>> import pandas as pd
        >>> largest_row(pd.DataFrame({"mean_delta": [0.5, -2.0, 9.0], "p": [0.2, 0.01, math.nan]}))
        1
    """
    sizes = frame[value].astype(float).abs()
    tested = sizes.where(frame["p"].notna())
    chosen = (tested if tested.notna().any() else sizes).fillna(-1.0).to_numpy()
    return int(chosen.argmax()) if len(chosen) and chosen.max() >= 0 else None


def largest(recorder: Recorder, name: str, frame: pd.DataFrame, value: str = "mean_delta") -> int | None:
    """Keep the largest effect of a table (see :func:`largest_row`), with the interval that allows for the choice.

    The interval is the one that holds for all rows together (``ci_adj_low``, ``ci_adj_high``), kept as
    ``<name>_ci_adj_low`` and ``<name>_ci_adj_high``: that of the row alone is too narrow for a row picked by its size.
    A warning says if a row that was not tested is larger, or if none was tested.

    Args:
        recorder: What keeps it.
        name: Name of the metric.
        frame: A table of effects.
        value: Column of the effect.

    Returns:
        The place of its row; None, and nothing is kept, where no row has an effect.
    """
    return _largest(recorder, name, frame, value, sized=False)


def largest_size(recorder: Recorder, name: str, frame: pd.DataFrame, value: str = "mean_delta") -> int | None:
    """Keep the size of the largest effect of a table, with its interval in the direction of the effect."""
    return _largest(recorder, name, frame, value, sized=True)


def _largest(recorder: Recorder, name: str, frame: pd.DataFrame, value: str, *, sized: bool) -> int | None:
    place = largest_row(frame, value)
    if place is None:
        return None
    row = frame.iloc[place]
    effect, low, high = (float(row[column]) for column in (value, "ci_adj_low", "ci_adj_high"))
    if sized and effect < 0:
        picked(recorder, name, -effect, -high, -low)
    else:
        picked(recorder, name, effect, low, high)
    larger, tested = int((frame[value].abs() > abs(effect)).sum()), int(frame["p"].notna().sum())
    if larger:
        recorder.warn(
            f"{name} is the largest of the {tested} rows that were tested; {larger} that "
            f"{'was' if larger == 1 else 'were'} not tested {'is' if larger == 1 else 'are'} larger"
        )
    elif not tested and not ("established" in frame and frame["established"].eq(COMPLETE).any()):
        recorder.warn(f"{name} is the largest of rows of which none was tested, so it has no interval")
    return place


def _kept(recorder: Recorder, name: str, value: float, stem: str, low: float, high: float) -> None:
    recorder.metric(name, float(value))
    if math.isfinite(low) and math.isfinite(high) and low < high:
        recorder.metric(f"{name}_{stem}_low", float(low))
        recorder.metric(f"{name}_{stem}_high", float(high))
