"""Measures every ability added and removed, alone and at each rung of a family."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.experiments.base import Recorder
from paribus.experiments.builds._confounding import observed_presence
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    TESTED_COLUMNS,
    design_effects,
    effect_rows,
    firing_rates,
    n_judged,
    row_means,
    summed,
)
from paribus.experiments.builds.binary_presence_effect.spec import BinaryPresenceEffect
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.measure.stream import Measured
from paribus.methods.contrast import to_baseline
from paribus.results.evidence import Evidence
from paribus.results.schema import BANDS, Aggregates, Figure, Table
from paribus.stats.effects import established
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import States, stack

DIRECTIONS = ("add", "remove")


def effect_vector(experiment: BinaryPresenceEffect, setup: BuildSetup) -> EffectVector:
    """Return the effect of adding and of removing each ability."""
    abilities = experiment.chosen(setup)
    measured = measure(experiment, setup, None, abilities)
    labels = tuple(f"{direction} {a.name}" for a in abilities for direction in DIRECTIONS)
    differences = _differences(measured.values[0])
    return EffectVector(labels, row_means(differences), differences)


def n_supported(experiment: BinaryPresenceEffect, setup: BuildSetup) -> int:
    """Return how many abilities enough contexts allow to be added, and to be removed, without measuring."""
    _, feasible = prepare(experiment, setup, experiment.chosen(setup))
    return n_judged(feasible[1:] & feasible[:1])


def prepare(experiment: BinaryPresenceEffect, setup: BuildSetup, abilities: list[Family]) -> tuple[Design, Bools]:
    """Return the contexts as they are, then with each ability added and removed ``[1 + 2 k, n]``, and what is legal.

    Raises:
        ConfigError: If none of them is legal in any context.
    """

    def edited(states: States) -> States:
        held = experiment.hold(setup, states)
        levels = [held]
        for ability in abilities:
            there = setup.edits.highest_rung(held, ability) > 0
            levels.append(setup.edits.set_rung(held, ability, True).only(~there))
            levels.append(setup.edits.set_rung(held, ability, None).only(there))
        return stack(levels)

    n_levels = 1 + 2 * len(abilities)
    design = Design(edited, n_levels, description="abilities")
    feasible = setup.feasible(design)
    setup.require(feasible[1:], "any of the abilities added or removed")
    return design, feasible


def measure(
    experiment: BinaryPresenceEffect, setup: BuildSetup, recorder: Recorder | None, abilities: list[Family]
) -> Measured:
    """Measure the contexts as they are, then with each ability added and removed ``[1 + 2 k, n]``."""
    design, _ = prepare(experiment, setup, abilities)
    contrasts = Contrasts(to_baseline(1 + 2 * len(abilities))) if recorder is not None else None
    return setup.measure_design(design, recorder, contrasts=contrasts)


def run(experiment: BinaryPresenceEffect, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Measure the effects, the conditional ones, and what the corpus alone would suggest."""
    setup.describe(recorder)
    abilities = experiment.chosen(setup)
    frame = ability_effects(experiment, setup, recorder, abilities)
    frame = frame.merge(observed_presence(setup, abilities), on="ability", how="left")
    frame["confounding_gap"] = frame["observational_delta"] - np.where(
        frame["direction"] == "remove", -frame["mean_delta"], frame["mean_delta"]
    )
    says = (
        "One row per main-only ability and direction: the feature with it added (or removed), against the "
        "same contexts as they are."
    )
    recorder.table(Table("binary_effects", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    roles = {"label": "ability", "value": "mean_delta", "n": "n", "panel": "direction", **BANDS}
    drawn = Figure.of("forest", "binary_effects", **roles)
    says = "Mean change of the activation with its interval; hatched: the same edit's effect on like features."
    looks = {"xlabel": "change of activation", "null_label": "like features"}
    recorder.figure(drawn.titled("Adding and removing main-only abilities", says, **looks))
    if experiment.primary_family is not None:
        conditional = conditional_effects(experiment, setup, recorder, abilities, experiment.primary_family)
        meanings = _COLUMNS | {"rung": f"AP that {experiment.primary_family} is set to; 0 is absent"}
        says = f"One row per ability and rung of {experiment.primary_family}: the effect of adding the ability there."
        recorder.table(Table("conditional_effects", says, Evidence.INTERVENTIONAL, conditional, meanings))
        drawn = Figure.of("heatmap", "conditional_effects", x="rung", y="ability", value="mean_delta")
        says = "Mean change of the activation; blank where both are legal in fewer than two contexts."
        title, x = f"Adding an ability at each rung of {experiment.primary_family}", f"{experiment.primary_family} (AP)"
        recorder.figure(drawn.titled(title, says, xlabel=x, ylabel="", diverging=True))
    added = frame[frame["direction"] == "add"]
    largest = frame.to_dict("records")[largest_effect(recorder, "max_effect", frame) or 0]
    level = 1 - setup.stats.confidence
    own = established(added, level=level, value="own_delta", names="own_{}")
    by_displacing = established(added, level=level) & ~own & (added["n_displaced"] > 0)
    return Aggregates(
        **summed(setup, frame["mean_delta"]),
        n_conditions=len(frame),
        custom={
            "strongest": str(largest["ability"]),
            "strongest_direction": str(largest["direction"]),
            "strongest_delta": float(largest["mean_delta"]),
            "enhancing": list(added.loc[own & (added["own_delta"] > 0), "ability"]),
            "suppressing": list(added.loc[own & (added["own_delta"] < 0), "ability"]),
            "by_displacing": list(added.loc[by_displacing, "ability"]),
        },
    )


def ability_effects(
    experiment: BinaryPresenceEffect, setup: BuildSetup, recorder: Recorder, abilities: list[Family]
) -> pd.DataFrame:
    """Return the main table, two rows per ability."""
    measured = measure(experiment, setup, recorder, abilities)
    f, z = measured.values
    names = [ability.name for ability in abilities for _ in DIRECTIONS]
    directions = list(DIRECTIONS) * len(abilities)
    labels = [f"{d} {n}" for d, n in zip(directions, names, strict=True)]
    table = effect_rows(
        setup,
        recorder,
        _differences(f),
        "binary_effects",
        differences_z=_differences(z),
        null=measured.null,
        labels=labels,
    )
    held = experiment.hold(setup, setup.contexts.states())
    displaced = np.stack([setup.edits.displaces(held, ability) for ability in abilities])
    n_displaced = (displaced & ~np.isnan(f[1::2])).sum(1)
    alone = _differences(f)
    alone[::2][displaced] = np.nan
    own = effect_rows(setup, recorder, alone, "binary_effects_alone", labels=labels)
    table["own_delta"] = own["mean_delta"]
    table = table.join(own[list(TESTED_COLUMNS)].add_prefix("own_"))
    table.insert(0, "ability", names)
    table.insert(1, "direction", directions)
    table.insert(2, "mean_activation", row_means(f[1:]))
    table.insert(3, "firing_rate", firing_rates(f[1:]))
    table.insert(4, "n_displaced", np.column_stack([n_displaced, np.zeros_like(n_displaced)]).ravel())
    return table


def conditional_effects(
    experiment: BinaryPresenceEffect, setup: BuildSetup, recorder: Recorder, abilities: list[Family], primary: str
) -> pd.DataFrame:
    """Return the effect of adding each ability at each level of the primary family.

    Raises:
        ConfigError: If the vocabulary lacks the family or a rung.
    """
    family, rungs = setup.vocabulary.family(primary), experiment.levels(setup, primary)
    levels: list[int | None] = [None, *rungs]
    others = [ability for ability in abilities if ability != family]

    def edited(states: States) -> States:
        held = experiment.hold(setup, states)
        cells: list[States] = []
        for level in levels:
            at = setup.edits.set_rung(held, family, level)
            for there in (None, True):
                cells.extend(setup.edits.set_rung(at, ability, there) for ability in others)
        return stack(cells)

    k = len(others)
    weights: Floats = np.kron(np.eye(len(levels)), np.hstack([-np.eye(k), np.eye(k)])).astype(np.float64)
    keys = [(ability.name, level or 0) for level in levels for ability in others]
    design = Design(edited, weights.shape[1], description=f"at each {family.name}")
    labels = [f"{name} at {rung}" for name, rung in keys]
    table, _, _ = design_effects(setup, recorder, design, weights, "conditional_effects", labels=labels)
    return pd.DataFrame(keys, columns=["ability", "rung"]).join(table)


def _differences(values: Floats) -> Floats:
    """Return the edited contexts minus the contexts as they are."""
    out: Floats = values[1:] - values[:1]
    return out


_COLUMNS = {
    **EFFECT_COLUMNS,
    "direction": "add: measured where the ability was absent; remove: where it was there",
    "n_displaced": "contexts in which adding took another ability of the same piece away",
    "own_delta": "the same where nothing was displaced: what the ability itself does (with own_ci_low, own_ci_high)",
    "own_p_adj": "adjusted p of own_delta; the aggregates name abilities by it and by own_ci_adj_low, own_ci_adj_high",
    "n_observed": "contexts of the corpus slice that hold the ability",
    "observational_delta": "difference of means between contexts that hold it and those that do not",
    "p_observational": "p of that difference, whole source builds exchanged",
    "confounding_gap": "observational_delta minus the effect of presence that the intervention shows",
}
