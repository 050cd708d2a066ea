"""Levels interchanged within clusters: the null hypothesis that the rows of a family are exchangeable."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.stats.clusters import ClusterSums

NAME = "levels interchanged within clusters"


def interchanged(sums: ClusterSums, families: Ints, n_draws: int, rng: np.random.Generator) -> Floats | None:
    """Return means ``[rows, n_draws]`` after the rows of each family are shuffled within every cluster.

    A draw gives each cluster's sum (and its number of values) of one row to another row of its family that this cluster
    has values of. So it tests whether a row's mean is extreme among those of the others, not whether it is 0; an effect
    common to all rows of a family is in every draw.

    Args:
        sums: Values by cluster.
        families: The family of each row ``[rows]``; rows of one family are interchangeable under the null.
        n_draws: How many.
        rng: Shuffles.

    Returns:
        The draws, NaN for a row that is alone in every cluster it has values of; None where all are.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> values = np.array([[9.0] * 8, [1.0] * 8, [2.0] * 8])
        >>> found = interchanged(reduce_to_clusters(values, np.arange(8)), np.zeros(3), 50, np.random.default_rng(0))
        >>> found.shape, bool(found[0].max() < 9), found.mean().round(6).item()
        ((3, 50), True, 4.0)
    """
    out = np.full((len(sums.sums), n_draws), np.nan)
    for family in np.unique(families):
        rows = np.flatnonzero(families == family)
        counts, totals = sums.counts[rows], sums.sums[rows]
        there = counts > 0
        several = there & (there.sum(0) > 1)
        if not several.any():
            continue
        # Sorting by random keys shuffles; rows a cluster has no values of keep their place by sorting to it.
        shown = np.argsort(~there, axis=0, kind="stable")
        for draw in range(n_draws):
            keys = np.where(there, rng.random(there.shape), np.inf)
            source = np.argsort(keys, axis=0, kind="stable")
            mixed = np.zeros((2, *there.shape))
            for part, values in zip(mixed, (totals, counts), strict=True):
                np.put_along_axis(part, shown, np.take_along_axis(values, source, 0), 0)
            with np.errstate(invalid="ignore", divide="ignore"):
                out[rows, draw] = mixed[0].sum(1) / mixed[1].sum(1)
        out[rows[~several.any(1)]] = np.nan
    return out if np.isfinite(out).any() else None
