"""Comparisons of few runs: exact tests, effect sizes and intervals; every test states the smallest p it can reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.stats import fisher_exact, rankdata

from paribus.arrays import Floats
from paribus.stats.bootstrap import Interval
from paribus.stats.clusters import chunk_sizes
from paribus.stats.intervals import EQUAL_UNITS, NONE, too_few
from paribus.stats.inversion import (
    EQUAL,
    ROUNDING,
    TOLERANCE,
    Shifts,
    drawn_label_shifts,
    drawn_sign_flip_shifts,
    label_shifts,
    labellings,
    sign_flip_shifts,
)
from paribus.stats.permutation import as_extreme
from paribus.stats.shares import gap_interval

LEAST_RUNS = 4
"""Below this many runs of an arm (or pairs) there is no interval over runs."""
EXACT_PAIRS = 20
EXACT_LABELLINGS = 200_000
DESIGNS = ("paired_sign_flip", "label_permutation", "mann_whitney", "fisher")


@dataclass(frozen=True)
class FewTest:
    """A two-sided test of few runs.

    Attributes:
        smallest_p: The smallest p that this design can reach, whatever the data.
        p: The p-value.
        statistic: What was tested (a mean difference, U, an odds ratio).
        test: The test's name, as in :data:`DESIGNS`.
        method: ``exact`` or ``monte_carlo``.
        shifts: The same test of every shift, where it is of a mean; None otherwise.

    Example:
        >>> found = paired_sign_flip([1.0, 2.0, 1.5, 0.5, 1.0])
        >>> found.smallest_p, found.p
        (0.0625, 0.0625)
    """

    smallest_p: float
    p: float
    statistic: float
    test: str
    method: str
    shifts: Shifts | None = field(default=None, repr=False, compare=False)

    def interval(self, confidence: float) -> Interval:
        """Return the interval that inverts this very test: it holds 0 exactly where ``p > 1 - confidence``.

        Returns:
            Method ``none: ...`` where the test has no shifts, cannot reject at this level, or all units are equal.
        """
        if self.shifts is None:
            return Interval(math.nan, math.nan, NONE)
        return self.shifts.interval(confidence, self.test)


def smallest_p(design: str, n_a: int, n_b: int | None = None) -> float:
    """Return the smallest two-sided p that a design can reach, whatever the data.

    Six pairs reach ``2/64``, five only ``2/32 = .0625``. With unequal arms the two-sided label permutation and
    Fisher's test reach ``1/C(n, n_a)``, as the mirrored arrangement is not as extreme; Mann-Whitney ``2/C(n, n_a)``.

    Args:
        design: One of :data:`DESIGNS`.
        n_a: Pairs, or runs in the first arm.
        n_b: Runs in the second arm (not for pairs).

    Raises:
        ValueError: If the design is unknown or ``n_b`` is missing.

    Example:
        >>> smallest_p("paired_sign_flip", 5), smallest_p("paired_sign_flip", 6)
        (0.0625, 0.03125)
    """
    if design not in DESIGNS:
        raise ValueError(f"design must be one of {', '.join(DESIGNS)}, got {design!r}")
    if design == "paired_sign_flip":
        return float(min(1.0, 2 * 0.5**n_a))
    if n_b is None:
        raise ValueError(f"{design} compares two arms: n_b is missing")
    mirrored = design == "mann_whitney" or n_a == n_b
    return min(1.0, (2 if mirrored else 1) / math.comb(n_a + n_b, n_a))


def paired_sign_flip(
    differences: ArrayLike, *, rng: np.random.Generator | None = None, n_permutations: int = 9999
) -> FewTest:
    """Test paired differences of the same seeds in two arms by flipping their signs; exact up to 20 pairs.

    Args:
        differences: One difference per pair [pairs].
        rng: Draws the flips above 20 pairs.
        n_permutations: Monte Carlo draws above 20 pairs.

    Raises:
        ValueError: If a difference is missing, there is none, or there are more than 20 and no generator.

    Example:
        >>> paired_sign_flip([0.1, 0.3, 0.2, 0.4, 0.2, 0.3]).p
        0.03125
    """
    values = complete(differences, "differences")
    n, exact = len(values), len(values) <= EXACT_PAIRS
    drawn = None if exact else _needed(rng, n)
    shifts = sign_flip_shifts(values) if drawn is None else drawn_sign_flip_shifts(values, n_permutations, drawn)
    method = "exact" if exact else "monte_carlo"
    floor = _reachable(smallest_p("paired_sign_flip", n), method, n_permutations)
    return FewTest(floor, shifts.p, float(values.mean()), "paired_sign_flip", method, shifts)


def label_permutation(
    a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator | None = None, n_permutations: int = 9999
) -> FewTest:
    """Test the difference of means of two arms of different seeds by permuting the arm labels.

    The hypothesis is that the arms are alike. Where only their means are, a small arm of much larger spread makes p too
    small: of 4 against 12 runs with 2 to 4 times the sd .15 to .27 are below .05, between equal arms at most .08.

    Exact over all ``C(n_a + n_b, n_a)`` labellings up to 200,000 of them; the two-sided p counts labellings whose
    absolute difference is as large.

    Args:
        a: Outcomes of the first arm [n_a].
        b: Outcomes of the second arm [n_b].
        rng: Draws labellings where there are more.
        n_permutations: Monte Carlo draws.

    Raises:
        ValueError: If an arm is empty or incomplete, or a generator is needed and missing.

    Example:
        >>> round(label_permutation([5, 6, 7, 8], [1, 2, 3, 4]).p, 4)
        0.0286
    """
    first, second = complete(a, "a"), complete(b, "b")
    n_a, n_b = len(first), len(second)
    if math.comb(n_a + n_b, n_a) <= EXACT_LABELLINGS:
        shifts, method = label_shifts(first, second), "exact"
    else:
        shifts, method = drawn_label_shifts(first, second, n_permutations, _needed(rng, n_a + n_b)), "monte_carlo"
    floor = _reachable(smallest_p("label_permutation", n_a, n_b), method, n_permutations)
    return FewTest(floor, shifts.p, float(first.mean() - second.mean()), "label_permutation", method, shifts)


def mann_whitney(
    a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator | None = None, n_permutations: int = 9999
) -> FewTest:
    """Return the exact Mann-Whitney test, ties included (the permutation distribution of mid-ranks).

    Arguments and errors as for :func:`label_permutation`; the statistic is U of ``a``.

    Example:
        >>> found = mann_whitney([5, 6, 7, 8], [1, 2, 3, 4])
        >>> found.statistic, round(found.p, 4)
        (16.0, 0.0286)
    """
    first, second = complete(a, "a"), complete(b, "b")
    ranks = rankdata(np.concatenate([first, second])).astype(np.float64)
    p, method = _rank_test(ranks, len(first), rng, n_permutations)
    u = float(ranks[: len(first)].sum() - len(first) * (len(first) + 1) / 2)
    floor = _reachable(smallest_p("mann_whitney", len(first), len(second)), method, n_permutations)
    return FewTest(floor, p, u, "mann_whitney", method)


def fisher(yes_a: int, n_a: int, yes_b: int, n_b: int) -> FewTest:
    """Return Fisher's exact test of a yes/no outcome in two arms; the statistic is the sample odds ratio.

    Raises:
        ValueError: If a count does not fit its arm.

    Example:
        >>> round(fisher(8, 8, 1, 8).p, 4)
        0.0014
    """
    if not (0 <= yes_a <= n_a and 0 <= yes_b <= n_b):
        raise ValueError(f"yes counts must lie within their arms, got {yes_a} of {n_a} and {yes_b} of {n_b}")
    counts = np.array([[yes_a, n_a - yes_a], [yes_b, n_b - yes_b]])
    found = fisher_exact(counts)
    p = min(1.0, float(found.pvalue))
    return FewTest(smallest_p("fisher", n_a, n_b), p, float(found.statistic), "fisher", "exact")


def hedges_g(a: ArrayLike, b: ArrayLike) -> float:
    """Return Hedges' g of ``a`` over ``b``: the difference of means in pooled sd, small-sample corrected.

    The exact factor ``J(m) = G(m/2) / (sqrt(m/2) G((m-1)/2))`` with ``m = n_a + n_b - 2`` (Hedges 1981, eq. 6e).
    NaN below three runs in all or where neither arm varies.

    Example:
        >>> round(hedges_g([5, 6, 7, 8], [1, 2, 3, 4]), 2)
        2.69
    """
    first, second = complete(a, "a"), complete(b, "b")
    m = len(first) + len(second) - 2
    if m < 2 or (_alike(first) and _alike(second)):
        return float("nan")
    squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    correction = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    return float(correction * (first.mean() - second.mean()) / math.sqrt(squares / m))


def differences(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return ``first - second`` of the same runs in two arms ``[pairs]``; 0 where they are equal but for rounding.

    The sign of what is left by rounding means nothing, and a test of signs would count it.

    Args:
        first: One value per run ``[pairs]``.
        second: The same of the other arm, in that order.

    Example:
        >>> differences([0.1 + 0.2, 0.5], [0.3, 0.25]).tolist()
        [0.0, 0.25]
    """
    a, b = (np.asarray(each, dtype=np.float64) for each in (first, second))
    return np.where(np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b)), 0.0, a - b)


def spread(values: ArrayLike, beside: ArrayLike = ()) -> float:
    """Return the standard deviation of runs; exactly 0 where they are equal up to rounding, NaN below two.

    Args:
        values: One per run or pair.
        beside: What these were made from, where their own size says nothing of their rounding: the arms of differences.

    Example:
        >>> spread([1.0, 2.0, 3.0]), spread([0.1, 0.1, 0.1]), spread([0.3 - 0.2, 0.2 - 0.1], beside=[0.3, 0.2, 0.1])
        (1.0, 0.0, 0.0)
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2:
        return math.nan
    return 0.0 if _alike(found, beside) else float(found.std(ddof=1))


def student_interval(values: ArrayLike, confidence: float) -> Interval:
    """Return Student's t interval of the mean of independent runs, method ``student_t``.

    For arms or pairs too few for a permutation test to reject at this level; it assumes normality and supports no
    claim.

    Returns:
        Method ``none: ...`` below four runs, or where all are equal.

    Example:
        >>> found = student_interval([1.0, 2.0, 3.0, 4.0], 0.95)
        >>> round(found.low, 2), round(found.high, 2), found.method
        (0.45, 4.55, 'student_t')
    """
    found = complete(values, "values")
    if len(found) < LEAST_RUNS or _alike(found):
        return _none(len(found))
    around = stats.ttest_1samp(found, 0.0).confidence_interval(confidence)
    return Interval(float(around.low), float(around.high), "student_t")


def welch_interval(a: ArrayLike, b: ArrayLike, confidence: float) -> Interval:
    """Return Welch's t interval of the difference of means ``a - b`` of independent arms, method ``welch_t``.

    Degrees of freedom by Satterthwaite (1946). For arms as in :func:`student_interval`.

    Returns:
        Method ``none: ...`` below four runs in an arm, or where each arm's runs are equal.

    Example:
        >>> found = welch_interval([5, 6, 7, 8], [1, 2, 3, 4], 0.95)
        >>> round(found.low, 2), round(found.high, 2)
        (1.77, 6.23)
    """
    first, second = complete(a, "a"), complete(b, "b")
    if min(len(first), len(second)) < LEAST_RUNS or (_alike(first) and _alike(second)):
        return _none(min(len(first), len(second)))
    around = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    return Interval(float(around.low), float(around.high), "welch_t")


def newcombe_interval(yes_a: int, n_a: int, yes_b: int, n_b: int, confidence: float) -> Interval:
    """Return Newcombe's (1998, method 10) interval of the difference of two shares of runs, method ``newcombe``.

    Returns:
        Method ``none: ...`` below four runs in an arm.

    Example:
        >>> found = newcombe_interval(8, 8, 1, 8, 0.95)
        >>> round(found.low, 2), round(found.high, 2)
        (0.4, 0.98)
    """
    if min(n_a, n_b) < LEAST_RUNS:
        return _none(min(n_a, n_b))
    shares = (np.array([yes_a / n_a]), np.array([yes_b / n_b]))
    wilson = [
        stats.binomtest(yes, n).proportion_ci(confidence, method="wilson") for yes, n in ((yes_a, n_a), (yes_b, n_b))
    ]
    low, high = gap_interval(shares, (wilson[0].low, wilson[1].low), (wilson[0].high, wilson[1].high))
    return Interval(float(low[0]), float(high[0]), "newcombe")


def _none(n: int) -> Interval:
    """Return an empty interval with its reason: too few runs, or runs that are all equal."""
    return Interval(math.nan, math.nan, too_few(n, "run") if n < LEAST_RUNS else EQUAL_UNITS)


def _alike(values: Floats, beside: ArrayLike = ()) -> bool:
    largest = max(np.abs(np.asarray(each, dtype=np.float64)).max(initial=0.0) for each in (values, beside))
    return bool(np.ptp(values) <= EQUAL * largest)


def _reachable(floor: float, method: str, n_permutations: int) -> float:
    """Return the smallest p: of the design, and with drawn arrangements not below ``1 / (draws + 1)``."""
    return floor if method == "exact" else max(floor, 1 / (n_permutations + 1))


def complete(values: ArrayLike, name: str) -> Floats:
    """Return values as an array.

    Raises:
        ValueError: If they are not a list of finite numbers, or there are none.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"{name} must be a non-empty list of finite numbers, got {found.tolist()}")
    return found


def _needed(rng: np.random.Generator | None, n: int) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"{n} runs are too many to enumerate every arrangement: pass a generator")
    return rng


def _rank_test(ranks: Floats, n_a: int, rng: np.random.Generator | None, m: int) -> tuple[float, str]:
    n = len(ranks)
    centred = ranks - ranks.mean()
    observed, tolerance = centred[:n_a].sum(keepdims=True), np.array([TOLERANCE * np.abs(centred).sum()])
    if math.comb(n, n_a) <= EXACT_LABELLINGS:
        sums = centred[labellings(n, n_a)].sum(axis=1)
        return float(as_extreme(sums[:, None], observed, tolerance)[0] / len(sums)), "exact"
    b = 0.0
    for size in chunk_sizes(m, n):
        drawn = _needed(rng, n).permuted(np.tile(centred, (size, 1)), axis=1)[:, :n_a].sum(axis=1)
        b += float(as_extreme(drawn[:, None], observed, tolerance)[0])
    return (b + 1) / (m + 1), "monte_carlo"
