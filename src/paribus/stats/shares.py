"""Intervals of shares: they stay within 0 and 1, and say something where all or none of the rows agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.bootstrap import MIN_CLUSTERS
from paribus.stats.clusters import FloatArray, column_blocks, reduce_to_clusters

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec


def share_intervals(holds: ArrayLike, clusters: ArrayLike, *, spec: StatsSpec) -> tuple[FloatArray, FloatArray]:
    """Return the interval of each column's share of rows, rows coming in clusters.

    Wilson's (1927) score interval on the effective number of rows ``n / d`` (Korn and Graubard 1998; Dean
    and Pagano 2015), with ``t`` of ``clusters - 1`` degrees of freedom. The design effect ``d`` is the cluster-robust
    variance over that of independent rows, between 1 and ``sum_k n_k^2 / n``, which clusters of like rows have; where
    all rows agree there is no variance to learn it from, and the larger counts.

    Args:
        holds: 1 or 0 (or booleans) ``[n, k]``; NaN is left out.
        clusters: Cluster id of each row ``[n]``.
        spec: Confidence.

    Returns:
        ``low`` and ``high`` ``[k]``; NaN below 6 clusters.

    Raises:
        ValueError: If shapes disagree, or a value is neither 0 nor 1.
    """
    columns = np.asarray(holds)
    if columns.ndim != 2:
        raise ValueError(f"shares are taken of columns [n, k], got shape {columns.shape}")
    parts = [_wilson(some.astype(np.float64), clusters, spec.confidence) for some in column_blocks(columns)]
    low, high = np.concatenate(parts, axis=1)
    return low, high


def _wilson(columns: FloatArray, clusters: ArrayLike, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Return low and high of a few columns ``[n, k]``."""
    from scipy.stats import t as student

    if not np.isin(columns[~np.isnan(columns)], (0.0, 1.0)).all():
        raise ValueError("shares are of rows that hold something or not: every value must be 0, 1 or NaN")
    sums = reduce_to_clusters(columns.T, clusters)
    n, k, share = sums.n, sums.n_clusters, sums.means
    with np.errstate(invalid="ignore", divide="ignore"):
        most = (sums.counts**2).sum(axis=1) / n
        found = sums.standard_errors() ** 2 * n / (share * (1 - share))
        effect = np.where((share > 0) & (share < 1), np.clip(found, 1.0, most), most)
        quantile = student.ppf((1 + confidence) / 2, np.maximum(k - 1, 1))
        squared = effect * quantile**2 / n  # t^2 over the effective number of rows
        centre = (share + squared / 2) / (1 + squared)
        half = np.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
        low, high = np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
    return np.where(k >= MIN_CLUSTERS, low, np.nan), np.where(k >= MIN_CLUSTERS, high, np.nan)


def gap_interval(
    shares: tuple[ArrayLike, ArrayLike], low: tuple[ArrayLike, ArrayLike], high: tuple[ArrayLike, ArrayLike]
) -> tuple[FloatArray, FloatArray]:
    """Return the interval of the difference of two shares, from the interval of each.

    Newcombe's (1998, method 10) square-and-add, which leaves room for doubt where both groups agree. It takes the
    groups to be independent; clusters with rows in both make it too wide, never too narrow, as far as their rows are
    alike.

    Args:
        shares: The two shares, each ``[k]``; the second is taken from the first.
        low: Their lower ends.
        high: Their upper ends.
    """
    p, q = (np.asarray(share, dtype=np.float64) for share in shares)
    (p_low, q_low), (p_high, q_high) = ([np.asarray(end, dtype=np.float64) for end in ends] for ends in (low, high))
    gap = p - q
    return gap - np.hypot(p - p_low, q_high - q), gap + np.hypot(p_high - p, q - q_low)
