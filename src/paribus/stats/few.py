"""Comparisons of few runs: exact tests, effect sizes and intervals, the smallest reachable p always with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.bootstrap import LEAST_OWN, MIN_CLUSTERS, STATISTIC_PERCENTILE_FROM, Interval, tails
from paribus.stats.clusters import FloatArray, chunk_sizes
from paribus.stats.permutation import ALTERNATIVES, as_extreme, sign_flip_rows

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

EXACT_PAIRS = 20
EXACT_LABELLINGS = 200_000
DESIGNS = ("paired_sign_flip", "label_permutation", "mann_whitney", "fisher")


@dataclass(frozen=True)
class FewTest:
    """A test of few runs.

    Attributes:
        smallest_p: The smallest p this design can reach, whatever the data; look at it first.
        p: The p-value.
        statistic: What was tested (a mean difference, U, an odds ratio).
        test: The test's name, as in :data:`DESIGNS`.
        method: ``exact`` or ``monte_carlo``.
        alternative: ``two-sided``, ``greater`` or ``less``.
        n_a: Runs in the first arm, or pairs.
        n_b: Runs in the second arm, or pairs.
    """

    smallest_p: float
    p: float
    statistic: float
    test: str
    method: str
    alternative: str
    n_a: int
    n_b: int


def smallest_p(design: str, n_a: int, n_b: int | None = None, *, alternative: str = "two-sided") -> float:
    """Return the smallest p that a design can reach, whatever the data.

    Six pairs reach ``2/64``, five only ``2/32 = .0625``. With unequal arms the two-sided label permutation and
    Fisher's test reach ``1/C(n, n_a)``, as the mirrored arrangement is not as extreme; Mann-Whitney ``2/C(n, n_a)``.

    Args:
        design: One of :data:`DESIGNS`.
        n_a: Pairs, or runs in the first arm.
        n_b: Runs in the second arm (not for pairs).
        alternative: ``two-sided``, ``greater`` or ``less``.

    Raises:
        ValueError: If the design is unknown or ``n_b`` is missing.
    """
    if design not in DESIGNS:
        raise ValueError(f"design must be one of {', '.join(DESIGNS)}, got {design!r}")
    two = alternative == "two-sided"
    if design == "paired_sign_flip":
        return float(min(1.0, (2 if two else 1) * 0.5**n_a))
    if n_b is None:
        raise ValueError(f"{design} compares two arms: n_b is missing")
    mirrored = two and (design == "mann_whitney" or n_a == n_b)
    return min(1.0, (2 if mirrored else 1) / math.comb(n_a + n_b, n_a))


def paired_sign_flip(
    differences: ArrayLike,
    *,
    alternative: str = "two-sided",
    rng: np.random.Generator | None = None,
    n_permutations: int = 9999,
) -> FewTest:
    """Test paired differences of the same seeds in two arms by flipping their signs; exact up to 20 pairs.

    Args:
        differences: One difference per pair [pairs].
        alternative: ``two-sided``, ``greater`` or ``less``.
        rng: Draws the flips above 20 pairs.
        n_permutations: Monte Carlo draws above 20 pairs.

    Raises:
        ValueError: If a difference is missing, there is none, or there are more than 20 and no generator.
    """
    values = _complete(differences, "differences")
    n, exact = len(values), len(values) <= EXACT_PAIRS
    if exact:
        totals = np.zeros(1)
        for value in values:
            totals = np.concatenate([totals + value, totals - value])
        tolerance = np.array([1e-10 * np.abs(values).sum()])
        p = float(as_extreme(totals[:, None], totals[:1], tolerance, alternative)[0] / len(totals))
    else:
        found, _ = sign_flip_rows(
            values[None], rng=_needed(rng, n), n_permutations=n_permutations, alternative=alternative
        )
        p = float(found[0])
    floor = smallest_p("paired_sign_flip", n, alternative=alternative)
    return FewTest(
        floor if exact else max(floor, 1 / (n_permutations + 1)),
        p,
        float(values.mean()),
        "paired_sign_flip",
        "exact" if exact else "monte_carlo",
        alternative,
        n,
        n,
    )


def label_permutation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alternative: str = "two-sided",
    rng: np.random.Generator | None = None,
    n_permutations: int = 9999,
) -> FewTest:
    """Test the difference of means of two arms of different seeds by permuting the arm labels.

    Exact over all ``C(n_a + n_b, n_a)`` labellings up to 200,000 of them; the two-sided p counts labellings whose
    absolute difference is as large.

    Args:
        a: Outcomes of the first arm [n_a].
        b: Outcomes of the second arm [n_b].
        alternative: ``two-sided``, ``greater`` (``a`` is larger) or ``less``.
        rng: Draws labellings where there are more.
        n_permutations: Monte Carlo draws.

    Raises:
        ValueError: If an arm is empty or incomplete, or a generator is needed and missing.
    """
    first, second = _complete(a, "a"), _complete(b, "b")
    p, method = _label_test(np.concatenate([first, second]), len(first), alternative, rng, n_permutations)
    return _two_arms("label_permutation", p, method, first.mean() - second.mean(), first, second, alternative)


def mann_whitney(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alternative: str = "two-sided",
    rng: np.random.Generator | None = None,
    n_permutations: int = 9999,
) -> FewTest:
    """Return the exact Mann-Whitney test, ties included (the permutation distribution of mid-ranks).

    Arguments and errors as for :func:`label_permutation`; the statistic is U of ``a``.
    """
    from scipy.stats import rankdata

    first, second = _complete(a, "a"), _complete(b, "b")
    ranks = rankdata(np.concatenate([first, second])).astype(np.float64)
    p, method = _label_test(ranks, len(first), alternative, rng, n_permutations)
    u = float(ranks[: len(first)].sum() - len(first) * (len(first) + 1) / 2)
    return _two_arms("mann_whitney", p, method, u, first, second, alternative)


def fisher(yes_a: int, n_a: int, yes_b: int, n_b: int, *, alternative: str = "two-sided") -> FewTest:
    """Return Fisher's exact test of a yes/no outcome in two arms; the statistic is the sample odds ratio.

    Raises:
        ValueError: If a count does not fit its arm.
    """
    from scipy.stats import fisher_exact

    if not (0 <= yes_a <= n_a and 0 <= yes_b <= n_b):
        raise ValueError(f"yes counts must lie within their arms, got {yes_a} of {n_a} and {yes_b} of {n_b}")
    _known(alternative)
    counts = np.array([[yes_a, n_a - yes_a], [yes_b, n_b - yes_b]])
    found = fisher_exact(counts, alternative=cast(Any, alternative))
    floor = smallest_p("fisher", n_a, n_b, alternative=alternative)
    p = min(1.0, float(found.pvalue))
    return FewTest(floor, p, float(found.statistic), "fisher", "exact", alternative, n_a, n_b)


def hedges_g(a: ArrayLike, b: ArrayLike) -> float:
    """Return Hedges' g of ``a`` over ``b``: the difference of means in pooled sd, small-sample corrected.

    The exact factor ``J(m) = G(m/2) / (sqrt(m/2) G((m-1)/2))`` with ``m = n_a + n_b - 2`` (Hedges 1981, eq. 6e).
    NaN below three runs in all or where neither arm varies.
    """
    first, second = _complete(a, "a"), _complete(b, "b")
    m = len(first) + len(second) - 2
    if m < 2:
        return float("nan")
    squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    if squares <= 0:
        return float("nan")
    correction = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    return float(correction * (first.mean() - second.mean()) / math.sqrt(squares / m))


def stratified_interval(
    groups: Sequence[ArrayLike],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    contrast: Sequence[float] | None = None,
) -> Interval:
    """Return the interval of a contrast of group means, runs resampled within each group.

    Stratified bootstrap over runs (Agarwal et al. 2021), studentised below 40 runs as percentile intervals of few
    runs are too short; none below 6 runs in all or with fewer than 3 in a group.

    Args:
        groups: Outcomes of the runs of each group (arm, task, condition).
        spec: Resamples and confidence.
        rng: Draws the resamples.
        contrast: Weight of each group's mean; by default their average. ``(1, -1)`` is the difference of two arms.

    Raises:
        ValueError: If the contrast does not fit the groups, or a value is missing.
    """
    arms = [_complete(group, f"group {i}") for i, group in enumerate(groups)]
    weights = np.full(len(arms), 1 / max(1, len(arms))) if contrast is None else np.asarray(contrast, dtype=np.float64)
    if len(weights) != len(arms):
        raise ValueError(f"a contrast of {len(weights)} weights does not fit {len(arms)} groups")
    total = sum(len(arm) for arm in arms)
    if total < MIN_CLUSTERS or min(len(arm) for arm in arms) < 3:
        return Interval(float("nan"), float("nan"), "none")
    estimate = float(sum(c * arm.mean() for c, arm in zip(weights, arms, strict=True)))
    shift, variance, own = np.zeros(spec.n_bootstrap), 0.0, np.zeros(spec.n_bootstrap)
    for c, arm in zip(weights, arms, strict=True):
        drawn = arm[rng.integers(0, len(arm), size=(spec.n_bootstrap, len(arm)))]
        shift += c * (drawn.mean(axis=1) - arm.mean())
        variance += float(c**2 * arm.var(ddof=1) / len(arm))
        own += c**2 * drawn.var(axis=1, ddof=1) / len(arm)
    if total >= STATISTIC_PERCENTILE_FROM:
        low, high = estimate + np.quantile(shift, tails(spec))
        return Interval(float(low), float(high), "percentile")
    se = math.sqrt(variance)
    if se == 0:
        return Interval(estimate, estimate, "bootstrap_t")
    lower, upper = np.quantile(shift / np.sqrt(np.maximum(own, (LEAST_OWN * se) ** 2)), tails(spec))
    return Interval(estimate - max(float(upper), 0.0) * se, estimate - min(float(lower), 0.0) * se, "bootstrap_t")


def _complete(values: ArrayLike, name: str) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"{name} must be a non-empty list of finite numbers, got {found.tolist()}")
    return found


def _known(alternative: str) -> None:
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")


def _needed(rng: np.random.Generator | None, n: int) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"{n} runs are too many to enumerate every arrangement: pass a generator")
    return rng


def _two_arms(
    test: str, p: float, method: str, statistic: float, a: FloatArray, b: FloatArray, alternative: str
) -> FewTest:
    floor = smallest_p(test, len(a), len(b), alternative=alternative)
    return FewTest(floor, p, float(statistic), test, method, alternative, len(a), len(b))


def _label_test(
    values: FloatArray, n_a: int, alternative: str, rng: np.random.Generator | None, m: int
) -> tuple[float, str]:
    n = len(values)
    # The mean difference is a rising function of the first arm's sum, centred on its expectation.
    centred = values - values.mean()
    observed, tolerance = centred[:n_a].sum(keepdims=True), np.array([1e-10 * np.abs(centred).sum()])
    if math.comb(n, n_a) <= EXACT_LABELLINGS:
        chosen = np.fromiter(itertools.chain.from_iterable(itertools.combinations(range(n), n_a)), dtype=np.int64)
        sums = centred[chosen.reshape(-1, n_a)].sum(axis=1)
        return float(as_extreme(sums[:, None], observed, tolerance, alternative)[0] / len(sums)), "exact"
    b = 0.0
    for size in chunk_sizes(m, n):
        drawn = _needed(rng, n).permuted(np.tile(centred, (size, 1)), axis=1)[:, :n_a].sum(axis=1)
        b += float(as_extreme(drawn[:, None], observed, tolerance, alternative)[0])
    return (b + 1) / (m + 1), "monte_carlo"
