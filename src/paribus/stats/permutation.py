"""Tests that flip or permute whole clusters."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Floats
from paribus.stats.clusters import join_units, random_bits, slices

EXACT_FLIPS = 1 << 14
"""All sign patterns are enumerated up to this many (14 clusters), or up to the Monte Carlo draws asked for."""
EXACT, MONTE_CARLO = "exact", "monte_carlo"


def draws_for(n_rows: int, n_permutations: int) -> int:
    """Return the Monte Carlo draws of a family: at least 40 a row, so that an adjusted p can reach .05.

    Example:
        >>> draws_for(n_rows=10, n_permutations=9999)
        9999
    """
    return max(n_permutations, 40 * n_rows)


def as_extreme(permuted: Floats, observed: Floats, tolerance: Floats) -> Floats:
    """Return how many of ``permuted`` [draws, rows] are at least as far from 0 as ``observed`` [rows], per row.

    Ties within ``tolerance`` [rows] count as extreme, so that rounding never makes a p smaller.

    Example:
        >>> as_extreme(np.array([[0.5], [-2.0]]), np.array([1.0]), np.array([0.0]))
        array([1.])
    """
    return np.asarray((np.abs(permuted) >= np.abs(observed) - tolerance).sum(axis=0), dtype=np.float64)


def sign_flip_rows(
    sums: Floats, *, rng: np.random.Generator, n_permutations: int = 9999
) -> tuple[Floats, np.ndarray[Any, Any]]:
    """Return p and method of the two-sided sign-flip test of each row of cluster sums.

    The hypothesis is that each cluster's sum is symmetric about 0 (Fisher 1935, ch. III; Winkler et al. 2014 for
    whole blocks). Exact ``p = b/N`` with the identity among the ``N`` sign patterns where they can be enumerated
    (clusters whose sum is 0 change nothing and are left out), else Monte Carlo ``p = (b+1)/(m+1)`` (Phipson and
    Smyth 2010).

    Args:
        sums: Sums over clusters [rows, clusters]; 0 where a cluster does not support a row.
        rng: Draws the flips.
        n_permutations: Monte Carlo draws ``m``, shared by all rows.

    Example:
        >>> p, method = sign_flip_rows(np.ones((2, 8)), rng=np.random.default_rng(0))
        >>> p.tolist(), method.tolist()
        ([0.0078125, 0.0078125], ['exact', 'exact'])
    """
    n_rows = len(sums)
    p, method = np.ones(n_rows), np.full(n_rows, "exact", dtype=object)
    moving = np.count_nonzero(sums, axis=1)
    limit = max(EXACT_FLIPS, n_permutations)
    exact = moving <= np.log2(limit)
    for k in np.unique(moving[exact & (moving > 0)]):
        rows = np.flatnonzero(moving == k)
        packed = np.array([row[row != 0] for row in sums[rows]])
        patterns = ((np.arange(1 << k)[:, None] >> np.arange(k)) & 1) * -2.0 + 1.0
        for some in slices(len(rows), len(patterns)):
            part = packed[some]
            hits = as_extreme(patterns @ part.T, part.sum(axis=1), _tolerance(part))
            p[rows[some]] = hits / len(patterns)
    rows = np.flatnonzero(~exact)
    if len(rows):
        p[rows] = _monte_carlo(sums[rows], rng, n_permutations)
        method[rows] = "monte_carlo"
    return p, method


def _tolerance(sums: Floats) -> Floats:
    return np.asarray(1e-10 * np.abs(sums).sum(axis=1), dtype=np.float64)


def _monte_carlo(sums: Floats, rng: np.random.Generator, m: int) -> Floats:
    observed, tolerance = sums.sum(axis=1), _tolerance(sums)
    (units,) = join_units((sums,), rng)
    b = np.zeros(len(sums))
    for bits in random_bits(units.shape[1], m, rng):
        b += as_extreme(2.0 * (bits @ units.T) - observed, observed, tolerance)
    return (b + 1) / (m + 1)
