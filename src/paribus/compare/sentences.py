"""Sentences about a comparison, with intervals; the smallest p of the design comes first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from paribus.compare.arms import T_METHODS
from paribus.compare.families import EXPLORATORY, FAMILY
from paribus.results.words import counted
from paribus.stats.intervals import NONE

DESIGNS = {
    "paired_sign_flip": "same {} in both arms, paired sign-flip",
    "label_permutation": "different {}, permutation of labels",
    "gehan": "times, ranks with censored ones above what they outlast",
    "fisher": "yes/no, Fisher's exact test",
    "declared_looks": "same {} in both arms, sign-flip at declared looks",
    "sign_flip_e_process": "same {} in both arms, sign-flip e-process, valid at any time",
}
ROUNDING = 1e-12


def number(value: float, signed: bool = False) -> str:
    """Return a number to three digits after the point, with its sign if asked.

    Example:
        >>> number(0.12345), number(0.2, signed=True)
        ('0.123', '+0.200')
    """
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("-", "−")


def interval(row: pd.Series[Any], confidence: float, *, name: str = "ci", signed: bool = False) -> str:
    """Return ``95 % CI a to b`` of a row, a t interval with its caveat, or that there is none.

    Args:
        row: A row with ``<name>_low``, ``<name>_high`` and, where known, ``<name>_method``.
        confidence: Of the interval.
        name: ``ci`` or ``ci_adj``.
        signed: Whether the ends show their sign.
    """
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    if math.isnan(low) or math.isnan(high):
        why = str(row.get(f"{name}_method", NONE)).removeprefix(NONE).removeprefix(": ")
        return f"no interval: {why}" if why else "no interval"
    ends = f"{number(low, signed)} to {number(high, signed)}"
    if row.get(f"{name}_method") in T_METHODS:
        return f"{100 * confidence:g} % t interval {ends}, too few runs for a claim to rest on it"
    return f"{100 * confidence:g} % CI {ends}"


def p_text(value: float) -> str:
    """Return ``p = 0.031`` or ``p < 0.0001``.

    Example:
        >>> p_text(0.0312), p_text(1e-7)
        ('p = 0.0312', 'p < 0.0001')
    """
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.3g}"


def is_established(row: pd.Series[Any], confidence: float) -> bool:
    """Return whether a row's adjusted p is at most ``1 - confidence``."""
    return float(row["p_adj"]) <= 1 - confidence + ROUNDING


def judged(lines: Sequence[str], judged_by: pd.DataFrame, tests: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return what every comparison sums up: sentences, the number of established tests, the smallest p of its design.

    Args:
        lines: The sentences.
        judged_by: Tests that can be established.
        tests: All tests.
        confidence: One minus the level.
    """
    return {
        "summary": lines,
        "n_established": sum(is_established(row, confidence) for _, row in judged_by.iterrows()),
        "smallest_p": None if tests["smallest_p"].isna().all() else float(tests["smallest_p"].min()),
    }


def reach(tests: pd.DataFrame, confidence: float, units: str = "seeds") -> list[str]:
    """Return one sentence per design: number of runs, and the smallest p before and after adjustment.

    Args:
        tests: The tests of one family.
        confidence: Of the family.
        units: What is independent, in the plural.
    """
    lines = []
    tested = tests[tests["p"].notna()]
    for (design, n, m), rows in tested.groupby(["design", "n", "n_reference"], sort=False):
        floor, adjusted = float(rows["smallest_p"].min()), float(rows["smallest_p_adj"].min())
        text = (
            f"Smallest p that {n} against {m} {units} can reach "
            f"({DESIGNS[str(design)].format(units)}): {floor:.3g}; "
            f"after Holm over {counted(len(tested), 'test')} {adjusted:.3g}."
        )
        if adjusted > 1 - confidence + ROUNDING:
            text += (
                f" No single difference can be established at {1 - confidence:.3g} with these runs, whatever its size."
            )
        lines.append(text)
    return lines


def condition_line(row: pd.Series[Any], confidence: float) -> str:
    """Return a sentence about one endpoint within one condition."""
    signed = not math.isnan(float(row["p"]))
    text = f"{row['training']}: {row['label']} {_amount(float(row['mean']), row, signed)} "
    text += f"({interval(row, confidence, signed=signed)}; n = {int(row['n_seeds'])}"
    if not signed:
        return text + ")." + _threshold(row, confidence, moves=True)
    text += f"; {p_text(float(row['p']))}; {_adjusted(row, confidence)})."
    return text + _threshold(row, confidence, moves=is_established(row, confidence))


def contrast_line(row: pd.Series[Any], confidence: float, units: str = "seeds") -> str:
    """Return a sentence about one difference between conditions, over seeds or other units."""
    head = f"{row['training']} against {row['reference']}, {row['label']}: "
    if math.isnan(float(row["p"])):
        return f"{head}not tested ({row['flag'] or 'no runs'})."
    text = f"{head}{_amount(float(row['difference']), row, True)} ({interval(row, confidence, signed=True)}; "
    g = float(row["hedges_g"])
    text += f"Hedges g {g:.2f}; ".replace("-", "−") if not math.isnan(g) else ""
    text += f"{p_text(float(row['p']))}; {_adjusted(row, confidence)})"
    return (
        f"{text}: {verdict(row, confidence)}."
        + _threshold(row, confidence, moves=is_established(row, confidence))
        + (f" {units.capitalize()} {row['flag']}." if row["flag"] else "")
    )


def time_line(row: pd.Series[Any]) -> str:
    """Return the line on the median of an arm's times, and on how many of them are only known to be later."""
    n, censored, median = int(row["n_seeds"]), int(row["n_censored"]), float(row["median"])
    middle = "median not reached" if math.isnan(median) else f"median {median:g}"
    return f"{row['arm']}: {row['label']}, {middle} ({censored} of {n} censored)."


def later_line(row: pd.Series[Any], confidence: float) -> str:
    """Return the line on which of two arms is later, by ranks."""
    flag = f" Runs {row['flag']}." if row["flag"] else ""
    return (
        f"{row['training']} against {row['reference']}, {row['label']}: later in {100 * float(row['p_later']):.0f} % "
        f"of pairs of runs, ties half ({p_text(float(row['p']))}; adjusted {p_text(float(row['p_adj']))}): "
        f"{verdict(row, confidence)}.{flag}"
    )


def factor_line(row: pd.Series[Any], confidence: float) -> str:
    """Return a sentence about one main effect."""
    text = f"Main effect of {row['factor']} ({row['high']} instead of {row['low']}) on {row['label']}: "
    if math.isnan(float(row["p"])):
        return f"{text}no complete pairs."
    text += f"{_amount(float(row['effect']), row, True)} over {counted(int(row['n_pairs']), 'pair')} "
    text += f"({interval(row, confidence, signed=True)}; {p_text(float(row['p']))}; {_adjusted(row, confidence)}): "
    return f"{text}{verdict(row, confidence)}."


def verdict(row: pd.Series[Any], confidence: float) -> str:
    """Return the verdict on a test; an exploratory one establishes nothing."""
    small = is_established(row, confidence)
    if row.get(FAMILY) == EXPLORATORY:
        return "stands out" if small else "does not stand out after adjustment"
    return "established" if small else "not established after adjustment"


def _amount(value: float, row: pd.Series[Any], signed: bool) -> str:
    unit = str(row.get("unit", ""))
    return f"{number(value, signed)} {unit}" if unit.startswith("sd ") else number(value, signed)


def _adjusted(row: pd.Series[Any], confidence: float) -> str:
    text = f"adjusted {p_text(float(row['p_adj']))}"
    if str(row["ci_adj_method"]).startswith(NONE):
        return text
    return f"{text}, {interval(row, confidence, name='ci_adj', signed=True)}"


def _threshold(row: pd.Series[Any], confidence: float, *, moves: bool) -> str:
    """Return a sentence on the AUROC where an accuracy changes; empty where none is measured."""
    change = float(row.get("auroc_change", math.nan))
    if not moves or math.isnan(change):
        return ""
    low, high, p = (float(row[f"auroc_{name}"]) for name in ("ci_low", "ci_high", "p"))
    if change == 0 and (math.isnan(p) or p == 1):
        return " The AUROC does not move: this is a shift of the threshold."
    if math.isnan(p) or p <= 1 - confidence + ROUNDING:
        return ""
    around = "" if math.isnan(low) else f", {100 * confidence:g} % CI {number(low, True)} to {number(high, True)}"
    return (
        f" No change of the AUROC is established beside it ({number(change, True)}{around}): "
        "as far as these runs show, a shift of the threshold."
    )
