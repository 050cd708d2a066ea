"""Intervals that hold for all rows of a table at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.bootstrap import ROWS_AT_ONCE, Studentised, exactly_zero
from paribus.stats.clusters import (
    ClusterSums,
    bootstrap_weights,
    by_size,
    join_units,
    supported_sums,
)
from paribus.stats.intervals import BOOTSTRAP_T, EXACT_ZERO, MIN_CLUSTERS, NONE, Bounds, settle

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

LARGEST_DF = 200
"""Student's t with more degrees of freedom than these is taken to be that with these."""
SPARSE = 0.5
"""A row is sparse if it rests on at most this share of the clusters that the fullest row rests on."""
OWN_TAIL = 0.01
"""Tail probability at which a sparse row's ``t*`` give the degrees of freedom of their scale."""


def max_t_interval(
    differences: ArrayLike | ClusterSums,
    clusters: ArrayLike,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    bounds: Bounds | None = None,
) -> tuple[Floats, Floats]:
    """Return simultaneous intervals of the mean of every row.

    All rows share their cluster resamples, and the critical value is the quantile of the largest ``|t*|`` of a
    resample, so the intervals use the dependence between the rows and are no wider than needed (Romano and Wolf
    2005, studentised max-t). ``|t*|`` counts on the scale of Student's t with ``clusters - 1`` degrees of freedom; any
    rising scale is valid.

    A row that few clusters move must not widen all others, as some resamples draw none of these clusters:

    * A row that so few clusters move that no signs of theirs reach ``p <= 1 - confidence`` (fewer than 6 of them for
      .95) cannot be established and is not in the family. It gets the reach of the others and is not covered jointly.
    * A sparse row, that rests on at most half as many clusters as the fullest row (counted by the effective number
      of those that move it), counts on the scale of the Student's t whose 1 % tails are those of its own ``t*``.

    Args:
        differences: Paired differences [rows, contexts]; NaN where a context does not support the row.
            Or their sums over clusters.
        clusters: Cluster id of each context [contexts].
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the means, to which the ends are cut.

    Returns:
        ``low`` [rows] and ``high`` [rows]; [0, 0] where all differences are exactly 0, NaN below 6 clusters and where
        all of them show the same difference other than 0.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> low, high = max_t_interval(rng.normal(1, 1, (3, 40)), np.arange(40), spec=StatsSpec(), rng=rng)
        >>> bool((low > 0).all()), low.shape
        (True, (3,))
    """
    sums = supported_sums(differences, clusters)
    k = sums.n_clusters
    zero = exactly_zero(sums)
    low, high = np.where(zero, 0.0, np.nan), np.where(zero, 0.0, np.nan)
    joined, counts = join_units((sums.sums, sums.counts), rng)
    usable = np.flatnonzero((k >= MIN_CLUSTERS) & ~zero)
    if len(usable):
        part = ClusterSums(joined[usable], counts[usable], sums.sd[usable])
        moving = np.count_nonzero(sums.sums[usable], axis=1)
        reach, se = _critical(part, 2.0 ** (1 - moving) <= 1 - spec.confidence, spec, rng)
        low[usable], high[usable] = part.means - reach * se, part.means + reach * se
    method = np.select([zero, k < MIN_CLUSTERS], [EXACT_ZERO, NONE], default=BOOTSTRAP_T)
    low, high, _ = settle(low, high, method, k, bounds=bounds)
    return low, high


def adjusted_intervals(
    sums: ClusterSums,
    own: tuple[Floats, Floats],
    tested: Bools,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    bounds: Bounds | None = None,
) -> tuple[Floats, Floats]:
    """Return the intervals that go with adjusted p-values [rows].

    Those of :func:`max_t_interval` over the tested rows (the family: of these, the rows that so few clusters move that
    they cannot be established do not count), never inside a row's own interval; a family of one keeps its
    own. Rows that are not tested, and rows without an interval of their own, have none.

    Args:
        sums: Differences by cluster.
        own: Ends of each row's own interval [rows].
        tested: Which rows make up the family [rows].
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the means, to which the ends are cut.
    """
    low, high = (np.where(tested, end, np.nan) for end in own)
    family = np.flatnonzero(~np.isnan(low) & ~exactly_zero(sums))
    if len(family) > 1:
        wide = max_t_interval(sums.rows(family), np.zeros(0), spec=spec, rng=rng, bounds=bounds)
        low[family], high[family] = np.fmin(low[family], wide[0]), np.fmax(high[family], wide[1])
    return low, high


def _critical(sums: ClusterSums, testable: Bools, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return how many standard errors each row's interval reaches [rows], and these standard errors [rows].

    Args:
        sums: The rows by cluster.
        testable: Which rows make up the family [rows]; all where none is.
        spec: Resamples and confidence.
        rng: Draws the resamples.
    """
    seed, k = int(rng.integers(2**63)), sums.sums.shape[1]

    def resamples() -> Iterator[Floats]:
        return bootstrap_weights(k, spec.n_bootstrap, np.random.default_rng(seed))

    own = _scales(sums, resamples)
    family = np.flatnonzero(testable) if testable.any() else np.arange(len(own))
    df, group = np.unique(own[family], return_inverse=True)
    blocks = by_size(len(family), ROWS_AT_ONCE)
    rows = [Studentised(sums.rows(family[block])) for block in blocks]
    tails = []
    for weights in resamples():
        largest = np.zeros((len(weights), len(df)))
        for block, part in zip(blocks, rows, strict=True):
            _raise_to(largest, np.abs(part.t(weights)), group[block])
        tails.append(stdtr(df, -largest).min(axis=1))
    # The least tail probability of a resample: its quantile is the tail that each row may have by itself.
    tail = float(np.quantile(np.concatenate(tails), 1 - spec.confidence))
    every = np.arange(len(own))
    se = np.concatenate([Studentised(sums.rows(every[block])).se for block in by_size(len(own), ROWS_AT_ONCE)])
    return np.asarray(-stdtrit(own, tail), dtype=np.float64), se


def _scales(sums: ClusterSums, resamples: Callable[[], Iterator[Floats]]) -> Floats:
    """Return the degrees of freedom of the scale of each row's ``t*`` [rows]."""
    moved = np.where(sums.sums != 0, sums.counts, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        support = np.nan_to_num(moved.sum(axis=1) ** 2 / (moved**2).sum(axis=1))
    df = np.minimum(sums.n_clusters - 1, LARGEST_DF).astype(np.float64)
    sparse = np.flatnonzero(support <= SPARSE * support.max(initial=0.0))
    for block in by_size(len(sparse), ROWS_AT_ONCE):
        rows = sparse[block]
        part = Studentised(sums.rows(rows))
        t = np.concatenate([np.abs(part.t(weights)) for weights in resamples()])
        found = np.quantile(t, 1 - 2 * OWN_TAIL, axis=0)
        lighter = -stdtrit(np.arange(1.0, LARGEST_DF + 1), OWN_TAIL)  # falls with the degrees of freedom
        df[rows] = np.clip(np.searchsorted(-lighter, -found, side="right"), 1, df[rows])
    return df


def _raise_to(largest: Floats, t: Floats, group: Ints) -> None:
    """Raise ``largest`` [draws, groups] to the largest ``t`` [draws, rows] of each group, in place."""
    for each in np.unique(group):
        np.maximum(largest[:, each], t[:, group == each].max(axis=1), out=largest[:, each])
