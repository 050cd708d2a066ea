"""Measures every pair of candidates without and with the modulator, and compares."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds import _interaction_tables as tables
from paribus.experiments.builds._candidates import Choice, choose, given
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    PLACE,
    RESOLUTION,
    TESTED_COLUMNS,
    base_numbers,
)
from paribus.experiments.builds._interaction_labels import third_labels
from paribus.experiments.builds._interaction_sums import InteractionSums, add_up, interaction_vector
from paribus.experiments.builds._interactions import Differences
from paribus.experiments.builds._two_level import TwoLevel
from paribus.experiments.builds.conditional_interactions.modulators import find_modulator, modulated
from paribus.experiments.builds.conditional_interactions.spec import ConditionalInteractions
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.results.columns import bootstrapped
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Figure, Table
from paribus.stats.effects import established


def prepare(
    experiment: ConditionalInteractions, setup: BuildSetup, recorder: Recorder | None
) -> tuple[Differences, TwoLevel, Choice]:
    """Choose candidates, and return what measures every pair without and with the modulator.

    Raises:
        ConfigError: If a name is unknown or the modulator is a candidate too.
    """
    modulator = find_modulator(setup, experiment.modulator, experiment.rung, experiment.n_reference_weapons)
    choice = choose(setup, experiment, recorder, without=[] if modulator.family is None else [modulator.family])
    refuse_two_weapons(choice.candidates, modulator)
    part = setup.restrict(choice.rows)
    return modulated(part, experiment, choice.candidates, modulator, recorder), modulator, choice


def validate(experiment: ConditionalInteractions, setup: BuildSetup) -> None:
    """Look up the modulator and the candidates that are named before anything is run.

    Raises:
        ConfigError: If one is unknown, or they cannot be crossed.
    """
    modulator = find_modulator(setup, experiment.modulator, experiment.rung, experiment.n_reference_weapons)
    barred = [] if modulator.family is None else [modulator.family]
    refuse_two_weapons(given(setup, experiment, barred), modulator)


def refuse_two_weapons(candidates: tuple[TwoLevel, ...], modulator: TwoLevel) -> None:
    """Check that a weapon is crossed with families only.

    Raises:
        ConfigError: If the modulator and a candidate are both weapons.
    """
    weapons = [candidate.name for candidate in candidates if candidate.family is None]
    if modulator.family is None and weapons:
        raise ConfigError(f"experiment.candidates: {weapons[0]} and the modulator {modulator.name} are both weapons")


def said(choice: Choice, modulator: TwoLevel) -> str:
    """Return what some context must support, in words."""
    return f"any two of {', '.join(choice.names)} without and with {modulator.name}"


def effect_vector(experiment: ConditionalInteractions, setup: BuildSetup) -> EffectVector:
    """Return the third difference of every pair."""
    measuring, modulator, choice = prepare(experiment, setup, None)
    return interaction_vector(measuring, setup, choice, said(choice, modulator), len(measuring.pairs))


def run(experiment: ConditionalInteractions, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Measure pairs without and with the modulator, then how much each changes."""
    setup.describe(recorder)
    measuring, modulator, choice = prepare(experiment, setup, recorder)
    part = setup.restrict(choice.rows)
    found = add_up(part, measuring)
    n_pairs = len(found.triples)
    setup.require(found.f.n[-n_pairs:] > 0, said(choice, modulator))
    recorder.table(tables.candidate_table(choice))
    both = tables.interaction_table(part, recorder, found, choice.names, None)
    states = np.repeat(["absent", "present"], n_pairs)
    meanings = {**tables.PAIR_COLUMNS, "modulator": "whether the modulator is absent or present"}
    says = f"One row per pair and state of the modulator, {modulator.name}."
    recorder.table(Table("interactions", says, Evidence.INTERVENTIONAL, both.frame.assign(modulator=states), meanings))
    absent, present = (both.frame[states == name].reset_index(drop=True) for name in ("absent", "present"))
    frame = changes(part, recorder, found, absent, present)
    frame.insert(2, "modulator", modulator.name)
    says = f"One row per pair: how much its interaction changes when {modulator.name} is there."
    recorder.table(Table("conditional_interactions", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    draw(recorder, modulator)
    values = frame["third_difference"]
    largest = frame.iloc[largest_effect(recorder, "largest_third_difference", frame, "third_difference") or 0]
    known = values.dropna()
    return Aggregates(
        mean_delta=float(known.mean()),
        std_delta=float(known.std(ddof=1)) if len(known) > 1 else 0.0,
        n_samples=len(part.contexts),
        n_conditions=2 * len(frame),
        **base_numbers(setup),
        custom={
            "modulator": modulator.name,
            "modulator_kind": modulator.kind,
            "largest_pair": largest["pair"],
            "largest_third_difference": float(largest["third_difference"]),
            "largest_label": largest["label"],
            "n_changed": int(frame["label"].isin(["third_order", "modulated"]).sum()),
            "sd": setup.sd,
        },
    )


def changes(
    setup: BuildSetup,
    recorder: Recorder,
    found: InteractionSums,
    absent: pd.DataFrame,
    present: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row per pair with its third difference, and both interactions beside it."""
    pairs = [f"{a} x {b}" for a, b in zip(absent["token_a"], absent["token_b"], strict=True)]
    rows, names = len(found.pairs) + np.arange(len(pairs)), ("third_difference", "third_difference_z")
    frame, in_f, in_z, plain = tables.tested_rows(
        setup, recorder, found, rows, "third_differences", names=names, labels=pairs
    )
    value, level = "interaction_activation", 1 - setup.stats.confidence
    signs = [
        established(table, level=level, margin=RESOLUTION * setup.sd, value=value) * np.sign(table[value].to_numpy())
        for table in (absent, present)
    ]
    turns = signs[0] * signs[1] < 0
    frame.insert(0, "token_a", absent["token_a"])
    frame.insert(1, "token_b", absent["token_b"])
    frame.insert(2, "pair", pairs)
    frame.insert(5, "label", third_labels(in_f, in_z, turns, plain["p"].isna().to_numpy()))
    for name, table in (("absent", absent), ("present", present)):
        frame[f"interaction_{name}"] = table["interaction_activation"]
        frame[f"interaction_{name}_z"] = table["interaction_preactivation"]
        for column in ("ci_low", "ci_high", "ci_method", "ci_adj_low", "ci_adj_high"):
            frame[f"{column}_{name}"] = table[column]
    frame["turns"] = turns
    return frame


def draw(recorder: Recorder, modulator: TwoLevel) -> None:
    """Declare the pair of matrices and the changes."""
    drawn = Figure.of("interaction_matrix", "interactions", panel="modulator", **tables.MATRIX)
    says = "Second difference of the activation in the same contexts, with the modulator absent and present."
    looks = {
        "value_label": "interaction",
        "names": {"absent": f"{modulator.name} absent", "present": f"{modulator.name} present"},
    }
    recorder.figure(drawn.titled(f"How pairs interact without and with {modulator.name}", says, **looks))
    roles = {"label": "pair", "value": "third_difference", "n": "n", "group": "label", **INTERVAL}
    drawn = Figure.of("forest", "conditional_interactions", name="third_differences", **roles)
    says = "Interaction with the modulator there, minus without it, with its interval."
    recorder.figure(
        drawn.titled(f"What {modulator.name} changes", says, xlabel="third difference", sort="abs", max_rows=20)
    )


_COLUMNS = {
    **{name: EFFECT_COLUMNS[name] for name in (*TESTED_COLUMNS, "n", "n_clusters")},
    **{name: EFFECT_COLUMNS[name] for name in ("null_percentile", "null_low", "null_high")},
    "third_difference": "interaction in f with the modulator there, minus without it",
    "third_difference_z": "the same on the pre-activation z",
    **bootstrapped("third_difference"),
    "null_percentile": PLACE.format("third_difference"),
    "p_adj": "p adjusted over the pairs",
    "label": "third_order: established in f and z and the pair's sign turns; modulated: without a turn; "
    "output_nonlinearity: in f but not in z; none; untested",
    "interaction_absent": "interaction of the pair with the modulator absent",
    "interaction_present": "interaction of the pair with the modulator there",
}
