"""Puts every weapon into the same contexts, and tells which of them and which classes move the feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    activation_range,
    base_numbers,
    beyond_least,
    effect_rows,
    firing_rates,
    row_means,
    standings_of,
)
from paribus.experiments.builds._standing import STANDINGS
from paribus.experiments.builds._weapon_contrast import draw_contrast, standing_out, used_and_swapped
from paribus.experiments.builds._weapon_groups import (
    GROUP_COLUMNS,
    GROUP_SWAP_COLUMNS,
    WeaponGroups,
    group_effects,
    group_table,
    groups_beyond,
)
from paribus.experiments.builds._weapon_stats import WEAPON_COLUMNS, weapon_labels, weapon_means, weapon_table
from paribus.experiments.builds._weapon_swaps import Swaps, against, observed_part, skipped, swap_weapons
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.weapon_sweep.classes import (
    class_swaps,
    dominant,
    dominant_classes,
    warnings_of,
)
from paribus.experiments.builds.weapon_sweep.spec import WeaponSweep
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.results.words import counted

CORRELATIONAL = ["weapon_stats", "class_stats"]


def effect_vector(experiment: WeaponSweep, setup: BuildSetup) -> EffectVector:
    """Return the swap effect of every weapon."""
    swaps = swap_weapons(experiment, setup, None)
    effects = swaps.effects()
    differences = swaps.scattered(effects, len(setup.contexts))
    return EffectVector(tuple(weapon_labels(setup.weapons)), row_means(effects), differences)


def run(experiment: WeaponSweep, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Describe the weapons, swap them, and say where the two disagree."""
    setup.describe(recorder)
    nothing = skipped(setup, recorder, dominant_weapon_detected=False, recommended_followup=None)
    if nothing is not None:
        return nothing
    part = observed_part(experiment, setup)
    stats = weapon_table(part, experiment.min_examples)
    if stats.empty:
        recorder.warn(
            f"no weapon has {counted(experiment.min_examples, 'context')} (min_examples): nothing observed to compare"
        )
    says = (
        "One row per weapon: the feature in the contexts that happen to hold it. Weapons come with their "
        "builds, so these are correlations."
    )
    recorder.table(Table("weapon_stats", says, Evidence.OBSERVATIONAL, stats, WEAPON_COLUMNS))
    swaps = swap_weapons(experiment, setup, recorder)
    frame = swap_table(part, recorder, swaps, stats)
    says = (
        f"One row per weapon: it is put into the same {swaps.f.shape[1]} builds, against "
        f"{swaps.n_ordinary} ordinary weapons in each of them."
    )
    recorder.table(Table("weapon_swaps", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    classes, swapped = class_table(experiment, part, swaps), class_swaps(part, recorder, swaps)
    recorder.table(classes)
    recorder.table(swapped)
    draw(experiment, recorder, stats, frame)
    for line in warnings_of(stats, classes.frame, frame, swapped.frame):
        recorder.warn(line)
    named = {
        "dominant_classes": dominant_classes(stats, classes.frame),
        "classes_beyond": groups_beyond(swapped.frame, "kind", 1 - setup.stats.confidence),
    }
    return sum_up(experiment, setup, recorder, stats, frame, swaps, named)


def swap_table(setup: BuildSetup, recorder: Recorder, swaps: Swaps, stats: pd.DataFrame) -> pd.DataFrame:
    """Return one row per weapon, largest effect first, with the observational difference and the gap."""
    labels = weapon_labels(setup.weapons)
    frame = effect_rows(
        swaps.setup,
        recorder,
        swaps.effects(),
        "weapon_swaps",
        differences_z=swaps.effects_z(),
        null=swaps.null_effects(),
        labels=labels,
    )
    frame.insert(0, "weapon", labels)
    frame.insert(1, "mean_activation", row_means(swaps.f))
    frame.insert(2, "firing_rate", firing_rates(swaps.f))
    frame["reference"] = swaps.ordinary
    frame["beyond"] = beyond_least(setup, frame)
    frame["standing"] = standings_of(setup, frame)
    used = np.bincount(setup.contexts.weapon, minlength=len(labels)).astype(np.float64)
    frame["delta_to_rest"] = row_means(against(swaps.f, used > 0, used))
    frame = frame.merge(
        stats[["weapon", "delta"]].rename(columns={"delta": "observational_delta"}), on="weapon", how="left"
    )
    frame["confounding_gap"] = frame["observational_delta"] - frame["delta_to_rest"]
    order = np.argsort(-frame["mean_delta"].abs().fillna(-1.0).to_numpy(), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def class_table(experiment: WeaponSweep, setup: BuildSetup, swaps: Swaps) -> Table:
    """Return the table of weapon classes."""
    groups = WeaponGroups.read(setup, "kind")
    means, n = weapon_means(setup, experiment.min_examples)
    frame = group_table(setup, groups, means, n, "class_stats")
    swapped = pd.Series(row_means(group_effects(groups, swaps.effects())), groups.labels)
    frame["swap_effect"] = frame["kind"].map(swapped)
    meanings = {**GROUP_COLUMNS, "swap_effect": "interventional: mean swap effect of the class's weapons"}
    says = (
        "One row per weapon class: its weapons' observed means against all other weapons'; correlations, the unit "
        "is the weapon. swap_effect comes from the intervention."
    )
    return Table("class_stats", says, Evidence.OBSERVATIONAL, frame, meanings)


def draw(experiment: WeaponSweep, recorder: Recorder, stats: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Declare the forest of the weapons that stand out in either table, side by side."""
    by_use = stats.loc[stats["delta"].abs().sort_values(ascending=False, kind="stable").index]
    names = standing_out(by_use, frame, "weapon", experiment.top_k_weapons)
    both = used_and_swapped(stats, frame, "weapon", names)
    says = "The weapons that stand out most, as used and as swapped, for the figure."
    meaning = "observed: difference to contexts with other weapons; swapped: effect in the same builds"
    title = "Weapons as used, and swapped into the same builds"
    caption = (
        "Left: mean activation against contexts that hold other weapons (correlation). Right: change "
        "when the weapon alone is swapped; hatched: the same for like features."
    )
    draw_contrast(recorder, both, "weapon", "weapon", says, meaning, title, caption)


def sum_up(
    experiment: WeaponSweep,
    setup: BuildSetup,
    recorder: Recorder,
    stats: pd.DataFrame,
    frame: pd.DataFrame,
    swaps: Swaps,
    named: dict[str, list[str]],
) -> Aggregates:
    """Tell dominance, the top of both tables and the largest gap."""
    found, swapped = dominant(stats), frame.set_index("weapon")
    gaps = frame["confounding_gap"].abs()
    largest = None if gaps.isna().all() else int(np.nanargmax(gaps))
    top = frame.iloc[largest_effect(recorder, "max_swap_effect", frame) or 0]
    return Aggregates(
        mean_delta=float(top["mean_delta"]),
        std_delta=float(frame["mean_delta"].std(ddof=1)) if len(frame) > 1 else 0.0,
        n_samples=len(setup.contexts),
        n_conditions=len(frame),
        **base_numbers(setup),
        custom={
            "skipped": False,
            "dominant_weapon_detected": bool(len(found)),
            "dominant_weapons": [str(name) for name in found["weapon"]],
            "dominant_weapons_confirmed": [str(n) for n in found["weapon"] if swapped.loc[n, "beyond"]],
            "recommended_followup": "kit_sweep" if len(found) or named["dominant_classes"] else None,
            **named,
            **_top(stats, experiment.top_k_weapons),
            "top_swap_weapon": str(top["weapon"]) if top["mean_delta"] else None,
            "top_swap_delta": float(top["mean_delta"]),
            "top_swap_p_adj": float(top["p_adj"]),
            "weapons_beyond": [str(name) for name in frame.loc[frame["beyond"], "weapon"]],
            "largest_confounding_gap": None if largest is None else float(frame["confounding_gap"].iloc[largest]),
            "largest_gap_weapon": None if largest is None else str(frame["weapon"].iloc[largest]),
            "n_swap_contexts": swaps.f.shape[1],
            "activation_range": activation_range(setup),
            "correlational": CORRELATIONAL,
        },
    )


def _top(stats: pd.DataFrame, k: int) -> dict[str, Any]:
    if stats.empty:
        return {"top_weapon": None, "top_weapon_mean": None, "top_weapon_delta": None, "top_weapons": []}
    return {
        "top_weapon": str(stats["weapon"].iloc[0]),
        "top_weapon_mean": float(stats["pooled_mean"].iloc[0]),
        "top_weapon_delta": float(stats["delta"].iloc[0]),
        "top_weapons": [str(name) for name in stats["weapon"].head(k)],
    }


_COLUMNS = {
    **EFFECT_COLUMNS,
    "mean_activation": "mean f with this weapon in every build",
    "mean_delta": "mean difference of f to the mean over the ordinary weapons in the same build",
    "reference": "whether it is one of the ordinary weapons: of middle mean activation in the other half of the source "
    "builds; such a one is compared with the others",
    "beyond": GROUP_SWAP_COLUMNS["beyond"],
    "standing": f"what may be said of the effect: {STANDINGS}",
    "delta_to_rest": "mean difference to all other weapons in the same build, weighted by how often each is used",
    "observational_delta": "difference of the contexts that hold the weapon to those that hold others (weapon_stats)",
    "confounding_gap": "observational_delta - delta_to_rest: what comes with the weapon but is not done by it",
}
