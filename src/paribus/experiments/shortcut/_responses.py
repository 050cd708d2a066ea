"""Summaries of a whole curve with intervals over contexts: slopes in sd of the margin, and areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats, Ints
from paribus.stats.bootstrap import weighted_intervals
from paribus.stats.clusters import cluster_codes
from paribus.stats.intervals import EXACT_ZERO, NO_VALUES, SHARE
from paribus.stats.spec import StatsSpec


@dataclass(frozen=True)
class Summed:
    """A number with its interval over contexts.

    Attributes:
        value: The number.
        low: Lower end; NaN where there is none.
        high: Upper end.
        method: How it was made, or why there is none.
    """

    value: float
    low: float
    high: float
    method: str

    def ends(self, name: str) -> dict[str, Any]:
        """Return the columns ``<name>_ci_low, _ci_high, _ci_method``."""
        return {f"{name}_ci_low": self.low, f"{name}_ci_high": self.high, f"{name}_ci_method": self.method}


def slopes(levels: ArrayLike, values: Floats) -> Floats:
    """Return the least-squares slope on ``levels`` [k] of every row of ``values`` [k, ...]."""
    x = np.asarray(levels, dtype=np.float64)
    centred = x - x.mean()
    return np.asarray(np.tensordot(centred, values, axes=(0, 0)) / (centred**2).sum())


def area(levels: ArrayLike, differences: Floats) -> Floats:
    """Return the area between a curve and the line at its height at level 0, per unit of level.

    Both sides of the line count: a curve that rises on one side and falls on the other, or peaks at 0, has an area. It
    is 0 only for a curve that is flat, and cannot be negative, so noise alone gives a little.

    Args:
        levels: Ascending levels [k], at least two.
        differences: Curve minus its value at level 0, at every level [..., k]; straight in between.
    """
    x, d = np.asarray(levels, dtype=np.float64), np.asarray(differences, dtype=np.float64)
    left, right = np.abs(d[..., :-1]), np.abs(d[..., 1:])
    crosses = d[..., :-1] * d[..., 1:] < 0
    with np.errstate(invalid="ignore", divide="ignore"):
        height = np.where(crosses, (left**2 + right**2) / (2 * (left + right)), (left + right) / 2)
    return np.asarray((height * np.diff(x)).sum(axis=-1) / (x[-1] - x[0]))


def in_sd(shifts: Floats, margins: Floats, clusters: Ints, *, spec: StatsSpec, rng: np.random.Generator) -> Summed:
    """Return a mean shift in standard deviations of the margin, with an interval in which the sd varies too.

    Args:
        shifts: Shift of every context [n].
        margins: Margins that give the sd: of every context in one or several versions [versions, n].
        clusters: Cluster of every context [n].
        spec: Resamples and confidence.
        rng: Draws the resamples.

    Returns:
        NaN where a shift is, or where the margins do not vary.
    """
    if not np.isfinite(shifts).all():
        return Summed(float("nan"), float("nan"), float("nan"), NO_VALUES)
    codes, k = cluster_codes(clusters)
    centred = margins - margins.mean()
    moved, first, second = _sums(np.stack([shifts, centred.mean(axis=0), (centred**2).mean(axis=0)]), codes, k)
    size = np.bincount(codes, minlength=k).astype(np.float64)

    def ratio(weights: Floats) -> Floats:
        n = weights @ size
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = weights @ second / n - (weights @ first / n) ** 2
            return np.asarray((weights @ moved / n) / np.sqrt(np.where(variance > 0, variance, np.nan)))[:, None]

    low, high, method = weighted_intervals(ratio, size, spec=spec, rng=rng)
    return Summed(float(ratio(np.ones((1, k)))[0, 0]), float(low[0]), float(high[0]), str(method[0]))


def area_interval(
    levels: ArrayLike,
    differences: Floats,
    influence: Floats,
    clusters: Ints,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> Summed:
    """Return the area of a curve (see :func:`area`) with its interval, within 0 and 1.

    Args:
        levels: Ascending levels [k].
        differences: Curve minus its value at level 0 [k].
        influence: Each context's influence on ``differences`` [n, k], with mean 0.
        clusters: Cluster of every context [n].
        spec: Resamples and confidence.
        rng: Draws the resamples.

    Returns:
        NaN where the curve is unknown somewhere; exactly 0 where nothing moves any context.
    """
    if not np.isfinite(differences).all():
        return Summed(float("nan"), float("nan"), float("nan"), NO_VALUES)
    if not differences.any() and not influence.any():
        return Summed(0.0, 0.0, 0.0, EXACT_ZERO)
    codes, k = cluster_codes(clusters)
    sums, size = _sums(influence.T, codes, k), np.bincount(codes, minlength=k).astype(np.float64)

    def resampled(weights: Floats) -> Floats:
        moved = differences + weights @ sums.T / (weights @ size)[:, None]
        return area(levels, moved)[:, None]

    low, high, method = weighted_intervals(resampled, size, spec=spec, rng=rng, bounds=SHARE)
    return Summed(float(area(levels, differences)), float(low[0]), float(high[0]), str(method[0]))


def _sums(values: Floats, codes: Ints, k: int) -> Floats:
    """Return the sums over clusters [rows, clusters] of ``values`` [rows, n]."""
    return np.stack([np.bincount(codes, weights=row, minlength=k) for row in values])
