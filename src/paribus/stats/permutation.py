"""Tests that flip or permute whole clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.blocks import block_permutations, exchangeable_blocks
from paribus.stats.clusters import (
    FloatArray,
    chunk_sizes,
    cluster_codes,
    join_units,
    random_bits,
    reduce_to_clusters,
)

EXACT_FLIPS = 1 << 14
"""All sign patterns are enumerated up to this many (14 clusters), or up to the Monte Carlo draws asked for."""
ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class PermutationTest:
    """One permutation test.

    Attributes:
        statistic: The observed statistic.
        p: Its p-value.
        method: ``exact``, ``monte_carlo`` or ``none`` (nothing to test).
        n_permutations: Arrangements looked at.
    """

    statistic: float
    p: float
    method: str
    n_permutations: int


def draws_for(n_rows: int, n_permutations: int) -> int:
    """Return the Monte Carlo draws of a family: at least 40 a row, so that an adjusted p can reach .05."""
    return max(n_permutations, 40 * n_rows)


def as_extreme(permuted: FloatArray, observed: FloatArray, tolerance: FloatArray, alternative: str) -> FloatArray:
    """Return how many of ``permuted`` [draws, rows] are at least as extreme as ``observed`` [rows], per row.

    Ties within ``tolerance`` [rows] count as extreme, so that rounding never makes a p smaller.

    Raises:
        ValueError: If the alternative is unknown.
    """
    if alternative == "two-sided":
        hits = np.abs(permuted) >= np.abs(observed) - tolerance
    elif alternative == "greater":
        hits = permuted >= observed - tolerance
    elif alternative == "less":
        hits = permuted <= observed + tolerance
    else:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")
    return np.asarray(hits.sum(axis=0), dtype=np.float64)


def sign_flip_rows(
    sums: FloatArray, *, rng: np.random.Generator, n_permutations: int = 9999, alternative: str = "two-sided"
) -> tuple[FloatArray, np.ndarray[Any, Any]]:
    """Return p and method of the sign-flip test of each row of cluster sums.

    The hypothesis is that each cluster's sum is symmetric about 0 (Fisher 1935, ch. III; Winkler et al. 2014 for
    whole blocks). Exact ``p = b/N`` with the identity among the ``N`` sign patterns where they can be enumerated
    (clusters whose sum is 0 change nothing and are left out), else Monte Carlo ``p = (b+1)/(m+1)`` (Phipson and
    Smyth 2010).

    Args:
        sums: Sums over clusters [rows, clusters]; 0 where a cluster does not support a row.
        rng: Draws the flips.
        n_permutations: Monte Carlo draws ``m``, shared by all rows.
        alternative: ``two-sided``, ``greater`` or ``less``.
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
        start = 0
        for size in chunk_sizes(len(rows), len(patterns)):
            part = packed[start : start + size]
            hits = as_extreme(patterns @ part.T, part.sum(axis=1), _tolerance(part), alternative)
            p[rows[start : start + size]] = hits / len(patterns)
            start += size
    rows = np.flatnonzero(~exact)
    if len(rows):
        p[rows] = _monte_carlo(sums[rows], rng, n_permutations, alternative)
        method[rows] = "monte_carlo"
    return p, method


def _tolerance(sums: FloatArray) -> FloatArray:
    return np.asarray(1e-10 * np.abs(sums).sum(axis=1), dtype=np.float64)


def _monte_carlo(sums: FloatArray, rng: np.random.Generator, m: int, alternative: str) -> FloatArray:
    observed, tolerance = sums.sum(axis=1), _tolerance(sums)
    (units,) = join_units((sums,), rng)
    b = np.zeros(len(sums))
    for bits in random_bits(units.shape[1], m, rng):
        b += as_extreme(2.0 * (bits @ units.T) - observed, observed, tolerance, alternative)
    return (b + 1) / (m + 1)


def sign_flip(
    differences: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 9999,
    alternative: str = "two-sided",
) -> PermutationTest:
    """Test whether paired differences are symmetric about 0, flipping whole clusters (see :func:`sign_flip_rows`).

    Args:
        differences: Paired differences [contexts]; NaN is left out.
        clusters: Cluster id of each context [contexts].
        rng: Draws the flips where they cannot be enumerated.
        n_permutations: Monte Carlo draws.
        alternative: ``two-sided``, ``greater`` or ``less``.

    Returns:
        The test; its statistic is the mean difference. ``p`` is 1 where all differences are 0 and NaN without any.
    """
    reduced = reduce_to_clusters(differences, clusters)
    if not reduced.n[0]:
        return PermutationTest(float("nan"), float("nan"), "none", 0)
    p, method = sign_flip_rows(reduced.sums, rng=rng, n_permutations=n_permutations, alternative=alternative)
    exact = method[0] == "exact"
    looked_at = 1 << int(np.count_nonzero(reduced.sums)) if exact else n_permutations
    return PermutationTest(float(reduced.means[0]), float(p[0]), str(method[0]), looked_at)


@dataclass(frozen=True)
class LevelPermutation:
    """Observational differences between levels, tested by cluster.

    Attributes:
        levels: The levels, sorted [levels].
        n: Rows at each level [levels].
        means: Mean value at each level [levels].
        effects: Mean minus the baseline's mean, or minus the mean of all other rows [levels].
        p: p of each effect [levels]; NaN for the baseline itself.
        p_any: p of the hypothesis that no level differs (variance between levels).
        unit: ``cluster`` (each cluster has one level; labels move over clusters) or ``block`` (level patterns move
            between clusters of equal size).
        n_exchangeable: Clusters that had another one to exchange with.
    """

    levels: np.ndarray[Any, Any]
    n: FloatArray
    means: FloatArray
    effects: FloatArray
    p: FloatArray
    p_any: float
    unit: str
    n_exchangeable: int


def level_permutation(
    values: ArrayLike,
    levels: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 9999,
    baseline: Any = None,
    alternative: str = "two-sided",
) -> LevelPermutation:
    """Test the means of observed levels against each other with one permutation of levels per cluster.

    Rows of a cluster never move apart: where every cluster has one level, labels are permuted over clusters; else
    the whole level pattern of a cluster is exchanged with that of another cluster of the same number of rows, so
    that level counts and the dependence within clusters stay as they are.

    Args:
        values: Values [n]; rows with NaN are left out.
        levels: Level of each row [n], numbers or strings.
        clusters: Cluster id of each row [n].
        rng: Draws the permutations.
        n_permutations: Monte Carlo draws; ``p = (b+1)/(m+1)``.
        baseline: The level all others are compared to; None compares each with all other rows.
        alternative: ``two-sided``, ``greater`` or ``less``.

    Raises:
        ValueError: If the shapes disagree or no row has the baseline level.
    """
    y = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(y)
    y, (units, k) = y[kept], cluster_codes(np.asarray(clusters)[kept])
    names, codes = np.unique(np.asarray(levels)[kept], return_inverse=True)
    base = _level_index(names, baseline)
    onehot = np.eye(len(names))[codes]
    sums, counts = (y @ onehot)[None], onehot.sum(axis=0)[None]
    observed, spread = _effects(sums, counts, base), _between(sums, counts)
    tolerance = np.full(len(names), 1e-10 * np.abs(y).max(initial=0.0))
    pattern = np.stack([np.bincount(units, weights=column, minlength=k) for column in onehot.T], axis=1)
    constant = bool((np.count_nonzero(pattern, axis=1) <= 1).all())
    if constant:
        totals = np.bincount(units, weights=y, minlength=k).astype(np.float64)
        draws = _permuted_labels(totals, pattern.astype(np.float64), n_permutations, rng)
    else:
        draws = ((y[rows] @ onehot, counts) for rows in block_permutations(units, n_permutations, rng))
    b, b_any = np.zeros(len(names)), 0
    for drawn_sums, drawn_counts in draws:
        b += as_extreme(_effects(drawn_sums, drawn_counts, base), observed[0], tolerance, alternative)
        b_any += int((_between(drawn_sums, drawn_counts) >= spread * (1 - 1e-10)).sum())
    tested = np.isfinite(observed[0])
    return LevelPermutation(
        levels=names,
        n=counts[0],
        means=sums[0] / counts[0],
        effects=observed[0],
        p=np.where(tested, (b + 1) / (n_permutations + 1), np.nan),
        p_any=(b_any + 1) / (n_permutations + 1) if len(names) > 1 else float("nan"),
        unit="cluster" if constant else "block",
        n_exchangeable=k if constant else sum(len(rows) for rows in exchangeable_blocks(units) if len(rows) > 1),
    )


def _level_index(names: np.ndarray[Any, Any], baseline: Any) -> int | None:
    if baseline is None:
        return None
    found = np.flatnonzero(names == baseline)
    if not len(found):
        raise ValueError(f"no row has the baseline level {baseline!r}; levels are {', '.join(map(str, names))}")
    return int(found[0])


def _effects(sums: FloatArray, counts: FloatArray, base: int | None) -> FloatArray:
    """Return each level's mean minus that of the baseline or of the rest [draws, levels]; NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        if base is not None:
            effects = means - means[:, base : base + 1]
            effects[:, base] = np.nan
            return np.asarray(effects, dtype=np.float64)
        rest = sums.sum(axis=1, keepdims=True) - sums
        return np.asarray(means - rest / (counts.sum(axis=1, keepdims=True) - counts), dtype=np.float64)


def _between(sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the sum of squares between levels [draws]."""
    grand = sums.sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum((sums / counts - grand) ** 2 * counts, axis=1), dtype=np.float64)


def _permuted_labels(
    totals: FloatArray, pattern: FloatArray, n_permutations: int, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield level sums and counts [draws, levels] with the labels of whole clusters permuted."""
    sizes = pattern.sum(axis=1)
    labels = (pattern > 0).astype(np.float64)
    for size in chunk_sizes(n_permutations, len(totals)):
        order = rng.permuted(np.tile(np.arange(len(totals)), (size, 1)), axis=1)
        yield totals[order] @ labels, sizes[order] @ labels
