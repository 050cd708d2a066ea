"""Table for publication: one row per metric and group, intervals in brackets."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from paribus.compare.arms import T_METHODS
from paribus.stats.intervals import NONE


def publication_table(groups: pd.DataFrame, tests: pd.DataFrame, reference: str, confidence: float) -> pd.DataFrame:
    """Return texts by metric and group: n, mean, sd, interquartile mean, and the difference from the reference.

    Args:
        groups: One row per metric and group.
        tests: One row per metric and pair of groups.
        reference: The group that others are compared with; of two groups without one, the first.
        confidence: Of the intervals.
    """
    names = list(pd.unique(groups["group"]))
    against = reference or (names[0] if len(names) == 2 else "")
    percent = f"{100 * confidence:g} %"
    rows: list[dict[str, Any]] = []
    for _, row in groups.iterrows():
        found = {"metric": row["metric"], "group": row["group"], "n": str(int(row["n_units"])),
                 f"mean [{percent}]": estimate(row, "mean"), "sd": number(float(row["sd"])),
                 "IQM": number(float(row["iqm"]))}  # fmt: skip
        if against:
            chosen = tests[(tests["endpoint"] == row["metric"]) & (tests["group"] == row["group"])
                           & (tests["reference"] == against)]  # fmt: skip
            test = chosen.iloc[0] if len(chosen) else None
            found |= {
                f"difference from {against} [{percent}]": "" if test is None else estimate(test, "difference"),
                "adjusted p": "" if test is None else p_value(float(test["p_adj"])),
                "P(better)": "" if test is None else number(float(test["improvement"])),
                "Hedges g": "" if test is None else number(float(test["hedges_g"])),
            }
        rows.append(found)
    return pd.DataFrame(rows)


def estimate(row: pd.Series, name: str) -> str:
    """Return a number with its interval: ``0.812 [0.790, 0.834]``; an interval of few runs is marked ``(t)``."""
    low, high = float(row["ci_low"]), float(row["ci_high"])
    text = number(float(row[name]))
    if math.isnan(low) or math.isnan(high) or str(row["ci_method"]).startswith(NONE):
        return text
    mark = " (t)" if row["ci_method"] in T_METHODS else ""
    return f"{text} [{number(low)}, {number(high)}]{mark}"


def number(value: float) -> str:
    """Return a number to three significant digits.

    Example:
        >>> number(0.81234), number(1234.5), number(-0.00002), number(float("nan"))
        ('0.812', '1234', '−0.0000200', '')
    """
    if not math.isfinite(value):
        return "" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -5 or size > 6:
        return f"{value:.2e}".replace("-", "−")
    return f"{value:.{max(0, 2 - size)}f}".replace("-", "−")


def p_value(value: float) -> str:
    """Return a p as ``.031``, or ``< .0001``.

    Example:
        >>> p_value(0.0312), p_value(1.0), p_value(1e-7)
        ('.031', '1', '< .0001')
    """
    if math.isnan(value):
        return ""
    if value < 1e-4:
        return "< .0001"
    return "1" if value >= 0.9995 else f"{value:.4f}"[1:] if value < 0.001 else f"{value:.3f}"[1:]
