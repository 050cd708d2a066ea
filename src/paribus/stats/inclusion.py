"""How stable a list of findings is: in what share of cluster resamples each is found again."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.bootstrap import Studentised
from paribus.stats.clusters import ClusterSums, bootstrap_weights, cluster_codes, join_units
from paribus.stats.intervals import MIN_CLUSTERS
from paribus.stats.multiplicity import adjust
from paribus.stats.spec import StatsSpec

DRAWS = 200
"""Number of resamples."""


def inclusion(sums: ClusterSums, *, spec: StatsSpec, rng: np.random.Generator) -> Floats:
    """Return in what share of cluster resamples each row differs from 0 again ``[rows]``, after adjustment.

    In every resample each mean is divided by its own standard error, that of leaving one cluster out
    (:class:`~paribus.stats.bootstrap.Studentised`), the p of Student's t with ``effective clusters - 1`` degrees of
    freedom is adjusted over the rows as ``spec`` says, and a row counts where it is within the level with the sign it
    has in the sample. A resample holds some clusters more than once, so a null effect is found again more often than at
    the nominal level: this measures stability and is not a test.

    Args:
        sums: Differences by cluster.
        spec: Confidence and adjustment.
        rng: Draws the resamples.

    Returns:
        Shares; NaN for rows of fewer than 6 clusters.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> rng = np.random.default_rng(0)
        >>> shifted = rng.normal(0, 1, (2, 40)) + np.array([[0.0], [3.0]])
        >>> share = inclusion(reduce_to_clusters(shifted, np.arange(40)), spec=StatsSpec(), rng=rng)
        >>> bool(share[0] < 0.5), float(share[1])
        (True, 1.0)
    """
    sums = sums.supported()
    totals, counts = join_units((sums.sums, sums.counts), rng)
    level, sign = 1 - spec.confidence, np.sign(np.nan_to_num(sums.means))
    enough = sums.n_clusters >= MIN_CLUSTERS
    found, done = np.zeros(len(totals)), 0
    rows = Studentised(ClusterSums(totals, counts, sums.sd))
    for weights in bootstrap_weights(totals.shape[1], DRAWS, rng):
        n = weights @ counts.T
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights @ totals.T) / n
            effective = n**2 / (weights @ (counts**2).T)
        t = np.where(rows.se > 0, rows.t(weights, mean), np.where(mean == 0, 0.0, np.inf))
        p = 2 * stdtr(np.fmax(effective - 1, 1.0), -np.abs(t))
        for each, means in zip(p, mean, strict=True):
            adjusted = adjust(np.where(enough, each, np.nan), spec.adjust)
            found += (adjusted <= level) & (np.sign(np.nan_to_num(means)) == sign)
        done += len(p)
    return np.where(enough, found / done, np.nan)


def share_inclusion(holds: Bools, cluster: Ints, least: float, *, rng: np.random.Generator) -> Floats:
    """Return in what share of cluster resamples each finding holds in at least a share ``least`` of the contexts.

    Args:
        holds: Whether each finding holds in each context ``[findings, n]``.
        cluster: Cluster of each context ``[n]``.
        least: The share from which on it counts.
        rng: Draws the resamples.

    Example:
        >>> holds = np.array([[True] * 20, [False] * 20])
        >>> share_inclusion(holds, np.arange(20), 0.1, rng=np.random.default_rng(0)).tolist()
        [1.0, 0.0]
    """
    codes, k = cluster_codes(cluster)
    sizes = np.bincount(codes, minlength=k).astype(np.float64)
    counts = np.array([np.bincount(codes, weights=row, minlength=k) for row in holds])
    weights = np.concatenate(list(bootstrap_weights(k, DRAWS, rng)))
    return np.asarray(((weights @ counts.T) / (weights @ sizes)[:, None] >= least).mean(0))
