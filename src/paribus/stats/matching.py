"""Matching the features of two models one to one, with the similarity that unrelated features reach by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from paribus.arrays import Bools, Floats, Ints

TIED = 1e-12
"""Similarities that differ by less are equal: twins are alike but for rounding."""
CLOSE_TO_1 = 1 - 1e-9
"""Similarities are clipped to this before Fisher's z transform."""


@dataclass(frozen=True, eq=False)
class Matching:
    """A one-to-one assignment of rows to columns of a similarity.

    Attributes:
        first: Rows, ascending ``[k]``.
        second: The column of each ``[k]``.
        value: Their similarity ``[k]``.
        mutual: Whether each is the other's most similar one, or as similar as that ``[k]``.
    """

    first: Ints
    second: Ints
    value: Floats
    mutual: Bools


def match(similarity: Floats) -> Matching:
    """Return the assignment with the largest total similarity (Kuhn's Hungarian method).

    Args:
        similarity: ``[n, m]``; NaN where two cannot be compared, which are never matched.

    Example:
        >>> found = match(np.array([[0.1, 0.9], [0.8, 0.7]]))
        >>> found.second.tolist(), found.mutual.tolist()
        ([1, 0], [True, True])
    """
    known = np.isfinite(similarity)
    if not known.any():
        none = np.zeros(0, np.int64)
        return Matching(none, none, np.zeros(0), np.zeros(0, bool))
    worst = float(similarity[known].min()) - 1.0 - 2.0 * float(np.ptp(similarity[known])) * min(similarity.shape)
    filled = np.where(known, similarity, worst)
    first, second = linear_sum_assignment(filled, maximize=True)
    kept = known[first, second]
    first, second = first[kept], second[kept]
    with_gaps = np.where(known, similarity, -np.inf)
    value = similarity[first, second]
    most = np.maximum(with_gaps.max(1)[first], with_gaps.max(0)[second])
    return Matching(first, second, value, np.asarray(value >= most - TIED))


def cosines(first: Floats, second: Floats) -> Floats:
    """Return the cosines of all pairs of rows ``[n, m]``; NaN for a row of zeros.

    Args:
        first: Vectors ``[n, d]``.
        second: Vectors ``[m, d]``.

    Example:
        >>> cosines(np.eye(2), np.array([[0.0, 3.0]])).tolist()
        [[0.0], [1.0]]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second))
    return np.asarray(a @ b.T)


def correlations(first: Floats, second: Floats, least: int = 3) -> Floats:
    """Return Pearson's correlations of all pairs of rows over the entries that both have ``[n, m]``.

    Args:
        first: Vectors ``[n, entries]``, NaN where an entry is not known.
        second: Vectors ``[m, entries]``.
        least: Fewest common entries; NaN below, and where a row does not vary over them.

    Example:
        >>> correlations(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0]])).round(6).tolist()
        [[1.0, -1.0]]
    """
    a, b = (np.asarray(each, np.float64) for each in (first, second))
    if np.isfinite(a).all() and np.isfinite(b).all() and a.shape[1] >= least:
        return np.where(_varies(a)[:, None] & _varies(b), cosines(_centred(a), _centred(b)), np.nan)
    out = np.full((len(a), len(b)), np.nan)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            both = np.isfinite(one) & np.isfinite(other)
            if both.sum() >= least:
                x, y = _centred(one[both][None]), _centred(other[both][None])
                if _varies(one[both][None]).all() and _varies(other[both][None]).all():
                    out[i, j] = cosines(x, y)[0, 0]
    return out


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(1, keepdims=True))


def _varies(values: Floats) -> Bools:
    size = np.abs(values).max(1)
    return np.asarray(np.ptp(values, axis=1) > 1e-12 * np.where(size > 0, size, 1.0))


def null_of_matching(
    first: Floats,
    second: Floats,
    similarity: Callable[[Floats, Floats], Floats],
    *,
    n: int,
    rng: np.random.Generator,
) -> Floats:
    """Return the mean similarity of matched rows where the entries of each row of ``second`` are exchanged ``[n]``.

    Best matches of unrelated features are similar by chance, the more so the more candidates there are: a match is
    judged against these draws.

    Args:
        first: Vectors ``[a, entries]``.
        second: Vectors ``[b, entries]``.
        similarity: Of all pairs of rows.
        n: Draws.
        rng: Randomness.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> vectors = rng.normal(size=(4, 30))
        >>> null_of_matching(vectors, vectors, correlations, n=20, rng=rng).max() < 0.9
        np.True_
    """
    drawn = np.empty(n)
    for k in range(n):
        found = match(similarity(first, rng.permuted(second, axis=1)))
        drawn[k] = found.value.mean() if len(found.value) else np.nan
    return drawn


def p_of_matches(value: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """Return the p of each match against the draws of the null, and the p adjusted over all rows.

    Both count the match itself among the draws, ``(b + 1) / (m + 1)``, so that neither is ever 0. The second compares
    with the largest of all rows in each draw (single-step maximum; Westfall and Young, 1993), so that the chance that
    any row without a real partner falls below a level is at most that level. Rows differ in how similar they are by
    chance, so they are first put on a common scale: Fisher's z, standardised by mean and sd over the row's draws and
    its match together, so that under the null the match stays exchangeable with the draws.

    Args:
        value: Similarity of each row and its partner ``[k]``, -1 to 1; NaN for a row without one, whose p are NaN.
        drawn: The same in draws of the null ``[m, k]``, NaN where a row found no partner; without any, all p are NaN.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p, p_adj = p_of_matches(np.array([0.99, 0.2]), rng.uniform(0, 0.4, (39, 2)))
        >>> p.tolist(), p_adj.tolist()
        ([0.025, 0.5], [0.025, 0.7])
    """
    size = len(drawn) + 1
    p = (1 + (np.where(np.isfinite(drawn), drawn, -np.inf) >= value).sum(0)) / size
    scaled = _scaled(np.vstack([value[None], drawn]))
    largest = scaled[1:].max(1, initial=-np.inf)
    p_adj = (1 + (largest[:, None] >= scaled[0]).sum(0)) / size
    unknown = ~np.isfinite(value) | (not np.isfinite(drawn).any())
    return np.where(unknown, np.nan, p), np.where(unknown, np.nan, p_adj)


def _scaled(likeness: Floats) -> Floats:
    """Return similarities ``[m, k]`` as Fisher's z, standardised by column; -inf where there is none."""
    known = np.isfinite(likeness)
    z = np.arctanh(np.clip(np.where(known, likeness, 0.0), -CLOSE_TO_1, CLOSE_TO_1))
    n = np.maximum(known.sum(0), 1)
    mean = np.where(known, z, 0.0).sum(0) / n
    sd = np.sqrt(np.where(known, (z - mean) ** 2, 0.0).sum(0) / n)
    return np.where(known, np.divide(z - mean, sd, out=np.zeros_like(z), where=sd > 0), -np.inf)


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Jaccard index of two sets; NaN for two empty ones.

    >>> jaccard(frozenset("ab"), frozenset("bc"))
    0.3333333333333333
    """
    every = first | second
    return len(first & second) / len(every) if every else float("nan")
