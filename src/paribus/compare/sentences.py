"""What a comparison found, in sentences with intervals; the reach of the design always comes first."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd


def number(value: float, signed: bool = False) -> str:
    """Return a number to three digits after the point, with its sign if asked."""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("-", "−")


def interval(low: float, high: float) -> str:
    """Return ``95 % CI a to b``, or that there are too few runs for one."""
    if math.isnan(low) or math.isnan(high):
        return "too few runs for a CI"
    return f"95 % CI {number(low)} to {number(high)}"


def p_text(value: float) -> str:
    """Return ``p = 0.031`` or ``p < 0.0001``."""
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.3g}"


DESIGNS = {
    "paired_sign_flip": "same seeds in both arms, paired sign-flip",
    "label_permutation": "different seeds, permutation of labels",
    "mann_whitney": "different seeds, Mann-Whitney",
    "fisher": "yes/no, Fisher's exact test",
}


def reach(tests: pd.DataFrame) -> list[str]:
    """Return one sentence per design: how many runs, and the smallest p it can reach before and after adjustment."""
    lines = []
    tested = tests[tests["p"].notna()]
    for (design, n, m), rows in tested.groupby(["design", "n", "n_reference"], sort=False):
        floor, adjusted = float(rows["smallest_p"].min()), float(rows["smallest_p_adj"].min())
        text = (
            f"Smallest p that {n} against {m} seeds can reach ({DESIGNS.get(str(design), str(design))}): {floor:.3g}; "
            f"after Holm over {len(tested)} tests {adjusted:.3g}."
        )
        if adjusted > 0.05:
            text += " No single difference can be established at 0.05 with these runs, whatever its size."
        lines.append(text)
    return lines


def condition_line(row: pd.Series[Any]) -> str:
    """Return a sentence about one endpoint within one condition."""
    signed = not math.isnan(float(row["p"]))
    text = f"{row['training']}: {row['label']} {number(float(row['mean']), signed)} "
    text += f"({interval(float(row['ci_low']), float(row['ci_high']))}; n = {int(row['n_seeds'])}"
    return text + (f"; {p_text(float(row['p']))}, adjusted {float(row['p_adj']):.3g})." if signed else ").")


def contrast_line(row: pd.Series[Any]) -> str:
    """Return a sentence about one difference between conditions."""
    head = f"{row['training']} against {row['reference']}, {row['label']}: "
    if math.isnan(float(row["p"])):
        return f"{head}not tested ({row['flag'] or 'no runs'})."
    text = f"{head}{number(float(row['difference']), True)} ({interval(float(row['ci_low']), float(row['ci_high']))}; "
    g = float(row["hedges_g"])
    text += f"Hedges g {g:.2f}; ".replace("-", "−") if not math.isnan(g) else ""
    text += f"{p_text(float(row['p']))}, adjusted {float(row['p_adj']):.3g})"
    verdict = "established" if float(row["p_adj"]) <= 0.05 else "not established after adjustment"
    return f"{text}: {verdict}." + (f" Seeds {row['flag']}." if row["flag"] else "")


def factor_line(row: pd.Series[Any]) -> str:
    """Return a sentence about one main effect."""
    text = f"Main effect of {row['factor']} ({row['high']} instead of {row['low']}) on {row['endpoint']}: "
    if math.isnan(float(row["p"])):
        return f"{text}no complete pairs."
    text += f"{number(float(row['effect']), True)} over {int(row['n_pairs'])} pairs "
    return f"{text}({p_text(float(row['p']))}, adjusted {float(row['p_adj']):.3g})."
