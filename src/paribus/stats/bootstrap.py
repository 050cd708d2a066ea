"""Confidence intervals by resampling whole clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import (
    ClusterSums,
    bootstrap_weights,
    cluster_codes,
    join_units,
    reduce_to_clusters,
    scalar_or_array,
    support_groups,
)
from paribus.stats.intervals import (
    BOOTSTRAP_T,
    EXACT_ZERO,
    NONE,
    PERCENTILE,
    Bounds,
    Methods,
    settle,
)
from paribus.stats.intervals import MIN_CLUSTERS as MIN_CLUSTERS

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

PERCENTILE_FROM = 200
"""From this many clusters on the percentile interval of a mean has its coverage; below, the studentised one is used.
Where a fifth of the clusters respond the percentile interval covers .88 at 40 clusters, .92 at 60 and .93 at 150, the
studentised one .93 to .95."""
STATISTIC_PERCENTILE_FROM = 40
"""The same for other statistics, whose standard errors have to come from the jackknife."""
LEAST_OWN = 0.1
"""The least standard error of a resample, as a fraction of the sample's. Where most clusters show no effect, some
resamples have almost no variance; without a bound some intervals become a thousand times wider, and omitting such
resamples loses coverage (.87 against .92 at 20 clusters of which a fifth respond)."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end; a float, or an array where several statistics were asked for; NaN where there is none.
        high: Upper end, likewise.
        method: How it was made, or ``none: ...`` with the reason why there is none (:mod:`paribus.stats.intervals`);
            an array of these for several.

    Example:
        >>> Interval(0.1, 0.4, "bootstrap_t").high
        0.4
    """

    low: Any
    high: Any
    method: Any


def exactly_zero(sums: ClusterSums) -> Bools:
    """Return which rows are 0 in every context [rows].

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> exactly_zero(reduce_to_clusters([[0.0, 0.0], [1.0, -1.0]], [0, 0])).tolist()
        [True, False]
    """
    return np.asarray((sums.n > 0) & (sums.sums == 0).all(axis=1) & (np.nan_to_num(sums.sd) == 0), dtype=np.bool_)


def interval_methods(sums: ClusterSums) -> Methods:
    """Return the method of each row's interval [rows], by its number of clusters (see :func:`mean_intervals`).

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> interval_methods(reduce_to_clusters(np.random.default_rng(0).normal(size=(1, 50)), np.arange(50))).tolist()
        ['bootstrap_t']
    """
    k = sums.n_clusters
    return np.select(
        [exactly_zero(sums), k < MIN_CLUSTERS, k < PERCENTILE_FROM], [EXACT_ZERO, NONE, BOOTSTRAP_T], default=PERCENTILE
    )


def mean_intervals(
    sums: ClusterSums, *, spec: StatsSpec, rng: np.random.Generator, bounds: Bounds | None = None
) -> tuple[Floats, Floats, Methods]:
    """Return ``low``, ``high`` and method of the interval of each row's mean (each [rows]).

    Below 200 clusters the bootstrap-t (Efron and Tibshirani 1993, ch. 12.5; each resample is studentised by its own
    cluster-robust standard error), from there on the percentile interval (ch. 13). Values that are 0 in every context
    give [0, 0]; none below 6 clusters, nor where all clusters have the same value other than 0.

    Args:
        sums: Values by cluster.
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the mean, to which the ends are cut.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> sums = reduce_to_clusters(rng.normal([[0.0], [3.0]], 1.0, (2, 50)), np.arange(50))
        >>> low, high, method = mean_intervals(sums, spec=StatsSpec(), rng=rng)
        >>> (low > 0).tolist(), method.tolist()
        ([False, True], ['bootstrap_t', 'bootstrap_t'])
    """
    sums = sums.supported()
    method = interval_methods(sums)
    low = np.where(method == EXACT_ZERO, 0.0, np.nan)
    high = low.copy()
    large = np.flatnonzero(method == PERCENTILE)
    for start in range(0, len(large), ROWS_AT_ONCE):
        rows = large[start : start + ROWS_AT_ONCE]
        low[rows], high[rows] = _percentile(sums.sums[rows], sums.counts[rows], spec, rng)
    for rows, clusters in support_groups(sums.counts, np.flatnonzero(method == BOOTSTRAP_T)):
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            part = ClusterSums(sums.sums[np.ix_(some, clusters)], sums.counts[np.ix_(some, clusters)], sums.sd[some])
            low[some], high[some] = _studentised(part, spec, rng)
    return settle(low, high, method, sums.n_clusters, bounds=bounds)


def tails(spec: StatsSpec) -> tuple[float, float]:
    """Return the lower and upper tail probability of an interval.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> [round(tail, 3) for tail in tails(StatsSpec(confidence=0.95))]
        [0.025, 0.975]
    """
    return (1 - spec.confidence) / 2, (1 + spec.confidence) / 2


def _percentile(sums: Floats, counts: Floats, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    sums, counts = join_units((sums, counts), rng)
    sizes = _one_row_where_equal(counts)
    draws = []
    for weights in bootstrap_weights(sums.shape[1], spec.n_bootstrap, rng):
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append((weights @ sums.T) / (weights @ sizes.T))
    return _quantiles(np.concatenate(draws), spec)


def _one_row_where_equal(counts: Floats) -> Floats:
    """Return the first of the rows ``[rows, clusters]`` where all are equal, else all."""
    return counts[:1] if bool((counts == counts[0]).all()) else counts


def studentised_draws(sums: ClusterSums, n_draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return bootstrap draws ``t* = (m* - m) / se*`` [draws, rows] and the standard errors ``se`` [rows].

    All rows share their resamples (see :class:`Studentised`).

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> rng = np.random.default_rng(0)
        >>> draws, se = studentised_draws(reduce_to_clusters(rng.normal(size=(2, 30)), np.arange(30)), 100, rng)
        >>> draws.shape, se.shape
        ((100, 2), (2,))
    """
    rows = Studentised(sums)
    return np.concatenate([rows.t(weights) for weights in bootstrap_weights(sums.sums.shape[1], n_draws, rng)]), rows.se


class Studentised:
    """Means in units of their own standard error, under resampled clusters.

    A resample's own standard error counts as at least a tenth of the sample's (see :data:`LEAST_OWN`); where that is
    0, or a resample drew no cluster that supports the row, ``t*`` is 0.

    Attributes:
        se: Cluster-robust standard error of each mean [rows].
    """

    def __init__(self, sums: ClusterSums) -> None:
        """Take the rows of ``sums``."""
        scores, self.se = sums.residuals(), np.nan_to_num(sums.standard_errors())
        size = np.abs(scores).max(axis=1, initial=0.0)
        size[size == 0] = 1.0
        self._scores, unit_se = scores / size[:, None], self.se / size  # squares of tiny effects must not underflow
        self._counts, k = sums.counts, sums.n_clusters
        self._sizes = _one_row_where_equal(sums.counts)
        self._factor = k / np.maximum(k - 1, 1)
        self._least = LEAST_OWN * np.where(self.se > 0, unit_se, 1.0)

    def t(self, weights: Floats) -> Floats:
        """Return ``t* = (m* - m) / se*`` [draws, rows] of resampling counts ``weights`` [draws, clusters]."""
        scores, counts = self._scores, self._counts
        sizes = self._sizes.T
        n = weights @ sizes  # of whole numbers, so exact however it is summed
        with np.errstate(invalid="ignore", divide="ignore"):
            delta = (weights @ scores.T) / n
            spread = weights @ (scores**2).T - 2 * delta * (weights @ (scores * counts).T)
            variance = self._factor * (spread + delta**2 * (weights @ sizes**2)) / n**2
            own = np.sqrt(np.maximum(variance, self._least**2))
            return np.where((self.se > 0) & (n > 0), delta / own, 0.0)


def _studentised(sums: ClusterSums, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    t, se = studentised_draws(sums, spec.n_bootstrap, rng)
    lower, upper = np.quantile(t, tails(spec), axis=0)
    return sums.means - np.maximum(upper, 0) * se, sums.means - np.minimum(lower, 0) * se


def cluster_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    bounds: Bounds | None = None,
) -> Interval:
    """Return the interval of the mean of values that come in clusters.

    Args:
        values: Values [n], or several columns [n, k]; NaN is left out.
        clusters: Cluster id of each row [n].
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the mean, to which the ends are cut.

    Returns:
        The interval; its fields are floats for [n] and arrays [k] for [n, k].

    Raises:
        ValueError: If shapes disagree.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> found = cluster_interval(rng.normal(5, 1, 300), np.repeat(np.arange(30), 10), spec=StatsSpec(), rng=rng)
        >>> found.low < 5 < found.high, found.method
        (True, 'bootstrap_t')
    """
    columns = np.asarray(values, dtype=np.float64)
    scalar = columns.ndim == 1
    columns = columns[:, None] if scalar else columns
    low, high, method = mean_intervals(reduce_to_clusters(columns.T, clusters), spec=spec, rng=rng, bounds=bounds)
    return Interval(
        scalar_or_array(low, scalar=scalar),
        scalar_or_array(high, scalar=scalar),
        str(method[0]) if scalar else method,
    )


def cluster_statistic_interval(
    statistic: Callable[[Floats], float],
    clusters: ArrayLike,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> Interval:
    """Return the interval of any statistic of weighted rows (accuracy, AUROC, a slope).

    Args:
        statistic: Function of row weights [n] (non-negative, 1 each in the original sample) to a float; it may
            return NaN where it is undefined (a class has no weight), such resamples are left out.
        clusters: Cluster id of each row [n].
        spec: Resamples and confidence.
        rng: Draws the resamples.

    Returns:
        Bootstrap-t below 40 clusters, percentile from 40 on, none below 6 (see :func:`weighted_intervals`).

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(5, 1, 60)
        >>> def mean(weights):
        ...     return (weights * x).sum() / weights.sum()
        >>> found = cluster_statistic_interval(mean, np.arange(60), spec=StatsSpec(), rng=rng)
        >>> found.low < 5 < found.high, found.method
        (True, 'percentile')
    """
    codes, k = cluster_codes(clusters)

    def of_clusters(weights: Floats) -> Floats:
        return np.array([[statistic(row)] for row in weights[:, codes]], dtype=np.float64)

    low, high, method = weighted_intervals(of_clusters, k, spec=spec, rng=rng)
    return Interval(float(low[0]), float(high[0]), str(method[0]))


def weighted_intervals(
    statistics: Callable[[Floats], Floats],
    n_clusters: int,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    bounds: Bounds | None = None,
) -> tuple[Floats, Floats, Methods]:
    """Return intervals of several smooth statistics of cluster weights.

    Below 40 clusters a bootstrap-t whose standard errors come from the jackknife influence values ``U_k`` of the
    clusters (Efron and Tibshirani 1993, ch. 11 and 12): ``se*^2`` is the variance of the resampled ``U``, so only
    ``n_bootstrap + n_clusters`` evaluations are needed; from 40 on the percentile interval; none below 6.

    Args:
        statistics: Function of cluster weights [draws, clusters] to values [draws, k].
        n_clusters: Number of clusters.
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the statistics, to which the ends are cut.

    Returns:
        ``low``, ``high`` and method [k] each.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(5, 1, 60)
        >>> low, high, method = weighted_intervals(lambda w: (w @ x / w.sum(1))[:, None], 60, spec=StatsSpec(), rng=rng)
        >>> bool(low[0] < 5 < high[0]), method.tolist()
        (True, ['percentile'])
    """
    ones = np.ones((1, n_clusters))
    estimate = statistics(ones)[0]
    if n_clusters < MIN_CLUSTERS:
        return settle(np.full_like(estimate, np.nan), np.nan, NONE, n_clusters)
    if n_clusters >= STATISTIC_PERCENTILE_FROM:
        draws = np.concatenate([statistics(w) for w in bootstrap_weights(n_clusters, spec.n_bootstrap, rng)])
        low, high = _quantiles(draws, spec)
        return settle(low, high, PERCENTILE, n_clusters, bounds=bounds)
    without = statistics(1.0 - np.eye(n_clusters))
    defined = np.isfinite(without)
    centre = np.where(defined, without, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    influence = (n_clusters - 1) * (centre - np.where(defined, without, centre))
    se = np.sqrt((influence**2).sum(axis=0) / (n_clusters * (n_clusters - 1)))
    shifts: list[Floats] = []
    own: list[Floats] = []
    for weights in bootstrap_weights(n_clusters, spec.n_bootstrap, rng):
        shifts.append(statistics(weights) - estimate)
        mean = weights @ influence / n_clusters
        own.append((weights @ influence**2 / n_clusters - mean**2) / (n_clusters - 1))
    variance = np.concatenate(own)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.concatenate(shifts) / np.sqrt(np.maximum(variance, (LEAST_OWN * se) ** 2))
    lower, upper = _quantiles(np.where(se > 0, t, 0.0), spec)
    low, high = estimate - np.maximum(upper, 0) * se, estimate - np.minimum(lower, 0) * se
    return settle(low, high, BOOTSTRAP_T, n_clusters, bounds=bounds)


def _quantiles(draws: Floats, spec: StatsSpec) -> tuple[Floats, Floats]:
    undefined: Bools = ~np.isfinite(draws)
    if not undefined.any():
        low, high = np.quantile(draws, tails(spec), axis=0)
        return low, high
    columns: Ints = np.flatnonzero(~undefined.all(axis=0))
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    if not len(columns):
        return low, high
    finite = np.where(undefined, np.nan, draws)[:, columns]
    low[columns], high[columns] = np.nanquantile(finite, tails(spec), axis=0)
    return low, high
