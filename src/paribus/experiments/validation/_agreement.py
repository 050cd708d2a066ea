"""How far two halves of the data agree on a vector of effects, and how far they would by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import ClusterSums, cluster_codes

LEAST_ENTRIES = 6
"""Entries below which a correlation says nothing."""
ZERO = 1e-12
"""Share of the largest entry below which the spread of a vector is rounding."""


@dataclass(frozen=True)
class Agreement:
    """The agreement of two halves.

    Attributes:
        r: Correlation of the halves' vectors for each split ``[splits]``; NaN where a half's vector is constant.
        null: Mean correlation over the splits of the test under each null draw ``[draws]``.
        statistic: The same mean on the data as they are.
        p: Share of draws (the data among them) with a mean at least as high; 1 where the statistic is not defined.
    """

    r: Floats
    null: Floats
    statistic: float
    p: float

    @property
    def mean_r(self) -> float:
        """Mean correlation over all splits; NaN where no split has one."""
        return mean_of(self.r)

    @property
    def reliability(self) -> float | None:
        """Correlation expected of vectors from all of the data (Spearman 1910, Brown 1910); None unless r > 0."""
        return 2 * self.mean_r / (1 + self.mean_r) if self.mean_r > 0 else None


def mean_of(r: Floats) -> float:
    """Return the mean of the splits that have a correlation; NaN where none has."""
    known = np.isfinite(r)
    return float(r[known].mean()) if known.any() else float("nan")


def halved(n_clusters: int, n_splits: int, rng: np.random.Generator) -> Bools:
    """Return which clusters are in the first half, ``[splits, clusters]``: half of them (rounded down)."""
    first = np.zeros(n_clusters, bool)
    first[: n_clusters // 2] = True
    return np.asarray(rng.permuted(np.tile(first, (n_splits, 1)), axis=1))


def split_clusters(clusters: Ints, n_splits: int, rng: np.random.Generator) -> Bools:
    """Return which contexts are in the first half, ``[splits, n]``: whole clusters, half of them (rounded down)."""
    codes, k = cluster_codes(clusters)
    return halved(k, n_splits, rng)[:, codes]


def correlations(a: Floats, b: Floats) -> Floats:
    """Return Pearson's correlation of ``a`` and ``b`` ``[entries, splits]`` over the entries that both have."""
    known = np.isfinite(a) & np.isfinite(b)
    n = known.sum(0)

    def deviations(values: Floats) -> tuple[Floats, Floats]:
        filled = np.where(known, values, 0.0)
        centred = np.where(known, filled - filled.sum(0) / np.maximum(n, 1), 0.0)
        scale = np.sqrt((centred**2).sum(0))
        scale[scale <= ZERO * np.abs(filled).max(0, initial=0.0) * np.sqrt(np.maximum(n, 1))] = 0.0
        return centred, scale

    (da, sa), (db, sb) = deviations(a), deviations(b)
    out = np.full(a.shape[1], np.nan)
    fine = (n >= LEAST_ENTRIES) & (sa > 0) & (sb > 0)
    out[fine] = np.clip((da * db).sum(0)[fine] / (sa * sb)[fine], -1.0, 1.0)
    return out


def interventional(reduced: ClusterSums, first: Bools, n_draws: int, rng: np.random.Generator) -> Agreement:
    """Compare halves of paired differences; null: the sign of every cluster's differences is drawn at random.

    Args:
        reduced: The differences by cluster (or by joined clusters), one row per entry.
        first: Clusters of the first half, ``[splits, clusters]``.
        n_draws: Number of sign patterns.
        rng: Draws them.
    """
    k = reduced.sums.shape[1]
    halves = first.T.astype(np.float64)
    counts = np.stack([reduced.counts @ halves, reduced.counts @ (1.0 - halves)])

    def compare(signs: Floats) -> Floats:
        sums = reduced.sums * signs
        part = sums @ halves
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.stack([part, sums.sum(1, keepdims=True) - part]) / counts
        return correlations(means[0], means[1])

    r = compare(np.ones(k))
    null = np.array([mean_of(compare(rng.choice((-1.0, 1.0), k))) for _ in range(n_draws)])
    return _tested(r, mean_of(r), null)


def observational(
    vector: Callable[[int | None, Ints], Floats], first: Bools, n_draws: int, n_test_splits: int
) -> Agreement:
    """Compare halves on which an observational vector is computed anew; null: the same with shuffled activations.

    Args:
        vector: From the number of a shuffle (None: the data as they are) and rows to the vector ``[entries]``.
        first: Rows of the first half, ``[splits, n]``.
        n_draws: Number of shuffles.
        n_test_splits: Splits that the tested mean is taken over, on the data and under each shuffle alike.
    """

    def compare(shuffle: int | None, splits: Bools) -> Floats:
        halves = [(vector(shuffle, np.flatnonzero(half)), vector(shuffle, np.flatnonzero(~half))) for half in splits]
        return correlations(np.array([a for a, _ in halves]).T, np.array([b for _, b in halves]).T)

    r = compare(None, first)
    tested = first[:n_test_splits]
    null = np.array([mean_of(compare(draw, tested)) for draw in range(n_draws)])
    return _tested(r, mean_of(r[:n_test_splits]), null)


def _tested(r: Floats, statistic: float, null: Floats) -> Agreement:
    """One-sided: only agreement counts. A draw without a correlation counts as agreeing, which never helps."""
    if np.isnan(statistic):
        return Agreement(r, null, statistic, 1.0)
    reached = int((~(null < statistic - 1e-12)).sum())
    return Agreement(r, null, statistic, (reached + 1) / (len(null) + 1))
