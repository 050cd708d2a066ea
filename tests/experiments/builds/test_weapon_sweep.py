"""`weapon_sweep` on planted features: real gates are found, weapons that only come with builds are named as such."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds._weapon_stats import pooled, weapon_labels
from paribus.experiments.builds._weapon_swaps import against, ordinary_weapons, swap_weapons
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.features.columns import Units
from paribus.features.reader import Reader
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.weapons import Weapons

GATES = {weapon.name for weapon in Weapons.default().weapons if weapon.special == "Zipcaster"}


def test_the_gate_opens_for_its_weapons_and_for_no_other(planted_run):
    experiment = WeaponSweep(swap_contexts=60, condition_family="SSU", condition_rung=12, min_examples=1)
    result, _ = planted_run(experiment, "weapon_gate")
    frame = result.tables["weapon_swaps"].frame.set_index("weapon")
    assert set(result.aggregates.custom["weapons_beyond"]) == GATES
    opened = frame.index.isin(GATES)
    np.testing.assert_allclose(frame.loc[opened, "mean_delta"], 2.0)
    assert (frame.loc[opened, "p_adj"] < 0.01).all()
    assert (frame.loc[opened, "null_percentile"] > 97).all()
    shut = frame.loc[~opened]
    assert (shut[["mean_delta", "ci_low", "ci_high", "mean_delta_z"]] == 0).all(axis=None)
    assert (shut["p"] == 1).all()


def test_the_effect_is_that_of_brute_force(planted_run):
    result, setup = planted_run(WeaponSweep(swap_contexts=40), "weapon_gate")
    experiment = WeaponSweep(swap_contexts=40)
    swaps = swap_weapons(experiment, setup, None)
    fast = (setup.edits.highest_rung(swaps.setup.contexts.states(), "SSU") >= 6).astype(float)
    frame = result.tables["weapon_swaps"].frame.set_index("weapon")
    assert fast.any()
    assert frame.loc["Luna Blaster", "mean_delta"] == pytest.approx(2 * fast.mean())
    used = np.bincount(setup.contexts.weapon, minlength=setup.weapons.size)
    open_ = np.array([w.special == "Zipcaster" for w in setup.weapons.weapons])
    own = setup.weapons.index("Luna Blaster")
    others = np.arange(len(used)) != own
    rest = 2 * fast.mean() * (1 - used[others & open_].sum() / used[others].sum())
    assert frame.loc["Luna Blaster", "delta_to_rest"] == pytest.approx(rest)


def test_weapons_that_only_come_with_builds_do_nothing_when_swapped(planted_run):
    result, _ = planted_run(WeaponSweep(swap_contexts=60), "dose", n_builds=2500, data={"confounding": 1.0})
    stats = result.tables["weapon_stats"].frame
    assert stats["p_adj"].min() < 0.05
    found = stats.loc[stats["p_adj"].idxmin()]
    frame = result.tables["weapon_swaps"].frame.set_index("weapon")
    assert (frame[["mean_delta", "ci_low", "ci_high", "delta_to_rest"]] == 0).all(axis=None)
    assert (frame[["p", "p_adj"]] == 1).all(axis=None)
    assert frame.loc[found["weapon"], "confounding_gap"] == found["delta"]
    assert abs(result.aggregates.custom["largest_confounding_gap"]) > 0.1
    assert result.aggregates.custom["weapons_beyond"] == []


def test_a_dominant_weapon_is_announced_with_what_swapping_says(planted_run):
    data = {"confounding": 1.0, "spread": 0.0}
    names = ["Luna Blaster", "Light Tetra Dualies", *(w.name for w in Weapons.default().weapons[:12])]
    slicing = SliceSpec(weapon_filter=names, family_filter=["SSU"])
    result, _ = planted_run(
        WeaponSweep(swap_contexts=60), "weapon_gate", n_builds=9000, data=data, slicing=slicing, seed=3
    )
    custom = result.aggregates.custom
    assert custom["dominant_weapon_detected"]
    assert custom["recommended_followup"] == "kit_sweep"
    assert set(custom["dominant_weapons"]) <= GATES
    assert custom["dominant_weapons_confirmed"] == custom["dominant_weapons"]
    assert any(w.startswith("DOMINANT WEAPON") and "kit_sweep" in w for w in result.diagnostics.warnings)


def test_a_weapon_that_dominates_by_its_builds_alone_is_said_to_do_nothing(planted_run):
    names = ["S-BLAST '92", "Rapid Blaster Deco"]
    names += [weapon.name for weapon in Weapons.default().weapons if weapon.kind == "Splatling"]
    data = {"confounding": 1.0, "spread": 0.0}
    slicing = SliceSpec(weapon_filter=names)
    result, _ = planted_run(WeaponSweep(swap_contexts=200), "dose", n_builds=6000, data=data, slicing=slicing)
    custom = result.aggregates.custom
    assert custom["dominant_weapon_detected"]
    assert set(custom["dominant_weapons"]) <= set(names[:2])
    assert custom["dominant_weapons_confirmed"] == []
    said = [w for w in result.diagnostics.warnings if w.startswith("DOMINANT WEAPON")]
    assert len(said) == 1
    assert "changes next to nothing" in said[0]


def test_a_gate_by_class_names_the_class_and_not_one_of_its_equal_weapons(planted_run, hard):
    result, _ = planted_run(WeaponSweep(swap_contexts=60), "class_gate", model=hard.MODEL, n_builds=2000)
    custom = result.aggregates.custom
    (said,) = [w for w in result.diagnostics.warnings if w.startswith("DOMINANT WEAPON")]
    assert said.startswith(f"DOMINANT WEAPON class {hard.CLASS}: ") and f"its {len(hard.OF_CLASS)} weapons" in said
    assert "changes the activation by 2 in every source build" in said
    assert not any(name in said for name in hard.OF_CLASS)
    assert custom["dominant_classes"] == custom["classes_beyond"] == [hard.CLASS]
    assert set(custom["weapons_beyond"]) == set(hard.OF_CLASS)
    frame = result.tables["class_swaps"].frame
    assert frame["kind"].iloc[0] == hard.CLASS and frame["mean_delta"].iloc[0] == pytest.approx(2.0)
    assert frame["p_adj"].iloc[0] < 0.05 and frame["p_kit_adj"].iloc[0] < 0.05
    assert (frame.loc[1:, ["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None) and (frame.loc[1:, "p"] == 1).all()
    assert result.tables["class_swaps"].evidence == "interventional"


def test_weapons_in_too_few_builds_are_undecided_and_not_without_effect(planted_run, hard):
    """The class acts beside a family at 29 AP only, which few builds hold."""
    result, setup = planted_run(WeaponSweep(swap_contexts=60), "joint_gate", model=hard.MODEL, n_builds=600)
    frame = result.tables["class_swaps"].frame.set_index("kind")
    assert frame.loc[hard.CLASS, "standing"] == "undecided, n too small"
    table = result.tables["weapon_swaps"].frame
    assert set(table.loc[table["weapon"].isin(hard.OF_CLASS), "standing"]) == {"undecided, n too small"}
    conditioned = WeaponSweep(swap_contexts=60, condition_family="SCU", condition_rung=29, min_examples=1)
    result, _ = planted_run(conditioned, "joint_gate", model=hard.MODEL, n_builds=600)
    assert result.aggregates.custom["classes_beyond"] == [hard.CLASS]


def test_the_null_feature_has_no_weapon(planted_run):
    result, _ = planted_run(WeaponSweep(swap_contexts=40), "null")
    frame, stats = result.tables["weapon_swaps"].frame, result.tables["weapon_stats"].frame
    assert (frame[["mean_delta", "ci_low", "ci_high", "null_low", "null_high"]] == 0).all(axis=None)
    assert (frame["p"] == 1).all()
    assert (stats[["delta", "delta_low", "delta_high"]] == 0).all(axis=None)
    assert (stats[["p", "p_adj", "ratio"]] == 1).all(axis=None)
    assert not result.aggregates.custom["dominant_weapon_detected"]
    assert result.aggregates.custom["top_swap_weapon"] is None
    assert (result.tables["class_stats"].frame["p"] == 1).all()


def test_noise_by_build_gives_no_weapon(planted_run):
    result, _ = planted_run(WeaponSweep(swap_contexts=60), "source", n_builds=400)
    assert (result.tables["weapon_stats"].frame["p_adj"] > 0.05).all()
    assert (result.tables["weapon_swaps"].frame["mean_delta"] == 0).all()


@pytest.mark.parametrize(("level", "tables"), [("hard", 0), ("soft", 5), ("off", 5)])
def test_a_silent_feature_is_warned_about_or_skipped(planted_run, level, tables):
    constraints = ConstraintsSpec(no_weapon_gating_if_relu_floor=level)
    result, _ = planted_run(WeaponSweep(swap_contexts=10), "weapon_gate", n_builds=120, constraints=constraints)
    assert len(result.tables) == tables
    assert result.aggregates.custom["skipped"] is (level == "hard")
    assert any("no_weapon_gating_if_relu_floor" in w for w in result.diagnostics.warnings) is (level != "off")


def test_a_condition_groups_what_is_observed_and_edits_what_is_swapped(planted_run):
    experiment = WeaponSweep(swap_contexts=30, condition_family="SSU", condition_rung=3, min_examples=1)
    result, setup = planted_run(experiment, "dose", n_builds=150)
    shown = setup.edits.highest_rung(setup.contexts.states(), "SSU")
    assert result.tables["weapon_stats"].frame["n"].sum() == (shown == 3).sum()
    np.testing.assert_allclose(result.tables["weapon_swaps"].frame["mean_activation"], 3 / 19, atol=1e-6)
    free = swap_weapons(WeaponSweep(swap_contexts=1000, condition_family="SSU", min_examples=1), setup, None)
    assert free.f.shape[1] == (shown > 0).sum()
    np.testing.assert_array_equal(setup.contexts.codes[free.places], free.setup.contexts.codes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"condition_rung": 12}, "condition_family"),
        ({"condition_family": "swim"}, "swim_speed_up"),
        ({"condition_family": "SSU", "condition_rung": 35}, "3, 6, 12"),
        ({"condition_family": "SSU", "condition_rung": 57}, "none of"),
    ],
)
def test_wrong_requests_name_what_is_valid(planted_run, fields, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(WeaponSweep(**fields), "dose", n_builds=60)


def test_the_effect_vector_stands_on_all_contexts(planted_run):
    experiment = WeaponSweep(swap_contexts=20)
    _, setup = planted_run(experiment, "weapon_gate", n_builds=60)
    vector = experiment.effect_vector(setup)
    assert vector.differences.shape == (setup.weapons.size, len(setup.contexts))
    assert (~np.isnan(vector.differences)).sum(1).tolist() == [20] * setup.weapons.size
    np.testing.assert_allclose(np.nanmean(vector.differences, axis=1), vector.values)


def test_ordinary_weapons_lie_in_the_middle_and_are_left_out_of_their_own_reference():
    means = np.array([5.0, 0, 0, 1, 0])
    assert ordinary_weapons(means, 3).tolist() == [False, True, True, False, True]
    assert ordinary_weapons(means, None).all()
    values = np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(against(values, np.ones(3, bool))[:, 0], [1 - 3, 2 - 2.5, 4 - 1.5])
    weighted = against(values, np.ones(3, bool), np.array([1.0, 3.0, 1.0]))
    np.testing.assert_allclose(weighted[:, 0], [1 - 2.5, 2 - 2.5, 4 - 1.75])
    assert (against(np.full((5, 3), 0.1), np.array([True] * 3 + [False] * 2)) == 0).all()


def test_ordinary_weapons_are_chosen_where_they_are_not_compared(planted_run):
    from paribus.experiments.builds._effects import row_means

    experiment = WeaponSweep(swap_contexts=60, reference_weapons=3)
    _, setup = planted_run(experiment, "noisy", n_builds=60)
    swaps = swap_weapons(experiment, setup, None)
    (first, of_second), (second, of_first) = swaps._halves
    assert (first ^ second).all()
    assert not set(swaps.setup.cluster[first]) & set(swaps.setup.cluster[second])
    assert of_second.tolist() == ordinary_weapons(row_means(swaps.f[:, second]), 3).tolist()
    assert of_first.tolist() == ordinary_weapons(row_means(swaps.f[:, first]), 3).tolist()
    effects = swaps.effects()
    np.testing.assert_allclose(effects[:, first], against(swaps.f[:, first], of_second))
    np.testing.assert_allclose(effects[:, second], against(swaps.f[:, second], of_first))


def test_weapons_of_one_name_get_different_labels():
    weapons = Weapons(("weapon_id_40", "weapon_id_45", "weapon_id_41"))
    labels = weapon_labels(weapons)
    assert labels == ["Splattershot (weapon_id_40)", "Splattershot (weapon_id_45)", "Tentatek Splattershot"]


def test_groups_that_cannot_be_pooled_have_plain_means_and_no_interval():
    spec = StatsSpec(n_bootstrap=100)
    frame = pooled(np.array([1.0, 2, 3, 6]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), spec)
    assert frame["mean"].tolist() == [1.5, 4.5]
    assert frame["delta"].tolist() == [-3.0, 3.0]
    assert frame["ci_low"].isna().all()
    alone = pooled(np.array([1.0, 2]), np.array([0, 0]), np.array([0, 1]), spec)
    assert np.isnan(alone["rest_mean"].item())


def test_intervals_of_means_and_ratios_do_not_leave_the_range(planted_run):
    values = np.r_[np.zeros(12), np.tile([0.0, 0.0, 1.0, 2.0, 3.0], 30)]
    groups, clusters = np.r_[np.zeros(12, int), np.arange(150) // 30 + 1], np.arange(162)
    free = pooled(values, groups, clusters, StatsSpec())
    cut = pooled(values, groups, clusters, StatsSpec(), bounds=(0.0, np.inf))
    for name in ("ci_low", "ratio_low", "ratio_adj_low"):
        assert free[name].min() < 0 and cut[name].min() == 0
        assert (cut[name] >= free[name]).all()
    result, setup = planted_run(WeaponSweep(swap_contexts=20, min_examples=5), "weapon_gate", stats={"n_null": 0})
    frame = result.tables["weapon_stats"].frame
    free = pooled(setup.observed.f, setup.contexts.weapon.astype(int), setup.cluster, setup.stats).set_index("group")
    assert (free.loc[frame["weapon_index"], "ci_low"] < 0).any() and not (frame["ci_low"] < 0).any()


def test_a_quantity_without_a_range_keeps_its_interval(planted_run):
    setup = planted_run.setup("dose")
    assert setup.activation_bounds == (0.0, np.inf)
    setup.instrument.reader = Reader("unit", Units(3), 0)
    assert setup.activation_bounds is None
