"""The share of variance between groups of many variables, tested by exchanging groups between whole clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from paribus.arrays import Floats, Ints
from paribus.stats.blocks import block_permutations, exchangeable_blocks, n_exchangeable
from paribus.stats.intervals import Methods
from paribus.stats.permutation import MONTE_CARLO

LEAST_EXCHANGEABLE = 6
"""Clusters that must have another of their size to exchange with: with five there are at most 120 arrangements."""
NONE_EXCHANGE = f"none: fewer than {LEAST_EXCHANGEABLE} clusters have another one of their size"


@dataclass(frozen=True)
class Association:
    """Shares of variance between groups, with their null distribution.

    Attributes:
        share: Adjusted share of the variance of each variable between the groups ``[F]``; 0 for a constant one.
        null_high: 97.5 % quantile of the same with groups exchanged ``[F]``; NaN without a test.
        p: Share of draws (the data among them) with a share at least as large ``[F]``.
        p_adj: The same against the largest variable of every draw, each on its own scale: family-wise ``[F]``.
        n_exchangeable: Clusters that have another one of their size to exchange with.
        method: ``monte_carlo``, or ``none: ...`` ``[F]``.
    """

    share: Floats
    null_high: Floats
    p: Floats
    p_adj: Floats
    n_exchangeable: int
    method: Methods


def association(
    values: Floats,
    groups: Ints,
    which: Ints,
    clusters: ArrayLike,
    *,
    n_permutations: int,
    rng: np.random.Generator,
) -> Association:
    """Test the share of variance of many variables between groups.

    The share is adjusted for the number of groups, ``1 - (1 - between / total) (n - 1) / (n - G)``, and not below 0.
    The null gives whole clusters the groups of others of the same size, all groupings and variables together, so that
    what contexts of a cluster share is kept. Adjustment is the single-step maximum (Westfall and Young 1993) of shares
    in units of each variable's own spread over data and draws; ``p = (b + 1) / (m + 1)``.

    Args:
        values: Variables ``[n, F]``.
        groups: Groupings ``[k, n]``, numbered from 0.
        which: The grouping that each variable is tested for ``[F]``.
        clusters: Cluster id of each row ``[n]``.
        n_permutations: Monte Carlo draws.
        rng: Draws them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> group = np.arange(40) % 2
        >>> values = np.stack([group + 0.1 * rng.normal(size=40), rng.normal(size=40)], axis=1)
        >>> found = association(values, group[None], np.zeros(2, int), np.arange(40), n_permutations=99, rng=rng)
        >>> found.p_adj.tolist()[0], bool(found.p[1] > 0.05)
        (0.01, True)
    """
    values, ids = np.asarray(values, np.float64), np.asarray(clusters)
    moving = n_exchangeable(exchangeable_blocks(ids))
    own = _shares(values, groups, which)
    share = np.maximum(_adjusted(own, groups, which), 0.0)
    if moving < LEAST_EXCHANGEABLE:
        none = np.full(len(which), np.nan)
        return Association(share, none, none, none, moving, np.full(len(which), NONE_EXCHANGE, object))
    drawn = [own]
    for chunk in block_permutations(ids, n_permutations, rng):
        drawn += [_shares(values, groups[:, order], which) for order in chunk]
    every = np.array(drawn)
    spread = every.std(axis=0)
    still = spread <= 1e-12
    scaled = np.where(still, 0.0, (every - every.mean(axis=0)) / np.where(still, 1.0, spread))
    largest = scaled.max(axis=1, initial=-np.inf)[:, None]
    high = np.maximum(_adjusted(np.quantile(every[1:], 0.975, axis=0), groups, which), 0.0)
    return Association(
        share=share,
        null_high=high,
        p=(scaled >= scaled[0] - 1e-9).mean(axis=0),
        p_adj=(largest >= scaled[0] - 1e-9).mean(axis=0),
        n_exchangeable=moving,
        method=np.full(len(which), MONTE_CARLO, object),
    )


def _shares(values: Floats, groups: Ints, which: Ints) -> Floats:
    """Return the share of each variable's variance between the groups of its grouping ``[F]``, not adjusted."""
    n = len(values)
    out = np.zeros(len(which))
    for number, group in enumerate(groups):
        mine = np.flatnonzero(which == number)
        if not len(mine):
            continue
        centred = values[:, mine] - values[:, mine].mean(axis=0)
        total = (centred**2).sum(axis=0)
        member = sparse.csr_matrix((np.ones(n), (group, np.arange(n))))
        counts = np.bincount(group, minlength=member.shape[0])[:, None]
        between = ((member @ centred) ** 2 / np.maximum(counts, 1)).sum(axis=0)
        told = total > 1e-12 * n * np.maximum(1.0, np.abs(values[:, mine]).max(axis=0, initial=0.0) ** 2)
        out[mine] = np.where(told, between / np.where(told, total, 1.0), 0.0)
    return out


def _adjusted(share: Floats, groups: Ints, which: Ints) -> Floats:
    """Return shares adjusted for the number of groups that are there."""
    n = groups.shape[1]
    present = np.array([len(np.unique(group)) for group in groups])[which]
    return np.asarray(np.where(n > present, 1 - (1 - share) * (n - 1) / np.maximum(n - present, 1), 0.0))
