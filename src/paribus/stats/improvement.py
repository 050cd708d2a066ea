"""The probability that a run of one arm is better than a run of another, and the interquartile mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from paribus.arrays import Floats
from paribus.stats.bootstrap import Interval
from paribus.stats.few import LEAST_RUNS
from paribus.stats.intervals import too_few


def paired_improvement(differences: ArrayLike, confidence: float = 0.95) -> tuple[float, Interval]:
    """Return the share of pairs whose difference is above 0, ties counted half, with Wilson's interval.

    On average over true shares 95 % intervals cover .95; at single ones as little as .85 of 8 pairs and .93 of 20.

    Args:
        differences: One per pair [pairs].
        confidence: Of the interval.

    Example:
        >>> share, around = paired_improvement([0.2, 0.1, -0.1, 0.3])
        >>> share, round(around.low, 2), round(around.high, 2)
        (0.75, 0.3, 0.95)
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    share = float(((values > 0) + 0.5 * (values == 0)).mean())
    if n < LEAST_RUNS:
        return share, Interval(math.nan, math.nan, too_few(n, "pair"))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return share, Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale), "wilson")


def improvement(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> tuple[float, Interval]:
    """Return the probability that a run of ``a`` exceeds one of ``b``, ties counting half: U / (n_a n_b).

    The interval is Newcombe's (2006, Statistics in Medicine 25, method 5): the shares whose distance to the observed
    one is at most ``z`` standard errors, these by Hanley and McNeil at that share with equal arms. Where the sd of the
    arms differs fourfold 95 % intervals hold the share in .92 to .96 of 6 to 40 runs each, and in .86 to .90 where the
    arm of 6 beside 20 is the wider one.

    Args:
        a: Runs of one arm [n_a].
        b: Runs of the other [n_b].
        confidence: Of the interval.

    Example:
        >>> share, around = improvement([3, 4, 5, 6, 7], [1, 2, 3, 4, 5])
        >>> share, around.low < 0.82 < around.high
        (0.82, True)
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in (a, b))
    n, m = len(first), len(second)
    gaps = first[:, None] - second[None]
    share = float(((gaps > 0) + 0.5 * (gaps == 0)).mean())
    if min(n, m) < LEAST_RUNS:
        return share, Interval(math.nan, math.nan, too_few(min(n, m), "run"))
    z, more = float(stats.norm.ppf((1 + confidence) / 2)), (n + m) / 2 - 1

    def beyond(at: float) -> float:
        spread = at * (1 - at) * (1 + more * (1 - at) / (2 - at) + more * at / (1 + at)) / (n * m)
        return (share - at) ** 2 - z**2 * spread

    # 0 and 1 themselves have no spread, so that they solve it too where they are observed
    low = 0.0 if share <= 0 else brentq(beyond, 0.0, share * (1 - 1e-9))
    high = 1.0 if share >= 1 else brentq(beyond, share + (1 - share) * 1e-9, 1.0)
    return share, Interval(float(low), float(high), "newcombe_2006")


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half, fractions of a value at its ends counted as such.

    Example:
        >>> interquartile_mean([1.0, 2.0, 3.0, 100.0]), interquartile_mean([1.0, 2.0, 3.0, 4.0, 100.0])
        (2.5, 3.0)
    """
    ordered: Floats = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if not n:
        return math.nan
    # each value covers [i, i + 1) of n; what lies in [n / 4, 3 n / 4) counts
    places = np.arange(n, dtype=np.float64)
    weights = np.clip(np.minimum(places + 1, 0.75 * n) - np.maximum(places, 0.25 * n), 0.0, None)
    return float((weights * ordered).sum() / weights.sum())
