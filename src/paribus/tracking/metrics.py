"""Metrics as points with an integer step; curves as histories whose step is the level."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.results.values import float_text
from paribus.tracking.params import param_key

if TYPE_CHECKING:
    from paribus.results.schema import Curve

CURVE = "curve/"
CURVE_MILLI = "curve_milli/"
MAX_STEP = 2**53
LARGEST_LEVEL = 2.0**43
NON_FINITE_TAG = "non_finite_metrics"


@dataclass(frozen=True)
class Point:
    """One value of a metric at an integer step."""

    name: str
    value: float
    step: int = 0


def curve_points(curve: Curve) -> list[Point]:
    """Return the points of a curve's metric history.

    Where every level is whole, the level is the step and the metric is ``curve/<name>``. Otherwise the step is
    ``round(1000 * level)``, the metric is ``curve_milli/<name>``, and ``curve_milli/<level name>`` holds the level.
    Points that are not finite are left out, because they would spoil the axes of charts.

    Example:
        >>> from paribus.results.schema import Curve
        >>> curve = Curve("dose", (0.0, 3.0), (1.0, 2.0))
        >>> len(curve_points(curve))
        2
    """
    pairs = [
        (float(level), float(value))
        for level, value in zip(curve.levels, curve.values, strict=True)
        if math.isfinite(level) and math.isfinite(value)
    ]
    if all(level.is_integer() and abs(level) <= MAX_STEP for level, _ in pairs):
        name = param_key(CURVE + curve.name)
        return [Point(name, value, int(level)) for level, value in pairs]
    name, level_name = param_key(CURVE_MILLI + curve.name), param_key(CURVE_MILLI + curve.level_name)
    points = []
    for level, value in pairs:
        step = round(1000 * max(-LARGEST_LEVEL, min(LARGEST_LEVEL, level)))
        points += [Point(name, value, step), Point(level_name, level, step)]
    return points


def split_finite(metrics: Mapping[str, float]) -> tuple[list[Point], dict[str, str]]:
    """Return the finite metrics as points, and the others by name as text (MLflow would store infinity as 1.8e308).

    Example:
        >>> split_finite({"a": 1.0, "b": float("nan")})[1]
        {'b': 'NaN'}
    """
    finite = [Point(param_key(name), float(value)) for name, value in metrics.items() if math.isfinite(value)]
    others = {param_key(name): float_text(value) for name, value in metrics.items() if not math.isfinite(value)}
    return finite, others


def non_finite_tag(others: Mapping[str, str]) -> str:
    """Return the text of the tag that keeps metrics which are not finite.

    Example:
        >>> read_non_finite(non_finite_tag({"b": "nan"}))
        {'b': nan}
    """
    return json.dumps(dict(others), ensure_ascii=False)


def read_non_finite(text: str | None) -> dict[str, float]:
    """Restore the metrics of that tag; empty where there is none or it cannot be read.

    Example:
        >>> read_non_finite(None)
        {}
    """
    try:
        return {name: float(value) for name, value in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
