"""Intervals that hold for all rows of a table at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.bootstrap import MIN_CLUSTERS, studentised_draws
from paribus.stats.clusters import ClusterSums, FloatArray, join_units, reduce_to_clusters

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec


def max_t_interval(
    differences: ArrayLike | ClusterSums, clusters: ArrayLike, *, spec: StatsSpec, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return intervals of the mean of every row that hold together with the asked-for confidence.

    All rows share their cluster resamples; the critical value is the quantile of ``max_row |t*|``, so the intervals
    are as wide as the dependence between the rows demands and no wider (Romano and Wolf 2005, studentised max-t).

    Args:
        differences: Paired differences [rows, contexts]; NaN where a context does not support the row.
            Or their sums over clusters.
        clusters: Cluster id of each context [contexts].
        spec: Resamples and confidence.
        rng: Draws the resamples.

    Returns:
        ``low`` [rows] and ``high`` [rows]; NaN below 6 clusters, [0, 0] where all differences are exactly 0.
    """
    sums = differences if isinstance(differences, ClusterSums) else reduce_to_clusters(differences, clusters)
    joined, counts = join_units((sums.sums, sums.counts), rng)
    usable = np.flatnonzero(sums.n_clusters >= MIN_CLUSTERS)
    low, high = np.full(len(joined), np.nan), np.full(len(joined), np.nan)
    if len(usable):
        part = ClusterSums(joined[usable], counts[usable], sums.sd[usable])
        t, se = studentised_draws(part, spec.n_bootstrap, rng)
        critical = float(np.quantile(np.abs(t).max(axis=1), spec.confidence))
        low[usable], high[usable] = part.means - critical * se, part.means + critical * se
    zero = (sums.n > 0) & (sums.sums == 0).all(axis=1) & (np.nan_to_num(sums.sd) == 0)
    low[zero], high[zero] = 0.0, 0.0
    return low, high
