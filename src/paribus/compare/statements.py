"""Statements of a comparison with a primary family: established effects, undecided tests, exploratory tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from paribus.compare import sentences
from paribus.compare.families import EXPLORATORY, FAMILY, PRIMARY
from paribus.results.words import counted

Row = Any
"""A row of one of the tables of tests."""


def statements(
    conditions: pd.DataFrame,
    tests: pd.DataFrame,
    erasers: pd.DataFrame,
    factors: pd.DataFrame,
    *,
    declared: Mapping[str, str],
    method: str,
    confidence: float,
) -> list[str]:
    """Return the statements of a comparison, the primary family first.

    Args:
        conditions: Endpoints within conditions.
        tests: Differences between conditions.
        erasers: What other erasers remove.
        factors: Main effects.
        declared: Labels of the endpoints of the primary family.
        method: The eraser that is compared.
        confidence: Of the families.
    """
    within = list(_of(conditions, PRIMARY))
    between = list(_of(tests, PRIMARY))
    lines = [_reach([*within, *between], confidence)]
    open_: list[str] = []
    for row, said in [(row, _within(row, method, confidence)) for row in within] + [
        (row, sentences.contrast_line(row, confidence)) for row in between
    ]:
        if sentences.is_established(row, confidence):
            lines.append(said)
        else:
            open_.append(_undecided(row, confidence))
    untested = list(_untested(tests, [*within, *between], declared))
    if open_:
        lines.append(f"Not decided: {'; '.join(open_)}.")
    if untested:
        lines.append(f"Declared, and not tested: {'; '.join(untested)}.")
    if not open_ and not untested:
        lines.append("Every primary test is decided.")
    return lines + _exploratory(conditions, tests, erasers, factors, confidence)


def _of(table: pd.DataFrame, family: str) -> Iterator[Row]:
    """Return the tested rows of a family."""
    for _, row in table.iterrows():
        if row[FAMILY] == family and not math.isnan(float(row["p"])):
            yield row


def _untested(tests: pd.DataFrame, tested: Sequence[Row], declared: Mapping[str, str]) -> Iterator[str]:
    """Yield the declared endpoints without any test, and the declared differences that could not be tested."""
    there = {row["endpoint"] for row in tested}
    yield from (label for name, label in declared.items() if name not in there)
    for _, row in tests.iterrows():
        if row[FAMILY] == PRIMARY and row["endpoint"] in there and math.isnan(float(row["p"])):
            yield f"{row['label']}, {row['training']} against {row['reference']} ({row['flag'] or 'no runs'})"


def _reach(rows: Sequence[Row], confidence: float) -> str:
    n = len(rows)
    if not n:
        return "Primary family: nothing could be tested."
    least = min(float(row["smallest_p"]) for row in rows)
    reached = min(float(row["smallest_p_adj"]) for row in rows)
    text = (
        f"Primary family: {counted(n, 'test')}, declared before looking, adjusted by Holm; the smallest "
        f"p that the runs can reach is {least:.3g}, adjusted {reached:.3g}."
    )
    if reached > 1 - confidence + sentences.ROUNDING:
        text += f" Nothing can be established at {1 - confidence:.3g} with these runs."
    return text


def _within(row: Row, method: str, confidence: float) -> str:
    """Return the sentence of an established effect within a condition."""
    adjusted = (
        f"{sentences.interval(row, confidence, name='ci_adj', signed=True)}, adjusted "
        f"{sentences.p_text(float(row['p_adj']))}, {int(row['n_seeds'])} seeds"
    )
    mean = float(row["mean"])
    if row["endpoint"] == "swap_effect":
        unit = str(row["unit"])
        if mean > 0:
            return (
                f"The shortcut is there, {row['training']}: swapping the domain moves the margin by "
                f"{sentences.number(mean, True)} {unit} towards the class it goes with ({adjusted})."
            )
        return (
            f"Swapping the domain moves the margin against the class it goes with, {row['training']}: "
            f"{sentences.number(mean, True)} {unit} ({adjusted})."
        )
    if row["endpoint"] == "swap_removed":
        verb = f"removes {100 * mean:.0f} % of" if mean > 0 else f"adds {-100 * mean:.0f} % to"
        share = f"share {sentences.number(mean, True)} ({adjusted})."
        return f"Erasing {method} {verb} the effect of the swap, {row['training']}: {share}"
    return sentences.condition_line(row, confidence)


def _undecided(row: Row, confidence: float) -> str:
    """Return an undecided test with its interval."""
    against = f"{row['training']} against {row['reference']}" if "reference" in row else str(row["training"])
    value = float(row["difference"] if "difference" in row else row["mean"])
    return (
        f"{row['label']}, {against} ({sentences.number(value, True)}, "
        f"{sentences.interval(row, confidence, name='ci_adj', signed=True)}, adjusted "
        f"{sentences.p_text(float(row['p_adj']))})"
    )


def _exploratory(
    conditions: pd.DataFrame, tests: pd.DataFrame, erasers: pd.DataFrame, factors: pd.DataFrame, confidence: float
) -> list[str]:
    tables = (conditions, tests, erasers, factors)
    n = sum(1 for table in tables if len(table) for _ in _of(table, EXPLORATORY))
    lines = [
        f"Exploratory: {n} further tests, adjusted among themselves by Benjamini and Hochberg; what stands out here is "
        "a reason to look again with other seeds, not a finding."
    ]
    lines += [
        sentences.condition_line(row, confidence) for _, row in conditions.iterrows() if row[FAMILY] == EXPLORATORY
    ]
    lines += [sentences.contrast_line(row, confidence) for _, row in tests.iterrows() if row[FAMILY] == EXPLORATORY]
    for condition, rows in erasers.groupby("training", sort=False):
        shares = [
            f"{row['method']} {sentences.number(float(row['mean']), True)} {_ends(row)}" for _, row in rows.iterrows()
        ]
        lines.append(f"{condition}: share of the swap effect that other erasers remove: {', '.join(shares)}.")
    return lines + [sentences.factor_line(row, confidence) for _, row in factors.iterrows()]


def _ends(row: Row) -> str:
    low, high = float(row["ci_adj_low"]), float(row["ci_adj_high"])
    if math.isnan(low) or math.isnan(high):
        return "(no interval)"
    return f"[{sentences.number(low, True)}, {sentences.number(high, True)}]"
