"""Confidence intervals by resampling whole clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import (
    ClusterSums,
    bootstrap_weights,
    by_size,
    join_units,
    one_row_where_equal,
    reduce_to_clusters,
    support_groups,
)
from paribus.stats.intervals import (
    BOOTSTRAP_T,
    EXACT_ZERO,
    NONE,
    ONE_DECIDES,
    PERCENTILE,
    Bounds,
    Methods,
    settle,
)
from paribus.stats.intervals import MIN_CLUSTERS as MIN_CLUSTERS
from paribus.stats.unrejected import unrejected_means

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

PERCENTILE_FROM = 200
"""From this many clusters on the percentile interval of a mean has its coverage; below, the studentised one is used.
Where a fifth of the clusters respond the percentile interval covers .88 at 40 clusters, .92 at 60 and .93 at 150, the
studentised one .93 to .95."""
EFFECTIVE_FROM = 100
"""The least effective number of clusters of a percentile interval: where one of 300 clusters has half of the contexts
the percentile interval covers .92, the studentised one .99."""
STATISTIC_PERCENTILE_FROM = 40
"""The same for other statistics, whose standard errors have to come from the jackknife."""
MOST_WIDENED = 0.4
"""The least tail probability of a bootstrap-t, as a fraction of the nominal one. At 6 clusters it makes intervals half
as wide again; without a bound more than twice as wide."""
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

    @classmethod
    def of(cls, low: Floats, high: Floats, method: Methods, *, scalar: bool) -> Interval:
        """Return the intervals of columns, or that of the only one."""
        return cls(float(low[0]), float(high[0]), str(method[0])) if scalar else cls(low, high, method)


def exactly_zero(sums: ClusterSums) -> Bools:
    """Return which rows are 0 in every context [rows].

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> exactly_zero(reduce_to_clusters([[0.0, 0.0], [1.0, -1.0]], [0, 0])).tolist()
        [True, False]
    """
    return np.asarray((sums.n > 0) & (sums.sums == 0).all(axis=1) & (np.nan_to_num(sums.sd) == 0), dtype=np.bool_)


def interval_methods(sums: ClusterSums) -> Methods:
    """Return the method of each row's interval [rows], by its clusters (see :func:`mean_intervals`).

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> interval_methods(reduce_to_clusters(np.random.default_rng(0).normal(size=(1, 50)), np.arange(50))).tolist()
        ['bootstrap_t']
    """
    k = sums.n_clusters
    few = (k < PERCENTILE_FROM) | (sums.effective < EFFECTIVE_FROM)
    return np.select([exactly_zero(sums), k < MIN_CLUSTERS, few], [EXACT_ZERO, NONE, BOOTSTRAP_T], default=PERCENTILE)


def mean_intervals(
    sums: ClusterSums, *, spec: StatsSpec, rng: np.random.Generator, bounds: Bounds | None = None
) -> tuple[Floats, Floats, Methods]:
    """Return ``low``, ``high`` and method of the interval of each row's mean (each [rows]).

    Below 200 clusters, or where they count for fewer than 100 of equal size, the bootstrap-t (Efron and Tibshirani
    1993, ch. 12.5; each resample is studentised by its own standard error, see :class:`Studentised`) with the tails of
    :func:`widened`, together with every mean that the sign-flip test does not reject
    (:func:`~paribus.stats.unrejected.unrejected_means`). Else the percentile interval (ch. 13). Values that are 0 in
    every context give [0, 0]; none below 6 clusters, nor where all clusters have the same value other than 0.

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
    flips = rng.spawn(1)[0]
    method = interval_methods(sums)
    low = np.where(method == EXACT_ZERO, 0.0, np.nan)
    high = low.copy()
    large = np.flatnonzero(method == PERCENTILE)
    for rows in (large[some] for some in by_size(len(large), ROWS_AT_ONCE)):
        low[rows], high[rows] = _percentile(sums.sums[rows], sums.counts[rows], spec, rng)
    for rows, clusters in support_groups(sums.counts, np.flatnonzero(method == BOOTSTRAP_T)):
        for some in (rows[each] for each in by_size(len(rows), ROWS_AT_ONCE)):
            part = ClusterSums(sums.sums[np.ix_(some, clusters)], sums.counts[np.ix_(some, clusters)], sums.sd[some])
            low[some], high[some] = _studentised(part, spec, rng, flips)
    return settle(low, high, method, sums.n_clusters, bounds=bounds)


def tails(spec: StatsSpec) -> tuple[float, float]:
    """Return the lower and upper tail probability of an interval.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> [round(tail, 3) for tail in tails(StatsSpec(confidence=0.95))]
        [0.025, 0.975]
    """
    return (1 - spec.confidence) / 2, (1 + spec.confidence) / 2


def widened(tail: ArrayLike, effective: ArrayLike) -> Floats:
    """Return the tail probability that a bootstrap-t takes in place of a nominal one.

    A resample holds some clusters more than once, and knows of no larger value than the largest that was seen. As in
    the expanded percentile interval (Hesterberg 2015, section 5.3) the normal quantile of the tail becomes that of
    Student's t with ``clusters - 1`` degrees of freedom, times ``sqrt(clusters / (clusters - 1))``. Clusters count by
    their effective number; the tail is at least two fifths of the nominal one.

    Args:
        tail: Nominal probability of one tail.
        effective: Effective number of clusters; fewer than 2 count as 2.

    Example:
        >>> widened(0.025, [6.0, 20.0, 200.0]).round(4).tolist()
        [0.01, 0.0159, 0.024]
    """
    k = np.maximum(effective, 2.0)
    nominal = np.asarray(tail, dtype=np.float64)
    return np.asarray(np.maximum(ndtr(stdtrit(k - 1, nominal) * np.sqrt(k / (k - 1))), MOST_WIDENED * nominal))


def _percentile(sums: Floats, counts: Floats, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    sums, counts = join_units((sums, counts), rng)
    sizes = one_row_where_equal(counts)
    draws = []
    for weights in bootstrap_weights(sums.shape[1], spec.n_bootstrap, rng):
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append((weights @ sums.T) / (weights @ sizes.T))
    return _quantiles(np.concatenate(draws), spec)


class Studentised:
    """Means in units of their own standard error, under resampled clusters.

    The standard error is that of leaving one cluster out, ``sum_k (m - m_without_k)^2`` (CR3: Bell and McCaffrey 2002;
    MacKinnon, Nielsen and Webb 2023). The usual one counts the scores ``S_k - m C_k``, which are small just where a
    large cluster draws the mean towards itself. A resample's own standard error counts as at least a tenth of the
    sample's (see :data:`LEAST_OWN`); where that is 0, or a resample drew no cluster that supports the row, ``t*`` is 0.

    Attributes:
        se: Standard error of each mean [rows].
    """

    def __init__(self, sums: ClusterSums) -> None:
        """Take the rows of ``sums``."""
        scores, counts, n = sums.residuals(), sums.counts, sums.n[:, None]
        size = np.abs(scores).max(axis=1, initial=0.0)
        size[size == 0] = 1.0
        self._size, self._scores = size, scores / size[:, None]  # squares of tiny effects must not underflow
        left_out = np.divide(n, n - counts, out=np.zeros_like(counts), where=counts < n) ** 2
        self._squares, self._mixed = self._scores**2 * left_out, self._scores * counts * left_out
        self._sizes = one_row_where_equal(counts)
        self._last = (counts**2 * left_out)[: len(self._sizes)]
        with np.errstate(invalid="ignore", divide="ignore"):
            self._se = np.nan_to_num(np.sqrt(self._squares.sum(axis=1)) / n[:, 0])
        self.se = self._se * size

    def t(self, weights: Floats, moves: Floats | None = None) -> Floats:
        """Return ``t* = (m* - m) / se*`` [draws, rows].

        Args:
            weights: Resampling counts [draws, clusters].
            moves: ``m* - m`` of statistics that the rows are the linear part of [draws, rows]; None: of the means.
        """
        n = weights @ self._sizes.T  # of whole numbers, so exact however it is summed
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = (weights @ self._scores.T) / n
            spread = weights @ self._squares.T - 2 * moved * (weights @ self._mixed.T)
            variance = (spread + moved**2 * (weights @ self._last.T)) / n**2
            own = np.sqrt(np.maximum(variance, (LEAST_OWN * self._se) ** 2))
            return np.where((self._se > 0) & (n > 0), (moved if moves is None else moves / self._size) / own, 0.0)


def _studentised(
    sums: ClusterSums, spec: StatsSpec, rng: np.random.Generator, flips: np.random.Generator
) -> tuple[Floats, Floats]:
    joined, counts = join_units((sums.sums, sums.counts), rng)
    units = ClusterSums(joined, counts, sums.sd)
    rows = Studentised(units)
    t = np.concatenate([rows.t(weights) for weights in bootstrap_weights(joined.shape[1], spec.n_bootstrap, rng)])
    return _together(sums.means, t, rows.se, units, spec, flips)


def _together(
    estimates: Floats, t: Floats, se: Floats, sums: ClusterSums, spec: StatsSpec, flips: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the ends of bootstrap-t intervals from draws ``t`` [draws, rows], with all that flips do not reject."""
    lower, upper = _tail_quantiles(t, widened(tails(spec)[0], sums.effective))
    drawn = estimates - np.maximum(upper, 0) * se, estimates - np.minimum(lower, 0) * se
    flipped = unrejected_means(sums, confidence=spec.confidence, n_draws=spec.n_bootstrap, rng=flips)
    return np.fmin(drawn[0], flipped[0]), np.fmax(drawn[1], flipped[1])


def _tail_quantiles(draws: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper quantile of each column of ``draws`` [draws, rows] at its own ``tail`` [rows].

    Undefined draws are left out; NaN without any other.
    """
    ordered = np.sort(draws, axis=0)  # NaN last
    last = np.maximum(np.isfinite(draws).sum(axis=0) - 1, 0)

    def at(share: Floats) -> Floats:
        place = share * last
        below = np.floor(place).astype(np.int64)
        first, second = (
            np.take_along_axis(ordered, each[None], axis=0)[0] for each in (below, np.minimum(below + 1, last))
        )
        return np.asarray(first + (place - below) * (second - first), dtype=np.float64)

    return at(tail), at(1 - tail)


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
    return Interval.of(low, high, method, scalar=scalar)


def weighted_intervals(
    statistics: Callable[[Floats], Floats],
    sizes: Floats,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    bounds: Bounds | None = None,
) -> tuple[Floats, Floats, Methods]:
    """Return intervals of several smooth statistics of cluster weights.

    Below an effective number of 40 clusters an interval as of a mean of few clusters (see :func:`mean_intervals`): by
    how much a statistic changes without a cluster gives the cluster's share in its linear part, and so the standard
    errors of the sample and of every resample, and the values that sign flips do not reject (Efron and Tibshirani
    1993, ch. 11 and 12; ``n_bootstrap + clusters`` evaluations are needed). From 40 on the percentile interval; none
    below 6, nor where a statistic is not defined without one of the clusters.

    Args:
        statistics: Function of cluster weights [draws, clusters] to values [draws, k].
        sizes: Size of each cluster, its weight in the statistics when all weights are 1 [clusters].
        spec: Resamples and confidence.
        rng: Draws the resamples.
        bounds: Range of the statistics, to which the ends are cut.

    Returns:
        ``low``, ``high`` and method [k] each.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> x, one = rng.normal(5, 1, 60), np.ones(60)
        >>> low, high, method = weighted_intervals(
        ...     lambda w: (w @ x / w.sum(1))[:, None], one, spec=StatsSpec(), rng=rng
        ... )
        >>> bool(low[0] < 5 < high[0]), method.tolist()
        (True, ['percentile'])
    """
    k, flips = len(sizes), rng.spawn(1)[0]
    estimate = statistics(np.ones((1, k)))[0]
    if k < MIN_CLUSTERS:
        return settle(np.full_like(estimate, np.nan), np.nan, NONE, k)
    every = bootstrap_weights(k, spec.n_bootstrap, rng)
    if sizes.sum() ** 2 / (sizes**2).sum() >= STATISTIC_PERCENTILE_FROM:
        low, high = _quantiles(np.concatenate([statistics(weights) for weights in every]), spec)
        return settle(low, high, PERCENTILE, k, bounds=bounds)
    without = statistics(1.0 - np.eye(k))
    decided = np.isfinite(estimate) & ~np.isfinite(without).all(axis=0)
    linear = _linear_part(estimate, np.where(np.isfinite(without), without, estimate), sizes)
    rows = Studentised(linear)
    t = np.concatenate([rows.t(weights, statistics(weights) - estimate) for weights in every])
    low, high = _together(estimate, t, rows.se, linear, spec, flips)
    low, high = np.where(np.isfinite(estimate) & ~decided, (low, high), np.nan)
    return settle(low, high, np.where(decided, ONE_DECIDES, BOOTSTRAP_T), k, bounds=bounds)


def _linear_part(estimates: Floats, without: Floats, sizes: Floats) -> ClusterSums:
    """Return the values by cluster whose mean moves as statistics do when one cluster is left out.

    Args:
        estimates: The statistics [k].
        without: Their values without each cluster [clusters, k].
        sizes: Size of each cluster [clusters].
    """
    scores = (estimates - without).T * (sizes.sum() - sizes)
    scores -= sizes * scores.sum(axis=1, keepdims=True) / sizes.sum()
    counts = np.broadcast_to(sizes, scores.shape)
    return ClusterSums(estimates[:, None] * counts + scores, counts, np.full(len(scores), np.nan))


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
