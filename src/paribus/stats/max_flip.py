"""Family-wise adjusted p of many mean effects on few clusters: max-statistic under shared sign flips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paribus.arrays import Floats
from paribus.stats.clusters import ClusterSums, chunk_sizes
from paribus.stats.permutation import draws_for

EXACT_CLUSTERS = 13
"""Clusters up to which all sign patterns are enumerated."""
TOLERANCE = 1e-9


def smallest_max_flip(n_clusters: int, n_permutations: int = 9999) -> float:
    """Return the smallest adjusted p that can be reached with ``n_clusters``.

    Example:
        >>> smallest_max_flip(12)
        0.00048828125
    """
    return 2.0 ** (1 - n_clusters) if n_clusters <= EXACT_CLUSTERS else 1 / (n_permutations + 1)


def max_flip(sums: ClusterSums, *, rng: np.random.Generator, n_permutations: int = 9999) -> Floats:
    """Return the adjusted p of every row ``[rows]``: two-sided, step-down, the dependence between rows kept.

    The sums of whole clusters are flipped in all rows at once; the statistic is ``|sum| / sqrt(sum of squares)``, on
    which flips act alike for rows of any scale; adjustment is Westfall and Young's (1993, algorithm 4.1) step-down
    maximum. Up to 13 clusters in which some row differs from 0 all sign patterns are enumerated, above that
    ``p = (b + 1) / (m + 1)``.

    Args:
        sums: The effects by cluster. A row without a supported value is left out of the family.
        rng: Draws flips above 13 clusters.
        n_permutations: Least number of flips drawn.

    Returns:
        NaN where a row has no value; 1 where it is 0 in every cluster.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> rows = np.stack([np.arange(1.0, 11.0), np.tile([1.0, -1.0], 5)])
        >>> max_flip(reduce_to_clusters(rows, np.arange(10)), rng=np.random.default_rng(0)).tolist()
        [0.00390625, 1.0]
    """
    known = np.flatnonzero(sums.n > 0)
    out = np.full(len(sums.sums), np.nan)
    if not len(known):
        return out
    scaled = of_length_1(sums.sums[known])
    observed = np.abs(scaled.sum(1))
    order = np.argsort(-observed, kind="stable")
    moving = scaled.any(axis=0)  # clusters of other splits are among the columns: flipping them changes nothing
    if 0 < moving.sum() <= EXACT_CLUSTERS:
        scaled = scaled[:, moving]
    k = scaled.shape[1]
    exact = k <= EXACT_CLUSTERS
    counts, total = np.zeros(len(known)), 0
    for signs in _signs(k, draws_for(len(known), n_permutations), rng):
        flipped = np.abs(scaled[order] @ signs.T)  # [rows, draws], the strongest row first
        largest = np.maximum.accumulate(flipped[::-1], axis=0)[::-1]
        counts += (largest >= observed[order, None] - TOLERANCE).sum(1)
        total += len(signs)
    p = counts / total if exact else (counts + 1) / (total + 1)
    out[known[order]] = np.minimum(1.0, np.maximum.accumulate(p))
    return out


def of_length_1(sums: Floats) -> Floats:
    """Return every row of sums over its length; rows of zeros stay."""
    size = np.sqrt((sums**2).sum(1, keepdims=True))
    return np.asarray(np.divide(sums, size, out=np.zeros_like(sums), where=size > 0))


def all_signs(k: int) -> Floats:
    """Return all patterns of ``k`` signs up to the sign of the whole ``[2 ** (k - 1), k]``.

    Example:
        >>> all_signs(2).tolist()
        [[1.0, 1.0], [1.0, -1.0]]
    """
    patterns = np.arange(2 ** max(0, k - 1))[:, None] >> np.arange(max(0, k - 1))[None] & 1
    return np.concatenate([np.ones((len(patterns), 1)), 1.0 - 2.0 * patterns], axis=1)


def _signs(k: int, drawn: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield patterns of signs ``[draws, clusters]``: all of them, or drawn ones."""
    if k <= EXACT_CLUSTERS:
        yield all_signs(k)
        return
    for size in chunk_sizes(drawn, 16 * k):
        yield 1.0 - 2.0 * rng.integers(0, 2, size=(size, k)).astype(np.float64)
