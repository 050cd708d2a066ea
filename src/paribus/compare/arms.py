"""Comparison of two arms of runs: the test that fits their seeds, the difference, and the smallest p of the design."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats
from paribus.stats import few
from paribus.stats.bootstrap import Interval
from paribus.stats.intervals import NONE
from paribus.stats.inversion import UNREACHED
from paribus.stats.multiplicity import adjust, bh_confidences, holm_confidences

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

Unit = Any
"""The independent unit: the trained model of one seed."""

Intervals = Callable[[float], Interval]
"""Maps a confidence level to an interval."""

NOTHING = Interval(math.nan, math.nan, NONE)
T_METHODS = ("student_t", "welch_t")
"""Intervals where there are too few runs for the test to reject at this level: no claim rests on them."""
UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class ArmSummary:
    """One arm.

    Attributes:
        smallest_p: The smallest p that as many runs can reach; NaN where nothing is tested.
        n: Runs with a value.
        mean: Their mean.
        ci_low: Lower end of its interval; NaN where there is none.
        ci_high: Upper end.
        ci_method: ``sign_flip``, ``student_t``, or ``none: ...`` with the reason.
        p: Two-sided p against 0; NaN where nothing is tested.
        intervals: The interval at any confidence, from the same test.
    """

    smallest_p: float
    n: int
    mean: float
    ci_low: float
    ci_high: float
    ci_method: str
    p: float
    intervals: Intervals


@dataclass(frozen=True)
class ArmComparison:
    """Arm ``a`` against arm ``b`` (the reference).

    Attributes:
        smallest_p: The smallest p the design can reach.
        design: ``paired_sign_flip`` (same seeds), ``label_permutation``, ``fisher`` (yes/no), or ``none``.
        n: Units of ``a``.
        n_reference: Units of ``b``.
        mean: Mean of ``a``.
        mean_reference: Mean of ``b``.
        difference: ``mean - mean_reference``.
        ci_low: Lower end of its interval; NaN where there is none.
        ci_high: Upper end.
        ci_method: The design, where the interval inverts its test; ``newcombe`` for shares; ``student_t`` or
            ``welch_t`` where the runs are too few for the test to reject; or ``none: ...`` with the reason.
        hedges_g: Standardised difference.
        p: Two-sided p of ``design``; NaN where nothing could be tested.
        p_mann_whitney: Exact Mann-Whitney p of unpaired arms; NaN for pairs.
        missing: Units that only one arm has, as text.
        intervals: The interval at any confidence, from the same test.
    """

    smallest_p: float
    design: str
    n: int
    n_reference: int
    mean: float = math.nan
    mean_reference: float = math.nan
    difference: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    ci_method: str = NONE
    hedges_g: float = math.nan
    p: float = math.nan
    p_mann_whitney: float = math.nan
    missing: str = ""
    intervals: Intervals = lambda _: NOTHING


COLUMNS = tuple(f.name for f in fields(ArmComparison) if f.name not in ("smallest_p", "missing", "intervals"))
"""Columns of a table of comparisons after those that say what is compared."""


def compare_arms(
    a: Mapping[Unit, float],
    b: Mapping[Unit, float],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    yes_no: bool = False,
    bounds: tuple[float, float] = UNBOUNDED,
) -> ArmComparison:
    """Compare two arms of runs, each a mapping from unit (seed) to its outcome.

    The design follows from the seeds alone, never from the outcomes: the same seeds in both arms are paired; otherwise
    labels are permuted over all runs and the seeds that only one arm has are named. The interval inverts the test that
    gives ``p``, so that it leaves 0 out exactly where ``p`` is at most ``1 - confidence``.

    Args:
        a: Outcomes of the arm by seed; values that are not finite are left out.
        b: Outcomes of the reference arm.
        spec: Settings of the intervals and tests.
        rng: Randomness of permutations where they cannot be enumerated; it is not advanced, so that neither the names
            of arms nor what else is compared changes a number.
        yes_no: Outcomes are 0 or 1 and compared by Fisher's exact test.
        bounds: Least and largest value that an outcome can have; intervals stay within their differences.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> grokking = {seed: 0.8 + 0.01 * seed for seed in range(8)}
        >>> standard = {seed: 0.7 + 0.01 * (seed % 3) for seed in range(8)}
        >>> found = compare_arms(grokking, standard, spec=StatsSpec(), rng=np.random.default_rng(0))
        >>> found.p < 0.05
        True
    """
    a, b = _finite(a), _finite(b)
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    mean = float(x.mean()) if len(x) else math.nan
    reference = float(y.mean()) if len(y) else math.nan
    if min(len(x), len(y)) < 1 or len(x) + len(y) < 3:
        return ArmComparison(
            math.nan, "none", len(x), len(y), mean, reference, mean - reference, missing=_missing(a, b)
        )
    found, p_rank = _test(a, b, spec, deepcopy(rng), yes_no)
    widest = bounds[1] - bounds[0]
    intervals = within((-widest, widest), _intervals_of_arms(found, a, b))
    around = intervals(spec.confidence)
    return ArmComparison(
        found.smallest_p, found.test, len(x), len(y), mean, reference, mean - reference,
        around.low, around.high, around.method, few.hedges_g(x, y), found.p, p_rank, _missing(a, b), intervals,
    )  # fmt: skip


def one_arm(
    values: Sequence[float],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    against_zero: bool = False,
    bounds: tuple[float, float] = UNBOUNDED,
) -> ArmSummary:
    """Return mean and interval of the outcomes of one arm, which inverts their sign-flip test.

    Args:
        values: One outcome per unit; values that are not finite are left out.
        spec: Settings of the intervals and tests.
        rng: Randomness of flips where they cannot be enumerated; it is not advanced.
        against_zero: Whether 0 means no effect; only then is there a p.
        bounds: Least and largest value that an outcome can have; the interval stays within.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> values = [0.4, 0.5, 0.6, 0.5, 0.7, 0.5, 0.6, 0.4]
        >>> found = one_arm(values, spec=StatsSpec(), rng=np.random.default_rng(0), against_zero=True)
        >>> found.n, round(found.mean, 3)
        (8, 0.525)
    """
    found = np.array([v for v in values if math.isfinite(v)])
    if not len(found):
        return ArmSummary(math.nan, 0, math.nan, math.nan, math.nan, "none", math.nan, lambda _: NOTHING)
    test = few.paired_sign_flip(found, rng=deepcopy(rng), n_permutations=spec.n_permutations)

    def intervals(confidence: float) -> Interval:
        inverted = test.interval(confidence)
        if not is_none(inverted):
            return Interval(inverted.low, inverted.high, "sign_flip")
        return few.student_interval(found, confidence) if _too_few(test, confidence) else inverted

    bounded = within(bounds, intervals)
    around = bounded(spec.confidence)
    p, floor = (test.p, test.smallest_p) if against_zero else (math.nan, math.nan)
    return ArmSummary(floor, len(found), float(found.mean()), around.low, around.high, around.method, p, bounded)


@dataclass(frozen=True)
class Unadjusted:
    """Rows that were tested, before adjustment.

    Attributes:
        frame: Rows with ``smallest_p``, ``p`` and ``ci_method``.
        intervals: For each row its interval at any confidence.
    """

    frame: pd.DataFrame
    intervals: Sequence[Intervals]


CONFIDENCES = {"holm": holm_confidences, "bh": bh_confidences}
"""How wide an interval must be that agrees with the adjusted p, by the way of adjusting."""


def holm(tested: Unadjusted, *, confidence: float) -> pd.DataFrame:
    """Return rows with what adjustment by Holm over all of them adds to ``p`` and to the interval.

    See :func:`in_families`.
    """
    return in_families([tested], [[""] * len(tested.frame)], {"": "holm"}, confidence=confidence)[0]


def in_families(
    tested: Sequence[Unadjusted], families: Sequence[Sequence[str]], methods: Mapping[str, str], *, confidence: float
) -> list[pd.DataFrame]:
    """Return tables with what adjustment within families of their rows adds to ``p`` and to the interval.

    ``p_adj`` comes after ``p``; ``smallest_p_adj``, what the design could reach after adjustment were all other rows
    unremarkable, after ``smallest_p``; ``ci_adj_low, ci_adj_high`` and ``ci_adj_method``, at the level at which the
    row was judged, after ``ci_method``. They agree: 0 lies outside ``ci_adj_*`` exactly where
    ``p_adj <= 1 - confidence``. There is none at a level that the design cannot reach: a t interval could contradict
    ``p_adj``.

    Args:
        tested: The tables; a family may reach over several.
        families: For each table the family of every row.
        methods: How each family is adjusted: ``holm`` or ``bh``.
        confidence: Of every family.
    """
    of = np.array([name for names in families for name in names], dtype=object)
    p = np.concatenate([each.frame["p"].to_numpy(float) for each in tested])
    floors = np.concatenate([each.frame["smallest_p"].to_numpy(float) for each in tested])
    intervals = [make for each in tested for make in each.intervals]
    p_adj, floor_adj, levels = (np.full(len(p), math.nan) for _ in range(3))
    for name, method in methods.items():
        own = of == name
        p_adj[own] = adjust(p[own], method)
        floor_adj[own] = np.minimum(floors[own] * max(1, int(np.isfinite(p[own]).sum())), 1.0)
        levels[own] = CONFIDENCES[method](p[own], confidence)
    around = [
        NOTHING if math.isnan(level) else _adjusted(make(level)) for make, level in zip(intervals, levels, strict=True)
    ]
    tables, first = [], 0
    for each in tested:
        table, rows = each.frame.copy(), slice(first, first + len(each.frame))
        first += len(table)
        _after(table, "p", "p_adj", p_adj[rows])
        _after(table, "smallest_p", "smallest_p_adj", floor_adj[rows])
        for name, values in (
            ("ci_adj_method", [one.method for one in around[rows]]),
            ("ci_adj_high", np.array([one.high for one in around[rows]], dtype=np.float64)),
            ("ci_adj_low", np.array([one.low for one in around[rows]], dtype=np.float64)),
        ):
            _after(table, "ci_method", name, values)
        tables.append(table)
    return tables


def _adjusted(interval: Interval) -> Interval:
    """Return an interval at an adjusted level; Student's t, which could contradict the adjusted p, is none."""
    return Interval(math.nan, math.nan, UNREACHED) if interval.method in T_METHODS else interval


def _after(table: pd.DataFrame, column: str, name: str, values: Any) -> None:
    table.insert(list(table.columns).index(column) + 1, name, values)


def _finite(values: Mapping[Unit, float]) -> dict[Unit, float]:
    return {unit: float(value) for unit, value in values.items() if value is not None and math.isfinite(float(value))}


def paired(a: Mapping[Unit, float], b: Mapping[Unit, float]) -> Floats:
    """Return the differences of the units that both have, in the order of ``a``; 0 where equal but for rounding.

    Example:
        >>> paired({0: 0.5, 1: 0.1 + 0.2, 2: 9.0}, {1: 0.3, 0: 0.25}).tolist()
        [0.25, 0.0]
    """
    shared = [unit for unit in a if unit in b]
    return few.differences([a[unit] for unit in shared], [b[unit] for unit in shared])


def _missing(a: Mapping[Unit, float], b: Mapping[Unit, float]) -> str:
    only_a, only_b = sorted(set(a) - set(b), key=str), sorted(set(b) - set(a), key=str)
    if not set(a) & set(b):
        return ""
    texts = []
    if only_b:
        texts.append(f"missing: {', '.join(map(str, only_b))}")
    if only_a:
        texts.append(f"missing in the reference: {', '.join(map(str, only_a))}")
    return "; ".join(texts)


def _test(
    a: Mapping[Unit, float], b: Mapping[Unit, float], spec: StatsSpec, rng: np.random.Generator, yes_no: bool
) -> tuple[few.FewTest, float]:
    """Return the test of the design, and for unpaired arms the p of the ranks."""
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    if yes_no:
        return few.fisher(int(x.sum()), len(x), int(y.sum()), len(y)), math.nan
    if set(a) == set(b):
        return few.paired_sign_flip(paired(a, b), rng=rng, n_permutations=spec.n_permutations), math.nan
    found = few.label_permutation(x, y, rng=rng, n_permutations=spec.n_permutations)
    return found, few.mann_whitney(x, y, rng=rng, n_permutations=spec.n_permutations).p


def _intervals_of_arms(test: few.FewTest, a: Mapping[Unit, float], b: Mapping[Unit, float]) -> Intervals:
    x, y = np.array(list(a.values())), np.array(list(b.values()))

    def of_means(confidence: float) -> Interval:
        inverted = test.interval(confidence)
        if not is_none(inverted) or not _too_few(test, confidence):
            return inverted
        if test.test == "paired_sign_flip":
            return few.student_interval(paired(a, b), confidence)
        return few.welch_interval(x, y, confidence)

    def of_shares(confidence: float) -> Interval:
        around = few.newcombe_interval(int(x.sum()), len(x), int(y.sum()), len(y), confidence)
        rejected = test.p <= 1 - confidence + 1e-12
        # Two methods: where they disagree about 0, neither interval is right beside this p.
        if is_none(around) or (around.low <= 0 <= around.high) != rejected:
            return around
        return Interval(math.nan, math.nan, f"{NONE}: its method and the test disagree about 0")

    return of_shares if test.test == "fisher" else of_means


def _too_few(test: few.FewTest, confidence: float) -> bool:
    """Return whether the test cannot reject at this level, whatever the data."""
    return test.smallest_p > 1 - confidence + 1e-12


def is_none(interval: Interval) -> bool:
    """Return whether an interval is none; its method says why."""
    return str(interval.method).startswith(NONE)


def within(bounds: tuple[float, float], intervals: Intervals) -> Intervals:
    """Return the same intervals, cut to what is possible.

    Example:
        >>> within((-1.0, 1.0), lambda _: Interval(-0.5, 3.0, "sign_flip"))(0.95).high
        1.0
    """

    def cut(confidence: float) -> Interval:
        found = intervals(confidence)
        if is_none(found):
            return found
        return Interval(max(found.low, bounds[0]), min(found.high, bounds[1]), found.method)

    return cut
