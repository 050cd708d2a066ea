"""How many units a study would need for a decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.compare import sentences
from paribus.compare.arms import paired
from paribus.compare.families import FAMILY
from paribus.stats.few import spread
from paribus.stats.planning import POWER, reach_needs, runs_needed, sd_at_most

COLUMNS = ("metric", "group", "reference", "design", "level", "n", "n_reference", "difference", "sd", "sd_planned",
           "n_reach", "n_observed", "n_smallest")  # fmt: skip
PLANNED: Mapping[str, str] = {
    "level": "level of one test after Holm over the family, the others unremarkable",
    "sd": "of the paired differences, or pooled",
    "sd_planned": "its upper 80 % limit: a pilot's sd is as often too small as too large",
    "n_reach": "fewest units per group with which the design can reach the level at all",
    "n_observed": "for power .8 were the observed difference the true one, which it is not: take it as a guide",
    "n_smallest": "for power .8 at the smallest difference of interest, with sd_planned; missing where none is given",
}
PAIRED, UNPAIRED = "paired_sign_flip", "label_permutation"


def planned_table(
    tests: pd.DataFrame,
    arms: Sequence[tuple[Mapping[Any, float], Mapping[Any, float]]],
    smallest_effect: float,
    confidence: float,
    beside: Sequence[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Return for each test how many units per group it would need, at the strictest level after adjustment.

    A test of shares by Fisher is planned as one of means.

    Args:
        tests: The tests.
        arms: For each the values of its two groups by unit.
        smallest_effect: Smallest difference of interest; 0 for none.
        confidence: Of the family.
        beside: Further tables of tests, where families are over several tables.
    """
    rows: list[dict[str, Any]] = []
    families = tests[FAMILY] if FAMILY in tests else pd.Series("", index=tests.index)
    others = [each.loc[each["p"].notna(), FAMILY] for each in beside if FAMILY in tests]
    sizes = families.map(pd.concat([families, *others]).value_counts())
    for size, (_, test), (a, b) in zip(sizes, tests.iterrows(), arms, strict=True):
        paired = test["design"] not in (UNPAIRED, "fisher", "none")
        sd, df = _spread(a, b, paired)
        design, level = PAIRED if paired else UNPAIRED, (1 - confidence) / size
        planned = sd_at_most(sd, df) if df > 0 else math.nan
        difference = float(test["difference"])
        rows.append(
            {
                "metric": test["endpoint"], "group": test["group"], "reference": test["reference"], "design": design,
                "level": level, "n": test["n"], "n_reference": test["n_reference"], "difference": difference,
                "sd": sd, "sd_planned": planned, "n_reach": reach_needs(design, level),
                "n_observed": runs_needed(design, difference, sd, level),
                "n_smallest": runs_needed(design, smallest_effect, planned, level) if smallest_effect > 0 else None,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("n_reach", "n_observed", "n_smallest"), "Int64"))


def _spread(a: Mapping[Any, float], b: Mapping[Any, float], in_pairs: bool) -> tuple[float, int]:
    """Return the sd of paired differences, or the pooled one, with its degrees of freedom."""
    if in_pairs:
        values = paired(a, b)
        return spread(values, beside=[*a.values(), *b.values()]), max(0, len(values) - 1)
    df = len(a) + len(b) - 2
    if df < 1:
        return math.nan, 0
    arms = [np.array([*each.values()]) for each in (a, b)]
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in arms if spread(values) > 0)
    return math.sqrt(squares / df), df


def planned_lines(tests: pd.DataFrame, planned: pd.DataFrame, smallest_effect: float, confidence: float) -> list[str]:
    """Return sentences on how many units undecided tests would need."""
    lines = []
    for (_, test), (_, row) in zip(tests.iterrows(), planned.iterrows(), strict=True):
        if math.isnan(float(test["p"])) or sentences.is_established(test, confidence):
            continue
        head = f"{row['metric']}, {row['group']} against {row['reference']}: to decide at {row['level']:.2g} takes "
        have = int(min(row["n"], row["n_reference"]))
        if smallest_effect > 0 and not pd.isna(row["n_smallest"]):
            lines.append(f"{head}{_units(int(row['n_smallest']), have)} for power {POWER:g} at a difference of "
                         f"{smallest_effect:g}, the smallest of interest.")  # fmt: skip
        elif not pd.isna(row["n_observed"]):
            lines.append(f"{head}{_units(int(row['n_observed']), have)} for power {POWER:g} if the true difference "
                         "were the observed one, which no pilot tells.")  # fmt: skip
    return lines


def _units(wanted: int, have: int) -> str:
    more = f", {wanted - have} more" if wanted > have else ""
    return f"{wanted} units per group{more}"
