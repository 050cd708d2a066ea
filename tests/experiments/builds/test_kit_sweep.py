"""`kit_sweep` on planted features: the special behind a gate is found, and kits that only come with builds are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.experiments.builds._weapon_groups import WeaponGroups, group_table, kit_p
from paribus.experiments.builds.kit_sweep import KitSweep
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.weapons import Weapons


def test_the_special_is_found_and_no_sub(planted_run):
    experiment = KitSweep(swap_contexts=60, condition_family="SSU", condition_rung=12, min_examples=1)
    result, _ = planted_run(experiment, "weapon_gate")
    custom = result.aggregates.custom
    assert custom["top_special_swap"] == "Zipcaster"
    assert custom["specials_beyond"] == ["Zipcaster"]
    assert custom["subs_beyond"] == []
    frame = result.tables["special_swaps"].frame.set_index("special")
    assert frame.loc["Zipcaster", "mean_delta"] == pytest.approx(2.0)
    assert frame.loc["Zipcaster", "delta_to_rest"] == pytest.approx(2.0)
    assert frame.loc["Zipcaster", "p_kit_adj"] < 0.05
    others = frame.drop("Zipcaster")
    assert (others[["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert (others["p"] == 1).all() and (others["p_kit"] > 0.5).all()
    combos = result.tables["combo_swaps"].frame
    zipcaster = combos["kit"].str.endswith("/ Zipcaster")
    np.testing.assert_allclose(combos["mean_delta"], np.where(zipcaster, 2.0, 0.0))


def test_what_only_weapons_do_leaves_no_gap_though_few_weapons_are_observed(planted_run):
    experiment = KitSweep(swap_contexts=20, condition_family="SSU", condition_rung=12, min_examples=1)
    result, _ = planted_run(experiment, "weapon_gate")
    for name in ("sub", "special", "combo"):
        frame = result.tables[f"{name}_stats"].frame
        assert frame["n_weapons"].sum() < 130 and frame["delta"].abs().max() > 0
        np.testing.assert_allclose(frame["interventional_delta"], frame["delta"], atol=1e-12)


def test_kits_as_used_are_tested_over_weapons(planted_run):
    result, setup = planted_run(KitSweep(swap_contexts=20), "dose", n_builds=1500)
    frame = result.tables["special_stats"].frame.set_index("special")
    top = result.aggregates.custom["top_special"]
    assert frame.loc[top, "p_adj"] < 0.05
    assert frame.loc[top, "interventional_delta"] == 0
    assert frame.loc[top, "confounding_gap"] == frame.loc[top, "delta"] > 0.1
    assert (result.tables["special_swaps"].frame["mean_delta"] == 0).all()
    assert result.aggregates.custom["top_special_swap"] is None
    kits = setup.weapons.weapons
    n = np.bincount(setup.contexts.weapon, minlength=len(kits))
    own = [i for i, kit in enumerate(kits) if kit.special == top and n[i] >= 10]
    f, weapon = setup.observed.f, setup.contexts.weapon
    assert frame.loc[top, "n_weapons"] == len(own)
    assert frame.loc[top, "n"] == n[own].sum()
    assert frame.loc[top, "mean_activation"] == pytest.approx(np.mean([f[weapon == i].mean() for i in own]))


def test_thousands_of_contexts_with_one_weapon_are_one_weapon(planted_run):
    _, setup = planted_run(KitSweep(swap_contexts=5), "dose", n_builds=60)
    groups = WeaponGroups.read(setup, "special")
    means = np.zeros(setup.weapons.size)
    means[setup.weapons.index("Luna Blaster")] = 5.0
    n = np.full(setup.weapons.size, 10_000)
    frame = group_table(setup, groups, means, n, "x").set_index("special")
    assert frame.loc["Zipcaster", "p"] > 0.03
    means[[i for i, w in enumerate(setup.weapons.weapons) if w.special == "Zipcaster"]] = 5.0
    frame = group_table(setup, groups, means, n, "x").set_index("special")
    assert frame.loc["Zipcaster", "p"] < 0.01


def test_the_null_feature_has_no_kit(planted_run):
    result, _ = planted_run(KitSweep(swap_contexts=30, min_examples=2), "null")
    for name in ("sub", "special", "combo"):
        assert (result.tables[f"{name}_stats"].frame[["delta", "delta_low", "delta_high"]] == 0).all(axis=None)
        assert (result.tables[f"{name}_stats"].frame["p"] == 1).all()
        assert (result.tables[f"{name}_swaps"].frame[["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None)
        assert (result.tables[f"{name}_swaps"].frame[["p", "p_kit"]] == 1).all(axis=None)


def test_combinations_are_left_out_on_request(planted_run):
    result, _ = planted_run(KitSweep(swap_contexts=5, analyze_combinations=False), "dose", n_builds=60)
    assert "combo_stats" not in result.tables
    assert {"sub_stats", "special_stats", "sub_swaps", "special_swaps"} <= set(result.tables)
    assert [f.name for f in result.figures] == ["sub_forest", "special_forest"]


def test_a_silent_feature_is_skipped_where_that_is_hard(planted_run):
    constraints = ConstraintsSpec(no_weapon_gating_if_relu_floor="hard")
    result, _ = planted_run(KitSweep(), "weapon_gate", n_builds=60, constraints=constraints)
    assert not result.tables
    assert result.aggregates.custom["skipped"]


def test_weapons_of_unknown_kit_are_named_and_left_out(planted_run):
    experiment = KitSweep(swap_contexts=5, min_examples=1)
    _, setup = planted_run(experiment, "dose", n_builds=60)
    names = list(setup.weapons.names)
    names[3] = "weapon_id_99999"
    object.__setattr__(setup.corpus, "weapons", Weapons(tuple(names)))
    from paribus.experiments.base import perform
    from paribus.experiments.recording import MemoryRecorder

    result = perform(experiment, setup, MemoryRecorder())
    assert any("1 weapon of unknown kit" in w for w in result.diagnostics.warnings)
    assert result.tables["sub_swaps"].frame["n_weapons"].sum() == setup.weapons.size - 1


def test_kits_are_permuted_exactly_over_weapons(planted_run):
    """Two groups of two among four weapons: 2 of the 6 arrangements are as extreme."""
    _, setup = planted_run(KitSweep(swap_contexts=5), "dose", n_builds=60)
    p, method = kit_p(setup, np.array([0.0, 1, 10, 11]), np.array([0, 0, 1, 1]), "x")
    np.testing.assert_allclose(p, 2 / 6, atol=0.05)
    assert set(method) == {"monte_carlo"}
    p, method = kit_p(setup, np.array([0.0, 1]), np.array([0, 0]), "x")
    assert np.isnan(p).all() and set(method) == {"none: one group only"}


def test_the_effect_vector_holds_subs_and_specials(planted_run):
    experiment = KitSweep(swap_contexts=20)
    _, setup = planted_run(experiment, "weapon_gate", n_builds=60)
    vector = experiment.effect_vector(setup)
    assert len(vector.labels) == 14 + 19
    assert vector.differences.shape == (33, len(setup.contexts))
    np.testing.assert_allclose(np.nanmean(vector.differences, axis=1), vector.values)


def test_the_headline_allows_for_the_choice_among_all_tables(planted_run):
    result, _ = planted_run(KitSweep(swap_contexts=60, min_examples=1), "weapon_gate")
    rows = pd.concat([result.tables[f"{name}_swaps"].frame for name in ("sub", "special", "combo")])
    largest = rows.iloc[rows["mean_delta"].abs().argmax()]
    metrics = result.metrics
    assert metrics["max_kit_effect"] == pytest.approx(largest["mean_delta"])
    width = metrics["max_kit_effect_ci_adj_high"] - metrics["max_kit_effect_ci_adj_low"]
    assert width > largest["ci_adj_high"] - largest["ci_adj_low"], "that of its own table is too narrow"
