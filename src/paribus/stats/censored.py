"""Exact tests of right-censored times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats
from paribus.stats.few import FewTest, label_permutation


def gehan_scores(times: ArrayLike, censored: ArrayLike) -> Floats:
    """Return Gehan's scores ``[n]``: how many others are known to be shorter minus how many are known to be longer.

    A censored time is longer than any observed time up to it; two censored times are tied, as are all pairs of unknown
    order (Gehan 1965). With one horizon for all, the scores are ranks with the censored times tied above all others.

    Args:
        times: Times ``[n]``; for a censored one the time at which it was censored.
        censored: Whether each time is censored ``[n]``.

    Example:
        >>> gehan_scores([3, 5, 9, 9], [False, False, True, True]).tolist()
        [-3.0, -1.0, 2.0, 2.0]
    """
    values, open_ended = np.asarray(times, dtype=np.float64), np.asarray(censored, dtype=bool)
    if values.shape != open_ended.shape or values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("times and censored must be finite and of one length")
    one, other = values[:, None], values[None, :]
    observed = ~open_ended[None, :]
    longer = observed & ((one > other) | (open_ended[:, None] & (one >= other)))
    return np.asarray(longer.sum(1) - longer.sum(0), dtype=np.float64)


def gehan(
    a: ArrayLike,
    b: ArrayLike,
    censored_a: ArrayLike,
    censored_b: ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    n_permutations: int = 9999,
) -> FewTest:
    """Test whether two arms of times differ: exact permutation of labels over Gehan's scores.

    Without censored times, and with one horizon for all of them, this is the exact Mann-Whitney test. The statistic is
    the share of pairs in which ``a`` is longer; ties and pairs of unknown order count half.

    Args:
        a: Times of the first arm [n_a].
        b: Times of the second arm [n_b].
        censored_a: Which of ``a`` are censored [n_a].
        censored_b: Which of ``b`` are censored [n_b].
        rng: Draws labellings where there are too many to enumerate.
        n_permutations: Monte Carlo draws.

    Raises:
        ValueError: If an arm is empty or incomplete.

    Example:
        >>> found = gehan([9, 9, 9, 9], [1, 2, 3, 4], [True] * 4, [False] * 4)
        >>> found.statistic, round(found.p, 4)
        (1.0, 0.0286)
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not len(first) or not len(second):
        raise ValueError("both arms need times")
    scores = gehan_scores(
        np.concatenate([first, second]), np.concatenate([np.asarray(censored_a), np.asarray(censored_b)])
    )
    n_a, n_b = len(first), len(second)
    found = label_permutation(scores[:n_a], scores[n_a:], rng=rng, n_permutations=n_permutations)
    # Within an arm the scores cancel, so that the sum is that of the pairs between the arms.
    share = 0.5 + float(scores[:n_a].sum()) / (2 * n_a * n_b)
    return replace(found, statistic=share, test="gehan", shifts=None)
