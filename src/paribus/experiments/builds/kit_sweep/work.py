"""Compares weapons by sub and special, as observed and as swapped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import EFFECT_COLUMNS, base_numbers, row_means
from paribus.experiments.builds._weapon_contrast import draw_contrast, standing_out, used_and_swapped
from paribus.experiments.builds._weapon_groups import (
    GROUP_COLUMNS,
    GROUP_SWAP_COLUMNS,
    WeaponGroups,
    group_effects,
    group_swaps,
    group_table,
    groups_beyond,
    to_rest,
)
from paribus.experiments.builds._weapon_stats import weapon_means
from paribus.experiments.builds._weapon_swaps import Swaps, observed_part, skipped, swap_weapons
from paribus.experiments.builds.kit_sweep.spec import KitSweep
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import LEAST_TESTED, EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.results.words import counted
from paribus.stats.effects import effect_table

TABLES = {"sub": "sub", "special": "special", "kit": "combo"}
"""Tables are named after what they group by; a kit is the combination of sub and special."""

WORDS = {"sub": "sub weapon", "special": "special weapon", "kit": "combination of sub and special"}


def vector_groups(setup: BuildSetup) -> list[WeaponGroups]:
    """Return weapons by their sub and by their special, where these are known."""
    groups = (WeaponGroups.read(setup, sort) for sort in ("sub", "special"))
    return [one for one in groups if one.known.any()]


def n_groups(setup: BuildSetup) -> int:
    """Return how many subs and specials there are to compare."""
    return sum(len(one.present) for one in vector_groups(setup))


def effect_vector(experiment: KitSweep, setup: BuildSetup) -> EffectVector:
    """Return the swap effect of every sub and every special."""
    swaps = swap_weapons(experiment, setup, None)
    effects = swaps.effects()
    groups = vector_groups(setup)
    labels = [label for one in groups for label in one.labels]
    parts = [group_effects(one, effects) for one in groups]
    rows = np.concatenate(parts) if parts else np.zeros((0, effects.shape[1]))
    return EffectVector(tuple(labels), row_means(rows), swaps.scattered(rows, len(setup.contexts)))


def run(experiment: KitSweep, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Group, test over weapons, swap, and say where the two disagree."""
    setup.describe(recorder)
    if (nothing := skipped(setup, recorder)) is not None:
        return nothing
    part = observed_part(experiment, setup)
    means, n = weapon_means(part, experiment.min_examples)
    known = ~np.isnan(means)
    if not known.any():
        recorder.warn(
            f"no weapon has {counted(experiment.min_examples, 'context')} (min_examples): nothing observed to compare"
        )
    swaps = swap_weapons(experiment, setup, recorder)
    custom: dict[str, Any] = {"skipped": False}
    headline: list[Floats] = []
    for sort in experiment.sorts():
        groups = WeaponGroups.read(setup, sort)
        if not groups.known.any():
            recorder.warn(f"no weapon's {WORDS[sort]} is known; give a kit table with data.kits")
            continue
        observed, swapped = tables(part, recorder, groups, means, n, swaps)
        draw(experiment, recorder, sort, observed, swapped)
        custom |= _top(TABLES[sort], sort, observed, swapped, 1 - setup.stats.confidence)
        headline.append(group_effects(groups, swaps.effects()))
    unknown = int((~WeaponGroups.read(setup, "kit").known).sum())
    if unknown:
        recorder.warn(f"left out of the groups: {counted(unknown, 'weapon')} of unknown kit")
    effects = np.concatenate(headline) if headline else np.zeros((0, swaps.f.shape[1]))
    rng = swaps.setup.rng("kits")  # rows of all tables together: the largest is picked out of all
    rows = effect_table(effects, swaps.setup.cluster, spec=setup.stats, rng=rng, least=LEAST_TESTED)
    largest = largest_effect(recorder, "max_kit_effect", rows)
    return Aggregates(
        mean_delta=None if largest is None else float(rows["mean_delta"].iloc[largest]),
        n_samples=len(setup.contexts),
        n_conditions=len(effects),
        **base_numbers(setup),
        custom=custom
        | {
            "n_weapons": int(known.sum()),
            "n_swap_contexts": swaps.f.shape[1],
            "correlational": [f"{TABLES[sort]}_stats" for sort in experiment.sorts()],
        },
    )


def tables(
    setup: BuildSetup, recorder: Recorder, groups: WeaponGroups, means: Floats, n: Ints, swaps: Swaps
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (and record) the observational and the interventional table of one sort of group."""
    name, word = TABLES[groups.of], WORDS[groups.of]
    swapped = group_swaps(setup, recorder, groups, swaps, f"{name}_swaps")
    observed = group_table(setup, groups, means, n, f"{name}_stats")
    done = to_rest(groups, row_means(swaps.effects()), ~np.isnan(means))
    observed["interventional_delta"] = [done[each] for each in observed[groups.of]]
    observed["confounding_gap"] = observed["delta"] - observed["interventional_delta"]
    observed = observed.sort_values("pooled_mean", ascending=False, kind="stable", ignore_index=True)
    says = (
        f"One row per {word}: its weapons' observed means against all other weapons'. The unit is the weapon; "
        "kits come with builds and players, so these are correlations."
    )
    recorder.table(Table(f"{name}_stats", says, Evidence.OBSERVATIONAL, observed, GROUP_COLUMNS))
    meanings = {**EFFECT_COLUMNS, **GROUP_SWAP_COLUMNS}
    says = (
        f"One row per {word}: its weapons are put into the same {swaps.f.shape[1]} builds, against ordinary "
        "weapons in each of them."
    )
    recorder.table(Table(f"{name}_swaps", says, Evidence.INTERVENTIONAL, swapped, meanings))
    return observed, swapped


def draw(experiment: KitSweep, recorder: Recorder, sort: str, observed: pd.DataFrame, swapped: pd.DataFrame) -> None:
    """Declare one figure per sort of group: as used on the left, as swapped on the right."""
    names = standing_out(observed, swapped, sort, experiment.top_k_groups)
    both = used_and_swapped(observed, swapped, sort, names, "n_weapons").rename(columns={sort: "group"})
    says = f"The {WORDS[sort]}s that stand out most, as used and as swapped, for the figure."
    meaning = "observed: against all other weapons' means; swapped: effect in the same builds"
    title = f"By {WORDS[sort]}: as used, and swapped into the same builds"
    caption = (
        "Left: mean over the weapons of the group against the other weapons (correlation). Right: "
        "change when these weapons are swapped into the same builds; hatched: the same for like features."
    )
    draw_contrast(recorder, both, TABLES[sort], "group", says, meaning, title, caption)


def _top(name: str, sort: str, observed: pd.DataFrame, swapped: pd.DataFrame, level: float) -> dict[str, Any]:
    """Return the group highest as used, the one that moves the feature most when swapped, and what passes the tests."""
    done = swapped.iloc[0]
    top: dict[str, Any] = dict.fromkeys((f"top_{name}", f"top_{name}_mean", f"top_{name}_delta", f"top_{name}_p_adj"))
    if len(observed):
        first = observed.iloc[0]
        top = {
            f"top_{name}": str(first[sort]),
            f"top_{name}_mean": float(first["pooled_mean"]),
            f"top_{name}_delta": float(first["delta"]),
            f"top_{name}_p_adj": float(first["p_adj"]),
        }
    return {
        **top,
        f"top_{name}_swap": str(done[sort]) if done["mean_delta"] else None,
        f"top_{name}_swap_delta": float(done["mean_delta"]),
        f"top_{name}_swap_p_adj": float(done["p_adj"]),
        f"top_{name}_swap_p_kit_adj": float(done["p_kit_adj"]),
        f"{name}s_beyond": groups_beyond(swapped, sort, level),
    }
