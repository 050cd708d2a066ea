"""Trend over ordered levels, tested by permuting levels within whole clusters."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import chunk_sizes, cluster_codes, join_units
from paribus.stats.permutation import EXACT_FLIPS, as_extreme

TABLE_ELEMENTS = 1 << 22
DRAWN_ELEMENTS = 4_000_000
MAX_PERMUTED = 64
"""Above this many clusters, random blocks of them are permuted: the loss is that of 63 degrees of freedom."""


@dataclass(frozen=True)
class Trend:
    """A test for a trend over ordered levels.

    Attributes:
        statistic: Page's L.
        p: Its p-value; NaN where nothing could be tested.
        method: ``exact``, ``monte_carlo`` or ``none``.
        rho: The trend from -1 to 1: the mean over contexts of the rank correlation of value and level; NaN where all
            values tie.
        n: Contexts used: those with a value at every level.
        n_clusters: Their clusters.
    """

    statistic: float
    p: float
    method: str
    rho: float
    n: int
    n_clusters: int


def trend(
    values: ArrayLike,
    clusters: ArrayLike,
    levels: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 9999,
) -> Trend:
    """Test whether values rise or fall with the level, all contexts measured at all levels.

    Under the hypothesis the levels of a context are exchangeable; a permutation of the levels is drawn per cluster
    and applied to all its contexts, whose values are ranked within each (Page 1963, ``L = sum_j j R_j``, mid-ranks for
    ties).

    Args:
        values: Values [contexts, levels]; contexts with NaN are left out.
        clusters: Cluster id of each context [contexts].
        levels: Value of each level [levels]; only their order counts.
        rng: Draws the permutations where they cannot be enumerated.
        n_permutations: Monte Carlo draws.

    Raises:
        ValueError: If shapes disagree.
    """
    table, ids, steps = np.asarray(values, dtype=np.float64), np.asarray(clusters), np.asarray(levels, dtype=np.float64)
    if table.ndim != 2 or table.shape != (len(ids), len(steps)):
        raise ValueError(f"values of shape {table.shape} do not fit {len(ids)} contexts and {len(steps)} levels")
    page = PageSums(ids, steps)
    page.add(table, np.arange(len(ids)))
    return page.trend(rng=rng, n_permutations=n_permutations)


class PageSums:
    """Ranks of the levels within each context, added up by cluster as blocks of contexts come."""

    def __init__(self, clusters: ArrayLike, levels: ArrayLike) -> None:
        """Start without values.

        Args:
            clusters: Cluster id of each of all contexts ``[contexts]``.
            levels: Value of each level ``[levels]``; only their order counts.
        """
        steps = np.asarray(levels, dtype=np.float64)
        self._cluster, k = cluster_codes(clusters)
        self._position, self._n_steps = rankdata(steps), len(np.unique(steps))
        self._sums = np.zeros((k, len(steps)))
        self._seen: Bools = np.zeros(k, dtype=np.bool_)
        self._n, self._l, self._correlations, self._moving = 0, 0.0, 0.0, 0

    def add(self, values: Floats, columns: Ints) -> None:
        """Add the values ``[b, levels]`` of contexts ``columns [b]``; contexts with NaN are left out."""
        kept = ~np.isnan(values).any(axis=1)
        if not kept.any():
            return
        ranks, units = rankdata(values[kept], axis=1), self._cluster[columns[kept]]
        np.add.at(self._sums, units, ranks)
        self._seen[units] = True
        deviation, scores = ranks - ranks.mean(axis=1, keepdims=True), self._position - self._position.mean()
        size = np.sqrt((deviation**2).sum(axis=1) * (scores**2).sum())
        moving = size > 0
        self._n += len(ranks)
        self._l += float((ranks @ self._position).sum())
        self._correlations += float((deviation[moving] @ scores / size[moving]).sum())
        self._moving += int(moving.sum())

    def trend(self, *, rng: np.random.Generator, n_permutations: int = 9999) -> Trend:
        """Return Page's test of all that was added (see :func:`trend`)."""
        nan, k = float("nan"), int(self._seen.sum())
        if not self._n or self._n_steps < 2:
            return Trend(nan, nan, "none", nan, self._n, k)
        scores = self._position - self._position.mean()
        p, method = _permute(self._sums[self._seen], scores, rng, n_permutations)
        rho = self._correlations / self._n if self._moving else nan
        return Trend(self._l, p, method, rho, self._n, k)


def _permute(sums: Floats, scores: Floats, rng: np.random.Generator, m: int) -> tuple[float, str]:
    sums = sums - sums.mean(axis=1, keepdims=True)
    size = np.abs(sums).max(axis=1, initial=0.0)
    sums = sums[size > 1e-9 * max(1.0, float(size.max(initial=0.0)))]
    if not len(sums):
        return 1.0, "exact"
    observed = np.array([(sums @ scores).sum()])
    tolerance = np.array([1e-10 * np.abs(sums).sum() * np.abs(scores).max()])
    k, n_levels = sums.shape
    if k * math.log(math.factorial(n_levels)) <= math.log(EXACT_FLIPS):
        totals = np.zeros(1)
        for row in _arrangements(sums, scores):
            totals = (totals[:, None] + row).ravel()
        return float(as_extreme(totals[:, None], observed, tolerance)[0] / len(totals)), "exact"
    b = 0.0
    for totals in _drawn(sums, scores, rng, m):
        b += float(as_extreme(totals[:, None], observed, tolerance)[0])
    return (b + 1) / (m + 1), "monte_carlo"


def _arrangements(sums: Floats, scores: Floats) -> Floats:
    """Return the statistic of each cluster under every arrangement of its levels [clusters, arrangements]."""
    return np.asarray(sums @ scores[_orders(len(scores))].T, dtype=np.float64)


@functools.lru_cache(maxsize=4)
def _orders(n: int) -> Ints:
    """Return all orders of ``n`` levels ``[n!, n]``; those of eight take 8 ms to list and 2.6 MB to keep."""
    return np.array(list(itertools.permutations(range(n))))


def _drawn(sums: Floats, scores: Floats, rng: np.random.Generator, m: int) -> list[Floats]:
    (units,) = (matrix.T for matrix in join_units((sums.T,), rng, limit=MAX_PERMUTED))
    n_levels = len(scores)
    if n_levels <= 8 and len(units) * math.factorial(n_levels) <= TABLE_ELEMENTS:
        table = _arrangements(units, scores)
        rows = np.arange(len(units))
        return [
            table[rows, rng.integers(0, table.shape[1], size=(size, len(units)))].sum(axis=1)
            for size in chunk_sizes(m, len(units))
        ]
    # Long tables of levels: fewer, larger blocks of clusters keep the number of drawn permutations bounded.
    limit = max(32, DRAWN_ELEMENTS // (m * n_levels))
    (units,) = (matrix.T for matrix in join_units((units.T,), rng, limit=limit))
    found = []
    for size in chunk_sizes(m, units.size):
        drawn = rng.permuted(np.broadcast_to(scores, (size * len(units), n_levels)), axis=1)
        found.append((drawn.reshape(size, -1) @ units.ravel()).astype(np.float64))
    return found
