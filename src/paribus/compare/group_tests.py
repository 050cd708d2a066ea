"""Tests between groups: exact tests at a fixed number of units, or sequential ones while units are added."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.compare.arms import COLUMNS, ArmComparison, Intervals, Unadjusted, compare_arms, paired, within
from paribus.compare.group_tables import BESIDE, RANKING
from paribus.compare.honesty import in_order
from paribus.compare.outcomes import Outcome
from paribus.compare.units import NAMES, Pooled, arms_of
from paribus.errors import ExperimentError, nearest
from paribus.results.endpoint import CHANGE
from paribus.stats.bootstrap import Interval
from paribus.stats.e_process import E_PROCESS, LEAST_PAIRS, e_interval, e_value, smallest_e_p
from paribus.stats.few import hedges_g, spread
from paribus.stats.improvement import improvement, paired_improvement
from paribus.stats.sequential import (
    DECLARED_LOOKS,
    MOST_ENUMERATED,
    flipped_sums,
    look_again,
    looks_interval,
    looks_p,
    smallest_looks_p,
    spending,
)

if TYPE_CHECKING:
    from paribus.experiments.setup_runs import RunsSetup

Arm = Mapping[str, float]
"""Value by unit."""
LOOKED = ("metric", "group", "reference", "n", "level", "mean", "p", "rejects", "ci_low", "ci_high")
MOST_STEPS = 40
"""Number of last steps that are tabulated where units were added without a plan."""
MANY_MORE, WIDER = 1.5, 2.0
"""From how many times as many units, and how many times the sd, permuted labels reject too often: see `_spreads`."""


@dataclass(frozen=True)
class Tested:
    """The tests of a comparison, before adjustment.

    Attributes:
        rows: One row per metric and pair of groups (``training`` is the group).
        arms: For each the values of its two groups by unit.
        looks: One row per test and look; empty where units were not added while looking.
        remarks: Sentences about them.
    """

    rows: Unadjusted
    arms: tuple[tuple[Arm, Arm], ...]
    looks: pd.DataFrame
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Growth:
    """How units were added during the analysis: at declared looks, at any time, or (neither) not at all."""

    looks: tuple[int, ...] = ()
    anytime: bool = False


FIXED = Growth()
Ranked = Callable[[str, str], tuple[ArmComparison, Mapping[str, float]]]
"""Compares a group with its reference other than by values of units; returns the comparison and further columns."""


def tests_of(
    values: pd.DataFrame,
    outcomes: Mapping[str, Outcome],
    pairs: Sequence[tuple[str, str]],
    *,
    setup: RunsSetup,
    rng: np.random.Generator,
    growth: Growth = FIXED,
    names: Pooled = NAMES,
    otherwise: Mapping[str, Ranked] | None = None,
) -> Tested:
    """Test every outcome in every pair of groups.

    Args:
        values: One row per run: metric, group, unit, setting, value, yes_no, and perhaps ``auroc_change``.
        outcomes: What is compared, by name, in the order of the rows.
        pairs: Groups, each with its reference.
        setup: Settings of the statistics.
        rng: Randomness of tests that cannot be enumerated.
        growth: How units were added.
        names: What units and pooled settings are called.
        otherwise: Outcomes with a comparison of their own, such as censored times.

    Raises:
        ExperimentError: If units were added while looking and are not paired.
    """
    rows, intervals, looked, arms = [], [], [], []
    remarks: list[str] = []
    for metric, outcome in outcomes.items():
        mine = values[values["metric"] == metric]
        for group, reference in pairs:
            where = f"{outcome.name}, {group} against {reference}"
            tested = _tested(mine, outcome, group, reference, setup, rng, names, otherwise or {})
            found, (a, b), left_out, beside = tested.found, tested.arms, tested.left_out, tested.beside
            arms.append((a, b))
            if growth.looks or growth.anytime:
                found, steps, (a, b) = _while_growing(growth, where, (a, b), found, setup, outcome.bounds)
                looked += [{"metric": metric, "group": group, "reference": reference, **step} for step in steps]
            intervals.append(found.intervals)
            untested = _untested(found)
            flags = [text for text in (found.missing, left_out, untested, _spreads(found.design, a, b)) if text]
            remarks += [f"{where}: {text}." for text in (found.missing and f"{names.units} {found.missing}", left_out)
                        if text]  # fmt: skip
            first = {"smallest_p": found.smallest_p, "endpoint": metric, "label": outcome.label, "unit": outcome.unit,
                     "training": group, "reference": reference}  # fmt: skip
            rest = {name: getattr(found, name) for name in COLUMNS}
            rows.append({**first, **rest, **beside, "flag": "; ".join(flags), **_sizes(a, b, found, setup)})
    known = {*FIRST, *COLUMNS, "flag", *SIZES}
    further = (name for row in rows for name in row if name not in known)
    columns = [*FIRST, *COLUMNS, *dict.fromkeys((*(RANKING if BESIDE in values else ()), *further)), "flag", *SIZES]
    made = Unadjusted(pd.DataFrame(rows, columns=columns), intervals)
    return Tested(made, tuple(arms), pd.DataFrame(looked, columns=list(LOOKED)), tuple(dict.fromkeys(remarks)))


FIRST = ("smallest_p", "endpoint", "label", "unit", "training", "reference")
"""Columns of a table of tests that say what is compared."""


def _untested(found: ArmComparison) -> str:
    if found.design != "none":
        return ""
    return "too few runs for a test" if found.n and found.n_reference else "no runs to compare"


@dataclass(frozen=True)
class _Pair:
    found: ArmComparison
    arms: tuple[Arm, Arm]
    left_out: str
    beside: Mapping[str, float]


def _tested(
    mine: pd.DataFrame, outcome: Outcome, group: str, reference: str, setup: RunsSetup, rng: np.random.Generator,
    names: Pooled, otherwise: Mapping[str, Ranked],
) -> _Pair:  # fmt: skip
    if outcome.name in otherwise:
        found, beside = otherwise[outcome.name](group, reference)
        return _Pair(found, ({}, {}), "", beside)
    arms = arms_of(mine, group, reference, names=names)
    # the mean over several runs of a unit may be a fraction: then the outcome is a number
    whole = all(value in (0.0, 1.0) for value in (*arms.a.values(), *arms.b.values()))
    yes_no = bool(len(mine)) and bool(mine["yes_no"].all()) and whole
    found = compare_arms(arms.a, arms.b, spec=setup.stats, rng=rng, yes_no=yes_no, bounds=outcome.bounds)
    beside = _ranking(mine, outcome, group, reference, setup, rng) if BESIDE in mine else {}
    return _Pair(found, (arms.a, arms.b), arms.left_out, beside)


def _ranking(
    mine: pd.DataFrame, outcome: Outcome, group: str, reference: str, setup: RunsSetup, rng: np.random.Generator
) -> dict[str, float]:
    """Return the statistics of the AUROC that accompanies an accuracy, over the same units and not adjusted."""
    if not outcome.ranked:
        return dict.fromkeys(RANKING, math.nan)
    arms = arms_of(mine, group, reference, BESIDE)
    found = compare_arms(arms.a, arms.b, spec=setup.stats, rng=rng, bounds=CHANGE)
    return dict(zip(RANKING, (found.difference, found.ci_low, found.ci_high, found.p), strict=True))


def pairs_of(owner: str, names: Sequence[str], reference: str, what: str = "group") -> list[tuple[str, str]]:
    """Return the pairs of groups that are compared, each with its reference: every pair, or those with one group.

    Raises:
        ExperimentError: If there is no such group.

    Example:
        >>> pairs_of("compare", ["a", "b", "c"], ""), pairs_of("compare", ["a", "b"], "b")
        ([('b', 'a'), ('c', 'a'), ('c', 'b')], [('a', 'b')])
    """
    if reference and reference not in names:
        raise ExperimentError(f"{owner}: no {what} {reference!r}; {nearest(reference, names)}")
    if reference:
        return [(name, reference) for name in names if name != reference]
    return [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]


def _spreads(design: str, a: Arm, b: Arm) -> str:
    """Return what is to be said where the smaller group is the wider one; empty where it is not.

    Labels are permuted as if both groups were alike but for a shift. With a third as many units and two to four times
    the spread a group differs at the .05 level in .15 to .27 of comparisons without a difference of means.
    """
    fewer, more = sorted((np.array([*arm.values()], dtype=np.float64) for arm in (a, b)), key=len)
    if design != "label_permutation" or len(fewer) < 2 or len(more) < MANY_MORE * len(fewer):
        return ""
    wide, narrow = spread(fewer), spread(more)
    if wide == 0 or wide < WIDER * narrow:
        return ""
    return f"of unequal spread (sd {wide:.2g} of {len(fewer)}, {narrow:.2g} of {len(more)}), which p takes to be equal"


SIZES = ("improvement", "improvement_low", "improvement_high", "d_z")


def _sizes(a: Arm, b: Arm, found: ArmComparison, setup: RunsSetup) -> dict[str, float]:
    """Return the chance of improvement with its interval, and the paired effect size."""
    if not a or not b:
        return dict.fromkeys(SIZES, math.nan)
    if found.design in ("label_permutation", "fisher", "none"):
        share, around = improvement(list(a.values()), list(b.values()), setup.stats.confidence)
        return dict(zip(SIZES, (share, around.low, around.high, math.nan), strict=True))
    differences = paired(a, b)
    share, around = paired_improvement(differences, setup.stats.confidence)
    sd = spread(differences, beside=[*a.values(), *b.values()])
    d_z = float(differences.mean() / sd) if sd > 0 else math.nan
    return dict(zip(SIZES, (share, around.low, around.high, d_z), strict=True))


def _while_growing(
    growth: Growth, where: str, arms: tuple[Arm, Arm], fixed: ArmComparison, setup: RunsSetup,
    bounds: tuple[float, float],
) -> tuple[ArmComparison, list[dict[str, Any]], tuple[Arm, Arm]]:  # fmt: skip
    """Return the comparison by a sequential test, its steps, and the units used.

    Units are taken in the order of their numbers, not in the order in which they finished.

    Raises:
        ExperimentError: If the groups share no unit: the sequential tests need pairs.
    """
    a, b = arms
    shared = sorted((unit for unit in a if unit in b), key=in_order)
    if not shared:
        raise ExperimentError(f"compare: {where}: no unit is in both groups; looks and anytime need paired differences")
    differences = paired({unit: a[unit] for unit in shared}, b)
    widest = bounds[1] - bounds[0]
    possible = (-widest, widest)
    if growth.looks:
        test, steps, n = _at_looks(growth.looks, differences, setup, where)
    else:
        test, steps, n = _at_any_time(differences, setup, possible)
    used = tuple({unit: arm[unit] for unit in shared[:n]} for arm in (a, b))
    x, y = ([*arm.values()] for arm in used)
    means = [float(np.mean(values)) if values else math.nan for values in (x, y)]
    intervals = within(possible, test.intervals)
    around = intervals(setup.stats.confidence)
    flag = "; ".join(part for part in (fixed.missing, test.flag) if part)
    grown = replace(
        fixed, smallest_p=test.smallest_p, design=test.design, n=n, n_reference=n, mean=means[0],
        mean_reference=means[1], difference=means[0] - means[1], ci_low=around.low, ci_high=around.high,
        ci_method=around.method, hedges_g=hedges_g(x, y) if x else math.nan, p=test.p, p_mann_whitney=math.nan,
        missing=flag, intervals=intervals,
    )  # fmt: skip
    return grown, steps, (used[0], used[1])


@dataclass(frozen=True)
class _Growing:
    smallest_p: float
    p: float
    design: str
    flag: str
    intervals: Intervals


def _at_looks(
    looks: Sequence[int], differences: np.ndarray[Any, Any], setup: RunsSetup, where: str
) -> tuple[_Growing, list[dict[str, Any]], int]:
    reached = [n for n in looks if n <= len(differences)]
    if not reached:
        flag = f"no look is reached yet: {len(differences)} of {looks[0]} pairs"
        nothing = Interval(math.nan, math.nan, f"none: {flag}")
        return _Growing(math.nan, math.nan, DECLARED_LOOKS, flag, lambda _: nothing), [], 0
    level = 1 - setup.stats.confidence
    drawn = setup.rng(f"compare looks {where}") if reached[-1] > MOST_ENUMERATED else None
    flipped = flipped_sums(differences, looks, rng=drawn, n_permutations=max(99_999, setup.stats.n_permutations))
    spent = spending(looks, level)
    steps = [{"n": each.n, "level": each.level, "mean": each.mean, "p": each.p, "rejects": each.rejects}
             for each in look_again(flipped, spent)]  # fmt: skip
    later = len(differences) - reached[-1]
    flag = f"{later} units after the look at {reached[-1]} are not used yet" if later else ""
    return _Growing(
        smallest_looks_p(looks, reached[-1], flipped.floor), looks_p(flipped, looks), DECLARED_LOOKS, flag,
        lambda confidence: looks_interval(flipped, looks, confidence),
    ), steps, reached[-1]  # fmt: skip


def _at_any_time(
    differences: np.ndarray[Any, Any], setup: RunsSetup, possible: tuple[float, float]
) -> tuple[_Growing, list[dict[str, Any]], int]:
    n = len(differences)
    if n < LEAST_PAIRS:
        flag = f"{n} of {LEAST_PAIRS} pairs"
        nothing = Interval(math.nan, math.nan, f"none: {flag}")
        return _Growing(math.nan, math.nan, E_PROCESS, flag, lambda _: nothing), [], n
    confidence = setup.stats.confidence
    found = e_value(differences)
    steps = []
    for k in range(max(LEAST_PAIRS, n - MOST_STEPS), n + 1):
        around = within(possible, functools.partial(e_interval, differences[:k]))(confidence)
        p = min(1.0, 1.0 / float(found[k - 1]))
        steps.append({"n": k, "level": math.nan, "mean": float(differences[:k].mean()), "p": p,
                      "rejects": p <= 1 - confidence + 1e-12,
                      "ci_low": around.low, "ci_high": around.high})  # fmt: skip
    return (
        _Growing(
            smallest_e_p(n),
            min(1.0, 1.0 / float(found[-1])),
            E_PROCESS,
            "",
            lambda wanted: e_interval(differences, wanted),
        ),
        steps,
        n,
    )
