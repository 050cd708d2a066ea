"""Families of tests: those declared before the analysis (primary), and all others (exploratory)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from paribus.compare.arms import Unadjusted, holm, in_families

PRIMARY = "primary"
EXPLORATORY = "exploratory"
METHODS = {PRIMARY: "holm", EXPLORATORY: "bh"}
"""The adjustment of each family: primary for the family-wise error rate, exploratory for the false discovery rate."""
FAMILY = "family"
SHOWN = ("endpoint", "label", "unit", "row", "n", "value", "ci_low", "ci_high", "ci_method", "ci_adj_low",
         "ci_adj_high", "ci_adj_method", "smallest_p", "smallest_p_adj", "p", "p_adj")  # fmt: skip
"""Columns of the table of the primary family."""


def adjusted(tested: Sequence[Unadjusted], primary: Sequence[str], *, confidence: float) -> list[pd.DataFrame]:
    """Return tables of tests with adjusted p and intervals.

    Args:
        tested: Tables with a column ``endpoint``.
        primary: Endpoints whose tests are the primary family, over all tables. The others are the exploratory one; the
            column ``family`` says so. Without any, each table is a family by itself, adjusted by Holm.
        confidence: Of every family.
    """
    if not primary:
        return [holm(each, confidence=confidence) for each in tested]
    families = [
        [PRIMARY if _is_primary(row, primary) else EXPLORATORY for _, row in each.frame.iterrows()] for each in tested
    ]
    tables = in_families(tested, families, METHODS, confidence=confidence)
    for table, names in zip(tables, families, strict=True):
        table.insert(list(table.columns).index("p_adj") + 1, FAMILY, pd.Series(names, dtype=object, index=table.index))
    return tables


def _is_primary(row: pd.Series[Any], primary: Sequence[str]) -> bool:
    """Whether a row is a primary test: not one of another eraser or of a factor."""
    return row["endpoint"] in primary and not row.get("method") and not row.get("factor")


def primary_table(conditions: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Return the primary family as one table: each endpoint within each condition, then their differences.

    Args:
        conditions: Adjusted tests within conditions, one row per endpoint and condition.
        tests: Adjusted tests of conditions against a reference.

    Returns:
        One row per test of the family, in the order of the endpoints; ``row`` says what was tested, ``value`` is its
        mean or mean difference. A row that could not be tested has no p.
    """
    within = conditions[conditions[FAMILY] == PRIMARY]
    between = tests[tests[FAMILY] == PRIMARY]
    both = pd.concat(
        [
            within.assign(row=within["training"], value=within["mean"], n=within["n_seeds"]),
            between.assign(row=differences(between), value=between["difference"]),
        ],
        ignore_index=True,
    )
    place = {endpoint: i for i, endpoint in enumerate(dict.fromkeys(both["endpoint"]))}
    ordered = both.assign(_place=both["endpoint"].map(place)).sort_values("_place", kind="stable")
    return ordered.reindex(columns=list(SHOWN)).reset_index(drop=True)


def differences(tests: pd.DataFrame) -> list[str]:
    """Return for each test the two conditions whose difference it is, as one text."""
    return [f"{row['training']} − {row['reference']}" for _, row in tests.iterrows()]
