"""Classes of weapons: what swapping them in does, and whether what dominates is a weapon or its whole class."""

from __future__ import annotations

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import EFFECT_COLUMNS, standings_of
from paribus.experiments.builds._standing import ABSENT, BEYOND, NONZERO, STANDINGS, WITHIN, effect_text
from paribus.experiments.builds._weapon_groups import GROUP_SWAP_COLUMNS, WeaponGroups, group_swaps
from paribus.experiments.builds._weapon_swaps import Swaps
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Table

DOMINANT_RATIO = 2.0
MOST_OF_A_CLASS = 0.5
"""Share of a class's weapons that must dominate for the class to be named in their place."""


def class_swaps(setup: BuildSetup, recorder: Recorder, swaps: Swaps) -> Table:
    """Return one row per weapon class, the largest effect first: its weapons' swap effects with interval and tests."""
    frame = group_swaps(setup, recorder, WeaponGroups.read(setup, "kind"), swaps, "class_swaps")
    frame["standing"] = standings_of(setup, frame)
    says = (
        f"One row per weapon class: its weapons are put into the same {swaps.f.shape[1]} builds, against ordinary "
        "weapons in each of them."
    )
    return Table("class_swaps", says, Evidence.INTERVENTIONAL, frame, CLASS_SWAP_COLUMNS)


def dominant(stats: pd.DataFrame) -> pd.DataFrame:
    """Return the weapons whose observed mean is established as more than twice that of all others, highest first.

    Established: by the simultaneous interval over all weapons.
    """
    return stats[stats["ratio_adj_low"] > DOMINANT_RATIO].sort_values("ratio", ascending=False)


def dominant_classes(stats: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    """Return the classes that dominate as a whole, the highest first.

    Either the class itself does, or several of its weapons, which are at least half of it, do.

    Args:
        stats: One row per weapon, with kind and ratio_adj_low.
        classes: One row per class, with kind, mean_activation and ratio_adj_low.
    """
    leading = dominant(stats)["kind"].tolist()
    known = stats["kind"].tolist()
    several = [k for k in set(leading) if 1 < leading.count(k) >= MOST_OF_A_CLASS * known.count(k)]
    whole = classes["kind"].isin(several) | (classes["ratio_adj_low"] > DOMINANT_RATIO)
    return [str(kind) for kind in classes[whole].sort_values("mean_activation", ascending=False)["kind"]]


def warnings_of(stats: pd.DataFrame, classes: pd.DataFrame, weapons: pd.DataFrame, swapped: pd.DataFrame) -> list[str]:
    """Return the warnings about dominance: one line per dominant class, one for the weapons outside of these.

    Args:
        stats: Weapons as used.
        classes: Classes as used.
        weapons: Weapons as swapped.
        swapped: Classes as swapped.
    """
    kinds = dominant_classes(stats, classes)
    lines = []
    for kind in kinds:
        own = classes[classes["kind"] == kind].iloc[0]
        lines.append(
            f"DOMINANT WEAPON class {kind}: the mean activation of its {int(own['n_weapons'])} weapons is "
            f"{_times(own['ratio'])} that of all others (observed); swapping them "
            f"{_by_swapping(swapped[swapped['kind'] == kind].iloc[0], 'them')}; follow up with kit_sweep"
        )
    single = dominant(stats[~stats["kind"].isin(kinds)])
    if len(single):
        name = str(single["weapon"].iloc[0])
        others = f" (and {', '.join(single['weapon'].iloc[1:])})" if len(single) > 1 else ""
        lines.append(
            f"DOMINANT WEAPON {name}{others}: mean activation {_times(single['ratio'].iloc[0])} that of all others "
            f"(observed); swapping it {_by_swapping(weapons[weapons['weapon'] == name].iloc[0], 'it')}; "
            "follow up with kit_sweep"
        )
    return lines


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times"


def _by_swapping(row: pd.Series, what: str) -> str:
    """Return what swapping showed, in the words that its standing allows."""
    start = "into the same builds"
    if row["standing"] == BEYOND:
        return f"{start} changes the activation by {effect_text(row)}"
    if row["standing"] == ABSENT:
        return f"{start} changes next to nothing, so this is what comes with {what}"
    if row["standing"] in (WITHIN, NONZERO):
        return f"{start} changes the activation by {effect_text(row)} ({row['standing']})"
    return f"{start} leaves it open ({effect_text(row)}, {int(row['n'])} builds): try more swap_contexts"


CLASS_SWAP_COLUMNS = {
    **EFFECT_COLUMNS,
    **GROUP_SWAP_COLUMNS,
    "n_weapons": "weapons of the class, each swapped into every context",
    "p_kit": "classes permuted over the weapons: is it the class, or would any weapons so grouped differ as much?",
    "standing": f"what may be said of the effect: {STANDINGS}",
}
"""What the columns of swapped classes mean."""
