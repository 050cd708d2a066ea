"""Intervals of shares: they stay within 0 and 1, and keep their width where all rows agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from paribus.arrays import Floats, Ints
from paribus.stats.bootstrap import Studentised
from paribus.stats.clusters import cluster_codes, column_blocks, reduce_to_clusters
from paribus.stats.intervals import NEWCOMBE, NO_SAMPLE, SHARE, SHARE_GAP, WILSON, Methods, settle

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec


@dataclass(frozen=True)
class Shares:
    """Shares of rows with their intervals.

    Attributes:
        share: The shares ``[k]``.
        low: Lower ends ``[k]``; NaN where there is none.
        high: Upper ends ``[k]``.
        method: ``wilson`` or ``newcombe``, or ``none: ...`` with the reason ``[k]``.
        n_clusters: Clusters behind each ``[k]``.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> found = shares(np.array([[1], [0], [1], [1], [0], [1], [1]]), np.arange(7), spec=StatsSpec())
        >>> found.share.round(2).tolist(), found.n_clusters.tolist()
        ([0.71], [7])
    """

    share: Floats
    low: Floats
    high: Floats
    method: Methods
    n_clusters: Ints


def whole_shares(holds: ArrayLike) -> Shares:
    """Return each column's share of rows in a completely measured population, without an interval.

    Args:
        holds: 1 or 0 (or booleans) ``[n, k]``.

    Example:
        >>> found = whole_shares([[1, 0], [1, 1]])
        >>> found.share.tolist(), found.method.tolist()
        ([1.0, 0.5], ['none: population complete', 'none: population complete'])
    """
    table = np.asarray(holds, dtype=np.float64)
    n, k = table.shape
    missing = np.full(k, np.nan)
    return Shares(table.mean(0), missing, missing, np.full(k, NO_SAMPLE, dtype=object), np.full(k, n))


def shares(holds: ArrayLike, clusters: ArrayLike, *, spec: StatsSpec) -> Shares:
    """Return each column's share of rows with its interval, rows coming in clusters.

    Wilson's (1927) score interval on the effective number of rows ``n / d`` (Korn and Graubard 1998; Dean and Pagano
    2015), with ``t`` of ``effective clusters - 1`` degrees of freedom. The design effect ``d`` is the variance by
    leaving one cluster out over that of independent rows, between 1 and ``sum_k n_k^2 / n``, which clusters of like
    rows have; where all rows agree there is no variance to learn it from, and the larger counts.

    Args:
        holds: 1 or 0 (or booleans) ``[n, k]``; NaN is left out.
        clusters: Cluster id of each row ``[n]``.
        spec: Confidence.

    Raises:
        ValueError: If shapes disagree, or a value is neither 0 nor 1.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> found = shares(np.ones((20, 1)), np.arange(20), spec=StatsSpec())
        >>> [round(float(one[0]), 2) for one in (found.share, found.low, found.high)], found.method[0]
        ([1.0, 0.82, 1.0], 'wilson')
    """
    columns = np.asarray(holds)
    if columns.ndim != 2:
        raise ValueError(f"shares are taken of columns [n, k], got shape {columns.shape}")
    parts = [_wilson(some.astype(np.float64), clusters, spec.confidence) for some in column_blocks(columns)]
    share, low, high, k = (np.concatenate(each) for each in zip(*parts, strict=True))
    low, high, method = settle(low, high, WILSON, k, bounds=SHARE)
    return Shares(share, low, high, method, k.astype(np.int64))


def _wilson(columns: Floats, clusters: ArrayLike, confidence: float) -> tuple[Floats, Floats, Floats, Ints]:
    """Return share, low, high and clusters of a few columns ``[n, k]``."""
    if not np.isin(columns[~np.isnan(columns)], (0.0, 1.0)).all():
        raise ValueError("shares: every value must be 0, 1 or NaN")
    sums = reduce_to_clusters(columns.T, clusters)
    n, share = sums.n, sums.means
    with np.errstate(invalid="ignore", divide="ignore"):
        most = (sums.counts**2).sum(axis=1) / n
        found = Studentised(sums).se ** 2 * n / (share * (1 - share))
        effect = np.where((share > 0) & (share < 1), np.clip(found, 1.0, most), most)
        low, high = _score_interval(share, n, effect, sums.effective, confidence)
    return share, low, high, sums.n_clusters


def _score_interval(share: Floats, n: Floats, effect: Floats, k: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return Wilson's interval of shares of ``n / effect`` rows, with t of ``k - 1`` degrees of freedom."""
    quantile = student.ppf((1 + confidence) / 2, np.maximum(k - 1, 1.0))
    squared = effect * quantile**2 / n  # t^2 over the effective number of rows
    centre = (share + squared / 2) / (1 + squared)
    half = np.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def weighted_shares(
    holds: Floats, clusters: ArrayLike, weights: ArrayLike | None, *, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Return share, low and high of columns ``[n, k]`` whose rows all agree, each row with a weight.

    Wilson's interval on ``(sum_k W_k)^2 / sum_k W_k^2`` effective rows, ``W_k`` being a cluster's weight: the effective
    number of independent rows (Kish 1965).
    """
    codes, k = cluster_codes(clusters)
    rows = np.ones(len(codes)) if weights is None else np.asarray(weights, dtype=np.float64)
    of_clusters = np.bincount(codes, weights=rows, minlength=k)
    total = np.full(holds.shape[1], of_clusters.sum())
    effect = (of_clusters**2).sum() / total
    effective = total / effect
    share = np.clip(rows @ holds / rows.sum(), 0.0, 1.0)
    return share, *_score_interval(share, total, effect, effective, confidence)


def mean_of_shares(parts: Sequence[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return low and high of the mean of several shares, each given as share, low and high ``[k]``.

    Square-and-add, as Newcombe's for a difference (Zou and Donner 2008), for shares of different rows.
    """
    share, low, high = (np.stack(each) for each in zip(*parts, strict=True))
    mean = share.mean(axis=0)
    below, above = (np.sqrt(((share - end) ** 2).sum(axis=0)) / len(share) for end in (low, high))
    return mean - below, mean + above


def share_gap(first: Shares, second: Shares) -> Shares:
    """Return the difference of two shares of different rows, with the interval of :func:`gap_interval`.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> all_of_them = shares(np.ones((20, 1)), np.arange(20), spec=StatsSpec())
        >>> none = shares(np.zeros((20, 1)), np.arange(20), spec=StatsSpec())
        >>> gap = share_gap(all_of_them, none)
        >>> gap.share.tolist(), gap.low.round(2).tolist()
        ([1.0], [0.75])
    """
    both = (first.share, second.share), (first.low, second.low), (first.high, second.high)
    k = np.minimum(first.n_clusters, second.n_clusters)
    low, high, method = settle(*gap_interval(*both), NEWCOMBE, k, bounds=SHARE_GAP)
    return Shares(first.share - second.share, low, high, method, k)


def gap_interval(
    shares: tuple[ArrayLike, ArrayLike], low: tuple[ArrayLike, ArrayLike], high: tuple[ArrayLike, ArrayLike]
) -> tuple[Floats, Floats]:
    """Return the interval of the difference of two shares, from the interval of each.

    Newcombe's (1998, method 10) square-and-add, which keeps its width where all rows of both groups agree. It takes
    the groups to be independent; clusters with rows in both make it too wide, never too narrow, as far as their rows
    are alike.

    Args:
        shares: The two shares, each ``[k]``; the second is taken from the first.
        low: Their lower ends.
        high: Their upper ends.

    Example:
        >>> low, high = gap_interval(([0.9], [0.1]), ([0.8], [0.05]), ([0.95], [0.2]))
        >>> low.round(2).tolist(), high.round(2).tolist()
        ([0.66], [0.87])
    """
    p, q = (np.asarray(share, dtype=np.float64) for share in shares)
    (p_low, q_low), (p_high, q_high) = ([np.asarray(end, dtype=np.float64) for end in ends] for ends in (low, high))
    gap = p - q
    return gap - np.hypot(p - p_low, q_high - q), gap + np.hypot(p_high - p, q - q_low)
