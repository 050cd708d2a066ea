"""The verdict on an effect: established, shown to be negligible, or undecided.

*Not established* is not *absent*. An effect is called absent only where its interval leaves no room for one that
counts, and where so many contexts were looked at that one found in few of them would have been seen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.stats.intervals import EQUAL_UNITS

BEYOND = "beyond the least that counts"
WITHIN = "not 0, less than counts"
NONZERO = "not 0, size undecided"
ABSENT = "no effect that counts"
UNDECIDED = "undecided, n too small"
UNMEASURED = "not measured"
STANDINGS = f"{BEYOND}; {WITHIN}; {NONZERO}; {ABSENT}; {UNDECIDED}; {UNMEASURED} (no context allows it)"
"""What the column ``standing`` may hold, for the meaning of columns."""

_ORDER = (BEYOND, NONZERO, WITHIN, UNDECIDED, ABSENT, UNMEASURED)


def standings(frame: pd.DataFrame, *, margin: float, spread: float, level: float) -> list[str]:
    """Return what each row of an effect table may be called.

    An effect is established by its adjusted p together with the interval that holds for all rows of the table. It is
    called absent where that interval lies within the least effect that counts, and the row's own excludes nothing but
    that. Where every context shows exactly 0, up to ``1 - level ** (1 / k)`` of ``k`` source builds could still respond
    unseen (the exact binomial bound), by as much as the feature varies: absent only if that could not add up to an
    effect that counts.

    Args:
        frame: Rows with mean_delta, ci_low, ci_high, ci_adj_low, ci_adj_high, ci_method, p_adj, n and n_clusters.
        margin: The least effect that counts, in units of the activation; 0 for a feature that does not vary.
        spread: Largest minus smallest activation over the contexts as observed.
        level: Level of tests and of the bound.
    """
    mean, n = (frame[name].to_numpy(dtype=np.float64) for name in ("mean_delta", "n"))
    own, joint = interval(frame, joint=False), interval(frame, joint=True)
    tested = ~np.isnan(own[0])
    there = _excludes(joint, 0.0) & (frame["p_adj"] <= level).to_numpy()
    beyond = _excludes(joint, margin)
    inside = np.logical_and.reduce([np.abs(end) <= margin for end in (*own, *joint)])
    still = (mean == 0) & (own[0] == 0) & (own[1] == 0)
    clusters = np.maximum(frame["n_clusters"].to_numpy(dtype=np.float64), 1.0)
    unseen = np.where(still, (1 - level ** (1 / clusters)) * spread, 0.0)
    seen = inside & (unseen <= margin) & (margin > 0) & (spread > 0)
    absent = seen & (still | ~_excludes(own, 0.0))
    names = np.select(
        [n == 0, ~tested, there & beyond, there & inside, there, absent],
        [UNMEASURED, UNDECIDED, BEYOND, WITHIN, NONZERO, ABSENT],
        UNDECIDED,
    )
    return [str(name) for name in names]


def over_rungs(own: pd.DataFrame, rungs: pd.DataFrame) -> tuple[list[str], list[int]]:
    """Return what may be said of each family over all its rungs, and the AP that decides it.

    What is established at some rung is established of the family. No effect is said of it only where that holds at its
    own rung, and nothing is seen at any other that enough contexts allow.

    Args:
        own: Rows with family, ap and standing, one per family.
        rungs: Rows with family, rung, mean_delta, ci_low and standing.
    """
    found, places = [], []
    by_family = dict(list(rungs.groupby("family")))
    for family, ap, standing in zip(own["family"], own["ap"], own["standing"], strict=True):
        options = [(str(standing), int(ap))]
        if family in by_family:
            mine = by_family[family]
            open_ = mine["standing"].ne(UNDECIDED) | (mine["ci_low"].notna() & mine["mean_delta"].ne(0))
            some = mine[open_]
            options += list(zip(some["standing"].tolist(), some["rung"].tolist(), strict=True))
        strongest = min(options, key=lambda option: _ORDER.index(option[0]))
        found.append(strongest[0])
        places.append(strongest[1])
    return found, places


def interval(frame: pd.DataFrame, *, joint: bool) -> tuple[Floats, Floats]:
    """Return the ends of each row's interval: its own, or the one that holds for all rows of the table together.

    Where every source build shows one and the same effect both ends are that effect.
    """
    stem = "ci_adj" if joint else "ci"
    low, high = (frame[f"{stem}_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    equal = (frame["ci_method"] == EQUAL_UNITS).to_numpy()
    mean = frame["mean_delta"].to_numpy(dtype=np.float64)
    return np.where(equal, mean, low), np.where(equal, mean, high)


def effect_text(row: pd.Series, unit: float = 1.0, form: str = ".3g", word: str = "", *, joint: bool = False) -> str:
    """Return an effect with its interval as text: ``0.31 [0.2, 0.4]``; one number where all source builds agree.

    Args:
        row: A row of an effect table.
        unit: What one unit of the text is in units of the activation.
        form: How numbers are written.
        word: Name of the unit.
        joint: Whether the interval is the one that holds for all rows of the table together.
    """
    value = f"{row['mean_delta'] / unit:{form}}" + (f" {word}" if word else "")
    if row.get("ci_method") == EQUAL_UNITS:
        return f"{value} in every source build"
    low, high = (row[f"{'ci_adj' if joint else 'ci'}_{end}"] for end in ("low", "high"))
    if np.isnan(low):
        return f"{value} without an interval"
    return f"{value} [{low / unit:{form}}, {high / unit:{form}}]"


def with_n(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the names of rows with the number of contexts that each rests on."""
    return [f"{name} (n {int(n)})" for name, n in zip(frame[column], frame["n"], strict=True)]


def _excludes(ends: tuple[Floats, Floats], margin: float) -> Bools:
    low, high = ends
    return np.asarray((low > margin) | (high < -margin))
