"""Means that the sign-flip test of whole clusters does not reject: an interval without any assumption on sizes."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Floats
from paribus.stats.clusters import ClusterSums, one_row_where_equal, random_bits

MOST_ENUMERATED = 12
"""Clusters up to which all sign patterns are enumerated."""
MOST_DRAWN = 10_000
"""The most patterns that are drawn above that."""


def unrejected_means(
    sums: ClusterSums, *, confidence: float, n_draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the lowest and the highest mean of each row that its two-sided sign-flip test does not reject [rows].

    Where each cluster's sum minus its size times the mean is symmetric about 0 the interval holds the mean with at
    least its confidence, whatever the sizes and the spreads of the clusters. A flip of some clusters is as extreme as
    what was observed exactly while the mean lies between the mean of these clusters and that of the others (as in
    :mod:`paribus.stats.inversion`, with sizes), so the ends are order statistics and 0 lies inside if and only if p
    is above ``1 - confidence``.

    Args:
        sums: Values by cluster; every row is supported by all clusters.
        confidence: Coverage.
        n_draws: Patterns drawn above 12 clusters (at most 10,000).
        rng: Draws them; the same for all rows.

    Returns:
        NaN where so few clusters cannot reject at this level.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> sums = reduce_to_clusters([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], np.arange(6))
        >>> low, high = unrejected_means(sums, confidence=0.95, n_draws=1000, rng=np.random.default_rng(0))
        >>> low.tolist(), high.tolist()
        ([1.0], [6.0])
    """
    k = sums.sums.shape[1]
    if k <= MOST_ENUMERATED:
        # a pattern and its mirror image count together
        flipped = (np.arange(1 << (k - 1))[:, None] >> np.arange(k) & 1).astype(np.float64)
    else:
        drawn = random_bits(k, min(n_draws, MOST_DRAWN), rng)
        flipped = np.concatenate([np.zeros((1, k)), *drawn])
    rejected = int(np.floor((1 - confidence) * len(flipped) + 1e-9))
    sizes = one_row_where_equal(sums.counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved, n = sums.sums @ flipped.T, sizes @ flipped.T
        these = moved / n
        others = (sums.sums.sum(axis=1, keepdims=True) - moved) / (sizes.sum(axis=1, keepdims=True) - n)
    every = ~((flipped != 0).any(axis=1) & (flipped == 0).any(axis=1))  # none or all flipped: as extreme at any mean
    low, high = np.minimum(these, others), np.maximum(these, others)
    low[:, every], high[:, every] = -np.inf, np.inf
    low = np.partition(low, rejected, axis=1)[:, rejected]
    high = -np.partition(-high, rejected, axis=1)[:, rejected]
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)
