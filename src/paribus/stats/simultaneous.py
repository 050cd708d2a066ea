"""Intervals that hold for all rows of a table at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.bootstrap import ROWS_AT_ONCE, Studentised, exactly_zero
from paribus.stats.clusters import ClusterSums, bootstrap_weights, join_units, reduce_to_clusters
from paribus.stats.intervals import BOOTSTRAP_T, EXACT_ZERO, MIN_CLUSTERS, NONE, Bounds, settle

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

LARGEST_DF = 200
"""Student's t with more degrees of freedom than these is taken to be that with these."""


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
    2005, studentised max-t). ``|t*|`` counts on the scale of Student's t with ``clusters - 1`` degrees of freedom:
    any rising scale is valid, and with this one a row of few clusters does not widen all others.

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
    given = differences if isinstance(differences, ClusterSums) else reduce_to_clusters(differences, clusters)
    sums = given.supported()
    k = sums.n_clusters
    zero = exactly_zero(sums)
    low, high = np.where(zero, 0.0, np.nan), np.where(zero, 0.0, np.nan)
    joined, counts = join_units((sums.sums, sums.counts), rng)
    usable = np.flatnonzero((k >= MIN_CLUSTERS) & ~zero)
    if len(usable):
        part = ClusterSums(joined[usable], counts[usable], sums.sd[usable])
        reach, se = _critical(part, spec, rng)
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

    Those of :func:`max_t_interval` over the tested rows, never inside a row's own interval; a family of one keeps its
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


def _critical(sums: ClusterSums, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return how many standard errors each row's interval reaches [rows], and these standard errors [rows]."""
    df, group = np.unique(np.minimum(sums.n_clusters - 1, LARGEST_DF), return_inverse=True)
    blocks = [np.arange(start, min(start + ROWS_AT_ONCE, len(group))) for start in range(0, len(group), ROWS_AT_ONCE)]
    rows = [Studentised(sums.rows(block)) for block in blocks]
    tails = []
    for weights in bootstrap_weights(sums.sums.shape[1], spec.n_bootstrap, rng):
        largest = np.zeros((len(weights), len(df)))
        for block, part in zip(blocks, rows, strict=True):
            _raise_to(largest, np.abs(part.t(weights)), group[block])
        tails.append(stdtr(df, -largest).min(axis=1))
    # The least tail probability of a resample: its quantile is the tail that each row may have by itself.
    tail = float(np.quantile(np.concatenate(tails), 1 - spec.confidence))
    return np.asarray(-stdtrit(df, tail)[group], dtype=np.float64), np.concatenate([part.se for part in rows])


def _raise_to(largest: Floats, t: Floats, group: Ints) -> None:
    """Raise ``largest`` [draws, groups] to the largest ``t`` [draws, rows] of each group, in place."""
    for each in np.unique(group):
        np.maximum(largest[:, each], t[:, group == each].max(axis=1), out=largest[:, each])
