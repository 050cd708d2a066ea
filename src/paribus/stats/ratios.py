"""Ratios of means over the same clusters: each of several effects as a share of a total effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.stats.bootstrap import tails
from paribus.stats.clusters import ClusterSums, bootstrap_weights
from paribus.stats.intervals import MIN_CLUSTERS, NO_SAMPLE
from paribus.stats.spec import StatsSpec

LEAST_ERRORS = 3
"""A total effect of fewer standard errors than this is not used as a denominator."""


@dataclass(frozen=True)
class Ratios:
    """Ratios with their intervals.

    Attributes:
        value: The ratios ``[rows]``; NaN where there are none.
        low: Lower ends ``[rows]``.
        high: Upper ends ``[rows]``.
        method: How the intervals were made; none: why there is none.

    Example:
        >>> one = np.array([0.5])
        >>> Ratios(one, one - 0.1, one + 0.1, "percentile").method
        'percentile'
    """

    value: Floats
    low: Floats
    high: Floats
    method: str


def ratios_to(
    total: ClusterSums,
    sums: ClusterSums,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    otherwise: str = "the whole is not established",
    complete: bool = False,
) -> Ratios:
    """Return the ratio of each row's mean to the mean of a whole, with a percentile interval over clusters.

    Numerator and denominator come from the same cluster resamples, so that what they have in common cancels.

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
        errors of 0.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> whole = np.random.default_rng(0).normal(4, 1, (1, 40))
        >>> parts = np.concatenate([whole / 2, whole])
        >>> total, sums = (reduce_to_clusters(each, np.arange(40)) for each in (whole, parts))
        >>> ratios_to(total, sums, spec=StatsSpec(), rng=np.random.default_rng(1)).value.tolist()
        [0.5, 1.0]
    """
    nothing = np.full(len(sums.sums), np.nan)
    if complete:
        whole = float(total.sums.sum())
        return Ratios(sums.sums.sum(1) / whole if whole else nothing, nothing, nothing, NO_SAMPLE)
    clusters = int(total.n_clusters[0])
    if clusters < MIN_CLUSTERS:
        return Ratios(nothing, nothing, nothing, f"none: {clusters} clusters, an interval needs {MIN_CLUSTERS}")
    if not abs(float(total.means[0])) > LEAST_ERRORS * float(total.standard_errors()[0]):
        return Ratios(nothing, nothing, nothing, f"none: {otherwise}")
    drawn = [
        (weights @ sums.sums.T) / (weights @ total.sums[0])[:, None]
        for weights in bootstrap_weights(sums.sums.shape[1], spec.n_bootstrap, rng)
    ]
    low, high = np.quantile(np.concatenate(drawn), tails(spec), axis=0)
    return Ratios(sums.sums.sum(1) / total.sums.sum(), low, high, "percentile")
