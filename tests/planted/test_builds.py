"""Every experiment type on builds, through the real command line and a real store: finds what is planted, nothing else.

Features are those of ``model=planted``; all runs stand in one store, as a user's would.
"""

from __future__ import annotations

import os
import shutil

import pytest

from paribus.cli.main import main

SETTINGS = ["model=planted", "stats.n_bootstrap=400", "stats.n_permutations=999", "stats.n_null=20"]
SIZE = ["data.n_builds=300", "tracking.experiment=truth"]
LEVEL = 0.05
pytestmark = pytest.mark.usefixtures("undrawn_figures")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, migrated_database):
    """Return ``measured(type, feature, *words)``: the result as the store has it; each request is run once."""
    from paribus.tracking import local
    from paribus.tracking.opening import open_store
    from paribus.tracking.relocate import relocate
    from paribus.tracking.spec import TrackingSpec

    folder, before = tmp_path_factory.mktemp("truth"), os.getcwd()
    shutil.copy2(migrated_database, folder / local.DATABASE)
    os.chdir(folder)
    relocate(folder)
    kept, seen = {}, set()

    def run(kind, feature, *words):
        key = (kind, feature, *words)
        if key not in kept:
            assert main([f"experiment={kind}", f"feature={feature}", *SETTINGS, *SIZE, *words]) == 0
            store = open_store(TrackingSpec(experiment="truth"), writing=False)
            (new,) = [found for found in store.runs() if found.run_id not in seen]
            assert new.status == "FINISHED" and new.tags["experiment_type"] == kind
            seen.add(new.run_id)
            kept[key] = store.result(new.run_id)
        return kept[key]

    yield run
    os.chdir(before)


def named(result, table, column, p="p_adj"):
    """Return what a table calls significant."""
    frame = result.tables[table].frame
    return set(frame.loc[frame[p] <= LEVEL, column])


@pytest.mark.parametrize(
    ("feature", "family", "rung"),
    [
        *(("threshold", "SCU", 29), ("dose", "SSU", 3), ("saturating", "IRU", 3), ("suppression", "SPU", 3)),
        *(("threshold", "SSU", None), ("dose", "QR", None), ("null_feature", "SCU", None), ("source", "SSU", None)),
    ],
)
def test_family_1d_sweep_finds_the_rung_from_which_on_a_family_works(measured, feature, family, rung):
    result = measured("family_1d_sweep", feature, f"experiment.family={family}")
    assert result.aggregates.custom["threshold_rung"] == rung
    frame = result.tables["rung_deltas"].frame
    if rung is None:
        assert (frame["mean_delta"].dropna() == 0).all()
        assert (frame.loc[frame["p"].notna(), "p"] == 1).all()
    else:
        below = frame[(frame["rung"] > 0) & (frame["rung"] < rung)]
        assert (below["mean_delta"] == 0).all() and (below["p"] == 1).all()
        from_there = frame[(frame["rung"] >= rung) & frame["p"].notna()]
        assert len(from_there) and (from_there["p_adj"] <= LEVEL).all()


@pytest.mark.parametrize(
    ("feature", "x", "y", "interacts", "in_z"),
    [
        ("and", "QR", "SS", True, True),
        ("or", "ISM", "ISS", True, True),
        ("relu_sum", "RSU", "IRU", True, False),
        ("dose", "SSU", "QR", False, False),
        ("and", "QR", "SSU", False, False),
    ],
)
def test_family_2d_heatmap_shows_interactions_and_their_sign(measured, feature, x, y, interacts, in_z):
    words = (f"experiment.family_x={x}", f"experiment.family_y={y}", "experiment.rungs_x=[3,12]")
    frame = measured("family_2d_heatmap", feature, *words, "experiment.rungs_y=[3,12]").tables["heatmap"].frame
    inner = frame[frame["interaction"].notna()]
    assert len(inner) == 4
    assert (inner["p_adj"] <= LEVEL).all() if interacts else (inner["interaction"] == 0).all()
    assert (inner["p_adj_z"] <= LEVEL).all() if in_z else (inner["interaction_z"].abs() < 1e-6).all()
    if interacts:
        assert (inner["interaction"] > 0).all() == (feature != "or")


def test_binary_presence_effect_names_ninja_squid_and_no_other(measured):
    custom = measured("binary_presence_effect", "suppression").aggregates.custom
    assert custom["suppressing"] == ["ninja_squid"] and custom["enhancing"] == []
    nothing = measured("binary_presence_effect", "null_feature").tables["binary_effects"].frame
    assert (nothing["mean_delta"].dropna() == 0).all() and (nothing["p"].dropna() == 1).all()


@pytest.mark.parametrize(
    ("feature", "cores"),
    [
        ("threshold", {"special_charge_up"}),
        ("and", {"quick_respawn + special_saver"}),
        ("or", {"ink_saver_main", "ink_saver_sub"}),
    ],
)
def test_minimal_cores_are_exactly_those_planted(measured, feature, cores):
    frame = measured("minimal_cores", feature).tables["cores"].frame
    assert set(frame["core"]) == cores


def test_a_core_can_need_the_weapon(measured):
    frame = measured("minimal_cores", "weapon_gate", "experiment.include_weapon=true").tables["cores"].frame
    assert {frozenset(core.split(" + ")) for core in frame["core"]} == {frozenset(["swim_speed_up", "weapon"])}


PAIRS = "experiment.candidates=[QR,SS,ISM,ISS,IRU,RSU]"


@pytest.mark.parametrize(
    ("feature", "pair", "label"),
    [
        ("and", {"quick_respawn", "special_saver"}, "synergy"),
        ("or", {"ink_saver_main", "ink_saver_sub"}, "redundancy"),
        ("relu_sum", {"ink_recovery_up", "run_speed_up"}, "output_nonlinearity"),
        ("saturating", set(), None),
        ("null_feature", set(), None),
    ],
)
def test_pairwise_interactions_have_the_right_label(measured, feature, pair, label):
    result = measured("pairwise_interactions", feature, PAIRS)
    frame = result.tables["interactions"].frame
    found = frame[frame["label"] != "none"]
    assert [{a, b} for a, b in zip(found["token_a"], found["token_b"], strict=True)] == ([pair] if pair else [])
    assert found["label"].tolist() == ([label] if label else [])
    assert len(result.tables["synergies"].frame) == (label == "synergy")
    assert len(result.tables["redundancies"].frame) == (label == "redundancy")
    rest = frame[frame["label"] == "none"]
    assert (rest["interaction_activation"] == 0).all() and (rest["p"] == 1).all()


def test_xor_shows_at_third_order(measured):
    words = "experiment.candidates=[IA,QSJ,SubPU,SSU]"
    triples = measured("pairwise_interactions", "xor", words).tables["triples"].frame
    real = triples[triples["label"] == "third_order"]
    assert real["triple"].tolist() == ["intensify_action x quick_super_jump x sub_power_up"]
    assert (triples.drop(real.index)["label"] == "none").all()
    changed = (
        measured("conditional_interactions", "xor", "experiment.candidates=[IA,QSJ,SSU]", "experiment.modulator=SubPU")
        .tables["conditional_interactions"]
        .frame.set_index("pair")
    )
    assert changed.loc["intensify_action x quick_super_jump", "label"] == "third_order"
    others = changed.drop("intensify_action x quick_super_jump")
    assert (others["label"] == "none").all() and (others["third_difference"] == 0).all()


def test_conditional_interactions_do_not_name_a_bystander(measured):
    frame = (
        measured("conditional_interactions", "and", "experiment.candidates=[QR,SS,ISM]", "experiment.modulator=SSU")
        .tables["conditional_interactions"]
        .frame
    )
    assert (frame["label"] == "none").all() and (frame["third_difference"] == 0).all()


@pytest.mark.parametrize("feature", ["threshold", "dose", "saturating", "and", "null_feature"])
def test_no_lower_rung_interferes(measured, feature):
    words = "experiment.families=[SCU,SSU,QR,IRU]"
    frame = measured("within_family_interference", feature, words).tables["interference"].frame
    assert (frame["mean_delta"].dropna() == 0).all() and (frame["p"].dropna() == 1).all()


@pytest.mark.parametrize(
    ("feature", "drivers"), [("and", {"quick_respawn", "special_saver"}), ("dose", {"swim_speed_up"})]
)
def test_frequent_itemsets_are_confirmed_only_where_a_driver_is_in_them(measured, feature, drivers):
    custom = measured(
        "frequent_itemsets", feature, "experiment.confirm=true", "experiment.max_size=2"
    ).aggregates.custom
    assert custom["confirmed"]
    assert all(any(driver in itemset for driver in drivers) for itemset in custom["confirmed"])


def test_weapons_that_only_correlate_have_no_effect(measured):
    result = measured("weapon_sweep", "dose", "data.n_builds=2500", "data.confounding=1.0")
    swaps = result.tables["weapon_swaps"].frame
    assert (swaps["mean_delta"] == 0).all() and (swaps["p"] == 1).all()
    observed = result.tables["weapon_stats"].frame
    assert (observed["p_adj"] <= LEVEL).any(), "weapons and abilities come together in this corpus"
    assert swaps["confounding_gap"].abs().max() > 0.2
    assert result.tables["weapon_stats"].evidence.value == "observational"


def gates():
    """Return the weapons whose special opens the gate."""
    from paribus.subjects.builds.models.nets.planted import GATE_SPECIAL
    from paribus.subjects.builds.weapons import Weapons

    return GATE_SPECIAL, {weapon.name for weapon in Weapons.default().weapons if weapon.special == GATE_SPECIAL}


def test_weapons_and_kits_that_open_the_gate_are_found(measured):
    special, weapons = gates()
    assert set(measured("weapon_sweep", "weapon_gate").aggregates.custom["weapons_beyond"]) == weapons
    kits = measured("kit_sweep", "weapon_gate").aggregates.custom
    assert kits["specials_beyond"] == [special] and kits["subs_beyond"] == []
    nothing = measured("kit_sweep", "dose").tables["special_swaps"].frame
    assert (nothing["mean_delta"] == 0).all()


def test_weapon_groups_observe_the_gate_and_say_that_they_only_observe(measured):
    result = measured("weapon_group_analysis", "weapon_gate", "experiment.min_examples=5")
    assert {result.evidence.value, *(t.evidence.value for t in result.tables.values())} == {"observational"}
    enriched = set(result.aggregates.custom["enriched"])
    assert enriched and enriched <= gates()[1]
    constant = measured("weapon_group_analysis", "null_feature").aggregates.custom
    assert constant["enriched"] == constant["depleted"] == []


@pytest.mark.parametrize(
    ("feature", "unit", "drivers"),
    [
        ("threshold", "token", {"special_charge_up_29"}),
        ("saturating", "family", {"ink_recovery_up"}),
        ("null_feature", "family", set()),
    ],
)
def test_token_influence_sweep_tells_drivers_from_what_only_goes_along(measured, feature, unit, drivers):
    words = (f"experiment.unit={unit}", "experiment.high_quantile=0.9")
    result = measured("token_influence_sweep", feature, *words)
    assert set(result.aggregates.custom["drivers"]) == drivers
    assert not result.aggregates.custom["inhibitors"]


def test_core_coverage_confirms_the_driver_only(measured):
    words = ("experiment.unit=family", "experiment.confirm=true")
    assert measured("core_coverage_analysis", "dose", *words).aggregates.custom["confirmed_drivers"] == [
        "swim_speed_up"
    ]
    assert not measured("core_coverage_analysis", "source", *words).aggregates.custom["confirmed_drivers"]


def test_decoder_output_is_what_the_weights_predict(measured):
    result = measured("decoder_output_analysis", "threshold")
    effects = result.tables["family_effects"].frame
    assert effects.loc[effects["mean_centred"].idxmax(), "family"] == "special_charge_up"
    changes = result.tables["logit_changes"].frame
    assert (changes["predicted_delta"] - changes["mean_delta"]).abs().max() < 1e-4


@pytest.mark.parametrize("kind", ["split_half", "shuffle_null"])
@pytest.mark.parametrize(("feature", "passes"), [("dose", True), ("noisy", False)])
def test_validation_passes_what_is_planted_and_fails_noise(measured, kind, feature, passes):
    result = measured(kind, feature, "experiment.target.family=SSU")
    assert result.aggregates.custom["passed"] is passes
