"""Families crossed with a weapon or a class of weapons: brute force over the same contexts, and planted gates."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds._two_level import weapon_factor
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions

FEW = {"n_null": 0}


def mean_over(setup, states, moves):
    """The feature with each of the moves applied, averaged: nothing shared with the designs."""
    from paribus.experiments.builds._moves import apply_moves

    return np.mean([setup.measure(apply_moves(states, [move])[0]).f for move in moves], axis=0)


def by_hand(setup, name, family, level):
    """The interaction of a family at a level with a weapon or class, context by context."""
    factor = weapon_factor(setup, name, where="here")
    base = setup.contexts.states()
    with_it, without = (setup.edits.set_rung(base, family, at) for at in (level, None))
    values = [mean_over(setup, states, moves) for states in (with_it, without) for moves in (factor.there, factor.gone)]
    return values[0] - values[1] - values[2] + values[3]


@pytest.mark.parametrize(
    ("feature", "name"), [("joint_gate", "weapon_class:Charger"), ("noisy", "weapon:Luna Blaster")]
)
def test_a_pair_of_family_and_weapons_is_that_of_brute_force(planted_run, hard, feature, name):
    experiment = PairwiseInteractions(candidates=["SCU", name, "SSU"], rung=29, triples=False)
    result, setup = planted_run(experiment, feature, model=hard.MODEL, n_builds=60, stats=FEW)
    expected = by_hand(setup, name, "SCU", 29)
    row = result.tables["interactions"].frame.iloc[0]
    assert (row["token_a"], row["token_b"]) == ("special_charge_up", name)
    assert row["n"] == (~np.isnan(expected)).sum()
    assert row["interaction_activation"] == pytest.approx(np.nanmean(expected), abs=1e-6)
    heat, _ = planted_run(
        Family2dHeatmap(family_x="SCU", family_y=name, rungs_x=[29]), feature, model=hard.MODEL, n_builds=60, stats=FEW
    )
    cell = heat.tables["heatmap"].frame.query("x == 29 and y == 1").iloc[0]
    assert cell["interaction"] == pytest.approx(np.nanmean(expected), abs=1e-6)
    assert cell["n_interaction"] == row["n"]


def test_a_joint_gate_is_a_synergy_of_family_and_class_and_of_nothing_else(planted_run, hard):
    name = f"weapon_class:{hard.CLASS}"
    experiment = PairwiseInteractions(candidates=["SCU_29", "SSU_3", f"weapon_class:{hard.CLASS.lower()}"])
    result, _ = planted_run(experiment, "joint_gate", model=hard.MODEL, stats=FEW)
    frame = result.tables["interactions"].frame
    pair = frame[(frame["token_a"] == "special_charge_up_29") & (frame["token_b"] == name)].iloc[0]
    assert pair["label"] == "synergy" and pair["interaction_activation"] == pytest.approx(2.0)
    assert (frame.drop(pair.name)["interaction_activation"].dropna() == 0).all()
    candidates = result.tables["candidates"].frame
    assert candidates["family"].iloc[2] == "weapon" and np.isnan(candidates["ap"].iloc[2])
    assert result.tables["triples"].frame["third_difference"].iloc[0] == pytest.approx(0.0, abs=1e-9)


def test_a_class_as_modulator_opens_the_pair(planted_run, hard):
    experiment = ConditionalInteractions(
        candidates=["SCU_29", "SSU_3"], modulator="weapon_class:Charger", n_reference_weapons=6
    )
    result, _ = planted_run(experiment, "joint_gate", model=hard.MODEL, stats=FEW, n_builds=120)
    assert result.aggregates.custom["modulator_kind"] == "weapon_class"
    row = result.tables["interactions"].frame.set_index("modulator")
    assert row.loc["present", "effect_a"] == pytest.approx(2.0) and row.loc["absent", "effect_a"] == 0
    triple = PairwiseInteractions(candidates=["IA", "QSJ", "weapon_class:Charger"], rung=6)
    result, _ = planted_run(triple, "class_and", model=hard.MODEL, stats=FEW, n_builds=120)
    assert result.tables["triples"].frame["third_difference"].iloc[0] == pytest.approx(2.0)
    crossed = ConditionalInteractions(candidates=["IA", "QSJ"], rung=6, modulator="weapon_class:Charger")
    result, _ = planted_run(crossed, "class_and", model=hard.MODEL, stats=FEW, n_builds=120)
    changed = result.tables["conditional_interactions"].frame.iloc[0]
    assert changed["third_difference"] == pytest.approx(2.0) and changed["label"] == "modulated"


def test_a_heatmap_of_a_class_shows_where_the_gate_opens(planted_run, hard):
    experiment = Family2dHeatmap(family_x="weapon_class:Charger", family_y="SCU", rungs_y=[12, 29])
    result, _ = planted_run(experiment, "joint_gate", model=hard.MODEL, stats=FEW)
    frame = result.tables["heatmap"].frame.set_index(["x", "y"])
    assert frame["mean_activation"].dropna().to_dict() == {
        (x, y): pytest.approx(2.0 if (x, y) == (1, 29) else 0.0) for x in (0, 1) for y in (0, 12, 29)
    }
    assert frame.loc[(1, 29), "interaction"] == pytest.approx(2.0) and frame.loc[(1, 29), "p_adj"] < 0.05
    assert frame.loc[(1, 12), "interaction"] == 0 and frame.loc[(1, 29), "firing_rate"] == 1
    (figure,) = result.figures
    assert figure.options["xlabel"] == "weapon_class:Charger (1: there)"


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        (PairwiseInteractions(candidates=["SSU", "weapon:Luna Blster"]), "Luna Blaster"),
        (PairwiseInteractions(candidates=["SSU", "weapon_class:Chargers"]), "Charger"),
        (PairwiseInteractions(candidates=["weapon:40", "weapon_class:Charger"]), "two weapons"),
        (
            PairwiseInteractions(candidates=["SSU", "weapon:40"], method="sii"),
            "not tokens or weapons",
        ),
        (
            ConditionalInteractions(candidates=["SSU", "weapon:40", "QR"], modulator="weapon_class:Brush"),
            "both weapons",
        ),
        (ConditionalInteractions(candidates=["SSU", "QR"], modulator="weapon_class:Brushes"), "Brush"),
        (Family2dHeatmap(family_x="weapon:40", family_y="weapon_class:Brush"), "both weapons"),
        (Family2dHeatmap(family_x="SSU", family_y="weapon:40", rungs_y=[3]), "has no rungs"),
        (Family2dHeatmap(family_x="SSU", family_y="weapon:foo"), "no weapon 'foo'"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_run(planted_run, experiment, said):
    with pytest.raises(ConfigError, match=said):
        experiment.validate(planted_run.setup("dose", n_builds=20))
