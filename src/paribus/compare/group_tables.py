"""Tables of groups, pairs, and of cells of two params."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.compare.arms import Intervals, Unadjusted, one_arm, paired
from paribus.compare.outcomes import Outcome
from paribus.results.endpoint import CHANGE
from paribus.stats.few import spread
from paribus.stats.improvement import interquartile_mean
from paribus.stats.spec import StatsSpec

PAIRS = ("metric", "group", "reference", "comparison", "unit", "value", "value_reference", "difference")
GROUPS = ("metric", "group", "n_units", "mean", "ci_low", "ci_high", "ci_method", "sd", "iqm")
BESIDE = "auroc_change"
"""Column of the change of AUROC in a run that accompanies an accuracy."""
RANKING = (BESIDE, "auroc_ci_low", "auroc_ci_high", "auroc_p")
"""Columns of the AUROC that accompanies an accuracy: its mean (difference), interval and p, not adjusted."""
CELLS = ("metric", "x", "y", "n_units", "mean", "sd")


def group_rows(
    units: pd.DataFrame, outcomes: Mapping[str, Outcome], *, spec: StatsSpec, rng: np.random.Generator
) -> Unadjusted:
    """Return one row per metric and group: n, mean with its interval, sd and interquartile mean over units.

    Where 0 means no effect, ``p`` tests the mean against 0. An AUROC that accompanies an accuracy
    (``auroc_change``) has its own mean, interval and p, not adjusted.

    Args:
        units: One row per metric, group and unit.
        outcomes: What the metrics are, by name.
        spec: Settings of the statistics.
        rng: Randomness of flips that cannot be enumerated.
    """
    rows: list[dict[str, Any]] = []
    intervals: list[Intervals] = []
    for (metric, group), part in units.groupby(["metric", "group"], sort=False):
        outcome, values = outcomes[str(metric)], part["value"].to_numpy(float)
        found = one_arm(values.tolist(), spec=spec, rng=rng, against_zero=outcome.zero, bounds=outcome.bounds)
        intervals.append(found.intervals)
        rows.append({"metric": metric, "group": group, "n_units": found.n, "mean": found.mean, "ci_low": found.ci_low,
                     "ci_high": found.ci_high, "ci_method": found.ci_method,
                     "sd": spread(values),
                     "iqm": interquartile_mean(values), "smallest_p": found.smallest_p, "p": found.p})  # fmt: skip
        if BESIDE in part:
            rows[-1] |= _beside(part[BESIDE].tolist(), outcome, spec, rng)
    beside = RANKING if BESIDE in units else ()
    return Unadjusted(pd.DataFrame(rows, columns=[*GROUPS, "smallest_p", "p", *beside]), intervals)


def _beside(changes: list[float], outcome: Outcome, spec: StatsSpec, rng: np.random.Generator) -> dict[str, float]:
    """Return the statistics of the AUROC that accompanies an outcome, over the same units."""
    if not outcome.ranked:
        return dict.fromkeys(RANKING, math.nan)
    arm = one_arm(changes, spec=spec, rng=rng, against_zero=outcome.zero, bounds=CHANGE)
    return dict(zip(RANKING, (arm.mean, arm.ci_low, arm.ci_high, arm.p), strict=True))


def pair_table(tests: pd.DataFrame, arms: Sequence[tuple[Mapping[Any, float], Mapping[Any, float]]]) -> pd.DataFrame:
    """Return one row per test and unit that both of its groups have.

    Args:
        tests: The tests.
        arms: For each the values of its two groups by unit.
    """
    rows: list[dict[str, Any]] = []
    names = zip(tests["endpoint"], tests["group"], tests["reference"], arms, strict=True)
    for metric, group, reference, (a, b) in names:
        for unit, difference in zip([each for each in a if each in b], paired(a, b), strict=True):
            rows.append({"metric": metric, "group": group, "reference": reference, "unit": unit,
                         "comparison": f"{group} − {reference}", "value": a[unit], "value_reference": b[unit],
                         "difference": difference})  # fmt: skip
    return pd.DataFrame(rows, columns=list(PAIRS))


def cell_table(groups: pd.DataFrame, group_by: Sequence[str]) -> pd.DataFrame:
    """Return the means by two params, the first down (``y``), the second across (``x``); no row for other groupings."""
    rows = []
    if len(group_by) == 2:
        for _, row in groups.iterrows():
            parts = str(row["group"]).split(", ")
            if len(parts) != 2:
                return pd.DataFrame(columns=list(CELLS))
            rows.append({"metric": row["metric"], "x": _typed(parts[1]), "y": _typed(parts[0]),
                         "n_units": row["n_units"], "mean": row["mean"], "sd": row["sd"]})  # fmt: skip
    table = pd.DataFrame(rows, columns=list(CELLS))
    for name in ("x", "y"):
        if table[name].map(lambda value: isinstance(value, str)).any():
            table[name] = table[name].astype(str)
    return table


def _typed(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
