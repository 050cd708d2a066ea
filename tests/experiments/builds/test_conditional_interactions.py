"""On planted features: XOR turns with its third, AND does not, and a weapon can be what modulates."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.figures.draw import draw


def changes(result):
    return result.tables["conditional_interactions"].frame.set_index("pair")


@pytest.mark.parametrize("modulator", ["sub_power_up", "SubPU_12"])
def test_the_third_of_an_xor_turns_the_pair(planted_run, modulator):
    experiment = ConditionalInteractions(modulator=modulator, candidates=["IA", "QSJ", "SSU"])
    result, _ = planted_run(experiment, "xor")
    frame = changes(result)
    row = frame.loc["intensify_action x quick_super_jump"]
    assert row["label"] == "third_order"
    assert row["third_difference"] == pytest.approx(8.0)
    assert row["interaction_absent"] == pytest.approx(-4.0)
    assert row["interaction_present"] == pytest.approx(4.0)
    assert row["p_adj"] < 0.05
    others = frame.drop(row.name)
    assert (others["third_difference"] == 0).all()
    assert set(others["label"]) == {"none"}
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_what_plays_no_part_changes_nothing(planted_run):
    result, _ = planted_run(ConditionalInteractions(modulator="SSU", candidates=["QR", "SS", "ISM"]), "and")
    frame = changes(result)
    assert (frame["third_difference"] == 0).all()
    assert (frame[["p", "p_adj"]] == 1).all(axis=None)
    pairs = result.tables["interactions"].frame
    synergies = pairs[pairs["label"] == "synergy"]
    assert synergies["modulator"].tolist() == ["absent", "present"]
    np.testing.assert_allclose(synergies["interaction_activation"], 2.0)


def test_a_relu_makes_an_output_nonlinearity_and_no_third_order(planted_run):
    result, _ = planted_run(ConditionalInteractions(modulator="ISS", candidates=["RSU", "IRU", "SSU"]), "relu_sum")
    assert set(changes(result)["label"]) == {"none"}
    pairs = result.tables["interactions"].frame
    assert (pairs["label"] == "output_nonlinearity").sum() == 2


def test_a_weapon_is_compared_with_the_mean_over_other_weapons(planted_run):
    names = ["SSU_12", "QR"]
    _, setup = planted_run(ConditionalInteractions(modulator="QR", candidates=["ISM", "ISS"]), "null", n_builds=30)
    gated = next(w.name for w in setup.weapons.weapons if w.special == "Zipcaster")
    experiment = ConditionalInteractions(modulator=gated, candidates=names)
    result, setup = planted_run(experiment, "weapon_gate")
    assert result.aggregates.custom["modulator_kind"] == "weapon"
    pairs = result.tables["interactions"].frame.set_index("modulator")
    assert pairs.loc["present", "effect_a"] == pytest.approx(2.0)
    assert pairs.loc["absent", "effect_a"] < 0.5
    assert (changes(result)["third_difference"].abs() < 1e-9).all()


def test_a_third_difference_is_what_brute_force_finds(planted_run):
    experiment = ConditionalInteractions(modulator="SCU", candidates=["IA", "QSJ"], rung=6)
    result, setup = planted_run(experiment, "noisy", n_builds=40)
    total = np.zeros(len(setup.contexts))
    families = ["IA", "QSJ", "SCU"]
    for s in range(8):
        states = setup.contexts.states()
        for i, family in enumerate(families):
            states = setup.edits.set_rung(states, family, 6 if s >> i & 1 else None)
        total += (-1) ** (3 - s.bit_count()) * setup.measure(states).f
    row = changes(result).iloc[0]
    assert row["n"] == (~np.isnan(total)).sum()
    assert row["third_difference"] == pytest.approx(np.nanmean(total))
    vector = experiment.effect_vector(setup)
    assert vector.values[0] == pytest.approx(np.nanmean(total))


def test_both_states_of_the_modulator_are_one_family(planted_run):
    from paribus.stats.multiplicity import adjust

    result, _ = planted_run(ConditionalInteractions(modulator="SCU", candidates=["IA", "QSJ", "QR"], rung=6), "noisy")
    frame = result.tables["interactions"].frame
    assert frame["modulator"].tolist() == ["absent"] * 3 + ["present"] * 3
    np.testing.assert_allclose(frame["p_adj"], adjust(frame["p"].to_numpy()))
    np.testing.assert_allclose(frame["p_adj_z"], adjust(frame["p_z"].to_numpy()))


def test_chosen_candidates_leave_the_modulator_out(planted_run):
    result, _ = planted_run(ConditionalInteractions(modulator="sub_power_up", n_candidates=3), "xor")
    assert "sub_power_up" not in result.tables["candidates"].frame["family"].tolist()
    assert result.aggregates.custom["largest_label"] == "third_order"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"modulator": "sub_power"}, "sub_power_up"),
        ({"modulator": "Splatershot"}, "Splattershot"),
        ({"modulator": "SSU_35"}, "its rungs are"),
        ({"modulator": "IA"}, "modulator itself"),
        ({"modulator": "comeback", "candidates": ["tenacity", "SSU"]}, "none of"),
    ],
)
def test_wrong_requests_name_what_is_valid(planted_run, fields, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(ConditionalInteractions(**({"candidates": ["IA", "QSJ"]} | fields)), "xor", n_builds=40)
