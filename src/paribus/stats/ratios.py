"""Ratios of means over the same clusters: each of several effects as a share of a total effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.stats.bootstrap import EFFECTIVE_FROM, LEAST_OWN, PERCENTILE_FROM, Studentised, tails, widened
from paribus.stats.clusters import ClusterSums, bootstrap_weights
from paribus.stats.intervals import (
    BOOTSTRAP_T,
    EXACT_ZERO,
    MIN_CLUSTERS,
    NO_SAMPLE,
    ONE_DECIDES,
    PERCENTILE,
    Methods,
    settle,
)
from paribus.stats.spec import StatsSpec

LEAST_ERRORS = 3
"""A total effect of fewer standard errors than this is not used as a denominator."""

ROUNDING = 1e-12
"""What is smaller than this share of the largest cluster is the rounding of the sums."""


@dataclass(frozen=True)
class Ratios:
    """Ratios with their intervals.

    Attributes:
        value: The ratios ``[rows]``; NaN where there are none.
        low: Lower ends ``[rows]``.
        high: Upper ends ``[rows]``.
        method: How each interval was made; none: why there is none ``[rows]``.

    Example:
        >>> one = np.array([0.5])
        >>> Ratios(one, one - 0.1, one + 0.1, np.array(["percentile"], object)).method.tolist()
        ['percentile']
    """

    value: Floats
    low: Floats
    high: Floats
    method: Methods


def ratios_to(
    total: ClusterSums,
    sums: ClusterSums,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    otherwise: str = "the whole is not established",
    complete: bool = False,
) -> Ratios:
    """Return the ratio of each row's mean to the mean of a whole, with an interval over clusters.

    Numerator and denominator come from the same cluster resamples, so that what they have in common cancels. Below 200
    clusters, or where they count for fewer than 100 of equal size, each resample's ratio is divided by its own standard
    error (Efron and Tibshirani 1993, ch. 12.5): that of leaving one cluster out, linearised (Cochran 1977, ch. 6), with
    the tails of :func:`~paribus.stats.bootstrap.widened`. Else percentiles.

    Args:
        total: The whole, one row, by cluster.
        sums: The parts ``[rows]`` over the same contexts and clusters.
        spec: Confidence and number of resamples.
        rng: Draws the resamples.
        otherwise: Why there is no ratio where the whole is too near 0.
        complete: Whether these are all contexts there are: then ratios are known, without an interval, and missing only
            where the whole is 0.

    Returns:
        NaN with the reason where there are fewer than 6 clusters, or where the whole is within three of its standard
        errors of 0, or has another sign without one of the clusters. [0, 0] where a part is 0 in every cluster, no
        interval where all clusters have the same ratio.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> rng = np.random.default_rng(0)
        >>> whole = rng.normal(4, 1, (1, 40))
        >>> parts = np.concatenate([whole / 2 + rng.normal(0, 0.1, 40), whole])
        >>> total, sums = (reduce_to_clusters(each, np.arange(40)) for each in (whole, parts))
        >>> found = ratios_to(total, sums, spec=StatsSpec(), rng=rng)
        >>> found.value.round(1).tolist(), found.method.tolist()
        ([0.5, 1.0], ['bootstrap_t', 'none: units are equal'])
    """
    nothing = np.full(len(sums.sums), np.nan)

    def none(why: str, value: Floats = nothing) -> Ratios:
        return Ratios(value, nothing, nothing, np.full(len(nothing), why, dtype=object))

    there = total.counts[0] > 0
    whole, parts = total.sums[0, there], sums.sums[:, there]
    if complete:
        return none(NO_SAMPLE, parts.sum(1) / whole.sum() if whole.sum() else nothing)
    clusters = int(total.n_clusters[0])
    if clusters < MIN_CLUSTERS:
        return none(f"none: {clusters} clusters, an interval needs {MIN_CLUSTERS}")
    if not abs(float(total.means[0])) > LEAST_ERRORS * float(Studentised(total).se[0]):
        return none(f"none: {otherwise}")
    value = parts.sum(1) / whole.sum()
    effective = float(total.effective[0])
    if clusters >= PERCENTILE_FROM and effective >= EFFECTIVE_FROM:
        return Ratios(value, *_settled(*_percentile(whole, parts, spec, rng), parts, PERCENTILE))
    if (whole.sum() * (whole.sum() - whole) <= 0).any():
        return none(ONE_DECIDES, value)
    return Ratios(value, *_settled(*_studentised(whole, parts, effective, spec, rng), parts, BOOTSTRAP_T))


def _settled(low: Floats, high: Floats, parts: Floats, name: str) -> tuple[Floats, Floats, Methods]:
    method = np.where((parts == 0).all(1), EXACT_ZERO, name)
    return settle(low, high, method.astype(object), parts.shape[1])


def _percentile(whole: Floats, parts: Floats, spec: StatsSpec, rng: np.random.Generator) -> tuple[Floats, Floats]:
    drawn = [
        (weights @ parts.T) / (weights @ whole)[:, None]
        for weights in bootstrap_weights(len(whole), spec.n_bootstrap, rng)
    ]
    low, high = np.quantile(np.concatenate(drawn), tails(spec), axis=0)
    return low, high


def _studentised(
    whole: Floats, parts: Floats, effective: float, spec: StatsSpec, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return ``r - t* se``, where ``se^2 = sum (S - r T)^2 / (sum T without the cluster)^2`` over clusters."""
    value = parts.sum(1) / whole.sum()
    scores = parts - value[:, None] * whole
    scores[np.abs(scores) <= ROUNDING * (np.abs(parts) + np.abs(value[:, None] * whole)).max(1, keepdims=True)] = 0.0
    left_out = (whole.sum() / (whole.sum() - whole)) ** 2
    se = np.sqrt((scores**2 * left_out).sum(1)) / abs(whole.sum())
    drawn = []
    for weights in bootstrap_weights(len(whole), spec.n_bootstrap, rng):
        with np.errstate(invalid="ignore", divide="ignore"):
            total = (weights @ whole)[:, None]
            shift = (weights @ scores.T) / total  # r* - r
            spread = weights @ (scores**2 * left_out).T - 2 * shift * (weights @ (scores * whole * left_out).T)
            variance = (spread + shift**2 * (weights @ (whole**2 * left_out))[:, None]) / total**2
            t = shift / np.sqrt(np.maximum(variance, (LEAST_OWN * se) ** 2))
        drawn.append(np.where((se > 0) & np.isfinite(t), t, 0.0))
    tail = float(widened(tails(spec)[0], effective))
    lower, upper = np.quantile(np.concatenate(drawn), (tail, 1 - tail), axis=0)
    return value - np.maximum(upper, 0) * se, value - np.minimum(lower, 0) * se
