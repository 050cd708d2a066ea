"""`minimal_cores` on planted features: exactly the cores that brute force finds, and none where nothing is needed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds._removable_units import UNIT_NAMES, reference_weapons
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.minimal_cores.work import removable
from paribus.figures.draw import draw


def found_by_brute_force(setup, experiment, contexts, *, robust=False):
    """Every subset of every context, one state at a time, straight from the definition."""
    out = {}
    weapons = reference_weapons(setup, experiment.n_reference_weapons)
    complete = experiment.complete(setup, setup.contexts.states())
    units = removable(experiment, setup, complete)
    for context in contexts:
        names = [UNIT_NAMES[i] for i in np.flatnonzero(units[context])]

        def value(kept, context=context, names=names):
            gone = [name for name in names if name not in kept]
            states = setup.edits.remove_units(complete[[context]], [name for name in gone if name != "weapon"])
            if "weapon" in gone:
                states = setup.edits.swap_weapon(states, weapons)
            return setup.measure(states).f.mean()

        every = [frozenset(c) for size in range(len(names) + 1) for c in combinations(names, size)]
        values = {kept: value(kept) for kept in every}
        ok = {
            kept for kept in every if values[kept] >= experiment.retention_threshold * values[frozenset(names)] - 1e-6
        }
        if np.isnan(values[frozenset()]) and all(frozenset([name]) in ok for name in names):
            continue
        if robust:
            ok = {s for s in ok if all(t in ok or np.isnan(values[t]) for t in every if s < t)}
        out[context] = {s for s in ok if not any(t < s for t in ok)}
    return out


def found_by_experiment(result):
    """Core -> number of contexts, as in the table."""
    frame = result.tables["cores"].frame
    return {frozenset(core.split(" + ")): n for core, n in zip(frame["core"], frame["n_contexts"], strict=True)}


def counted(brute):
    out = {}
    for cores in brute.values():
        for core in cores:
            out[core] = out.get(core, 0) + 1
    return out


def analysed(result):
    return result.tables["contexts"].frame["context"].tolist()


@pytest.mark.parametrize("feature", ["threshold", "and", "or", "xor", "relu_sum", "saturating", "noisy"])
def test_the_cores_are_those_of_brute_force(planted_run, feature):
    threshold = 0.97 if feature == "noisy" else 0.8
    experiment = MinimalCores(top_fraction=0.3, max_contexts=6, max_cores=1000, retention_threshold=threshold)
    result, setup = planted_run(experiment, feature)
    found = found_by_experiment(result)
    assert found
    assert found == counted(found_by_brute_force(setup, experiment, analysed(result)))
    assert result.aggregates.custom["exhaustive_share"] == 1.0


def test_robust_cores_are_those_of_brute_force(planted_run):
    experiment = MinimalCores(top_fraction=0.3, max_contexts=6, robust=True, max_cores=1000, retention_threshold=0.97)
    result, setup = planted_run(experiment, "noisy")
    expected = found_by_brute_force(setup, experiment, analysed(result), robust=True)
    assert found_by_experiment(result) == counted(expected)
    assert max(len(core) for core in found_by_experiment(result)) > 1


@pytest.mark.parametrize(
    ("feature", "cores"),
    [
        ("threshold", {"special_charge_up"}),
        ("and", {"quick_respawn + special_saver"}),
        ("or", {"ink_saver_main", "ink_saver_sub"}),
        ("relu_sum", {"ink_recovery_up + run_speed_up"}),
        ("xor", {"intensify_action", "quick_super_jump", "sub_power_up"}),
        ("clamped_sum", {"ink_resistance_up", "sub_resistance_up"}),
    ],
)
def test_planted_cores_have_recall_and_precision_one(planted_run, feature, cores):
    result, _ = planted_run(MinimalCores(top_fraction=1.0), feature)
    assert set(result.tables["cores"].frame["core"]) == cores


def test_taking_a_core_away_is_judged_on_other_builds(planted_run):
    result, setup = planted_run(MinimalCores(top_fraction=1.0, max_contexts=30), "or", n_builds=500)
    frame = result.tables["core_effects"].frame.set_index("core")
    assert (frame["p_adj"] < 0.01).all()
    assert (frame["ci_low"] > 0).all()
    assert (frame["null_percentile"] > 90).all()
    used = set(result.tables["contexts"].frame["cluster"])
    others = setup.cluster[~np.isin(setup.cluster, list(used))]
    assert frame["n"].max() <= len(others)


def test_a_feature_that_needs_nothing_has_no_core(planted_run):
    result, _ = planted_run(MinimalCores(), "null")
    assert not len(result.tables["cores"].frame)
    assert result.aggregates.custom["indifferent_share"] == 1.0
    assert any("every unit alone" in warning for warning in result.diagnostics.warnings)


def test_with_the_empty_set_measured_the_core_is_nothing(planted_run):
    from paribus.subjects.builds.constraints import ConstraintsSpec

    result, _ = planted_run(MinimalCores(max_contexts=10), "null", constraints=ConstraintsSpec(keep_empty=True))
    assert result.tables["cores"].frame["core"].tolist() == ["(nothing)"]
    assert result.tables["cores"].frame["coverage"].tolist() == [1.0]


def test_clamped_families_stay_and_are_no_units(planted_run):
    result, _ = planted_run(MinimalCores(top_fraction=1.0, clamp_families=["QR"]), "and")
    assert set(result.tables["cores"].frame["core"]) == {"special_saver"}
    held, _ = planted_run(MinimalCores(top_fraction=1.0, stable_tokens=["quick_respawn_3"]), "and")
    assert set(held.tables["cores"].frame["core"]) == {"special_saver"}


def test_excluded_families_are_gone_from_every_state(planted_run):
    result, _ = planted_run(MinimalCores(top_fraction=1.0, exclude_families=["ISM"]), "or")
    assert set(result.tables["cores"].frame["core"]) == {"ink_saver_sub"}
    assert (result.tables["contexts"].frame["activation"] == 2.0).all()


def test_the_weapon_is_a_unit_where_it_opens_the_gate(planted_run):
    experiment = MinimalCores(top_fraction=1.0, include_weapon=True, max_contexts=4)
    result, setup = planted_run(experiment, "weapon_gate", n_builds=1500)
    assert set(result.tables["cores"].frame["core"]) == {"swim_speed_up + weapon"}
    assert found_by_experiment(result) == counted(found_by_brute_force(setup, experiment, analysed(result)))
    held, _ = planted_run(MinimalCores(include_weapon=True, max_contexts=4, stable_tokens=["SSU_6"]), "weapon_gate")
    assert held.tables["cores"].frame["core"].tolist() == ["weapon"]
    free, _ = planted_run(MinimalCores(top_fraction=1.0, include_weapon=True, max_contexts=6), "or")
    assert set(free.tables["cores"].frame["core"]) == {"ink_saver_main", "ink_saver_sub"}


def test_beyond_the_exact_limit_the_search_says_so(planted_run):
    result, _ = planted_run(MinimalCores(top_fraction=1.0, exact_units=1), "and")
    assert set(result.tables["cores"].frame["core"]) == {"quick_respawn + special_saver"}
    assert not result.tables["cores"].frame["exhaustive"].any()
    assert any("not exhaustive" in warning for warning in result.diagnostics.warnings)


def test_a_wide_beam_agrees_with_the_lattice(planted_run):
    exact, _ = planted_run(MinimalCores(top_fraction=1.0, max_contexts=20), "or")
    beam, _ = planted_run(MinimalCores(top_fraction=1.0, max_contexts=20, exact_units=1, beam_width=500), "or")
    assert found_by_experiment(beam) == found_by_experiment(exact)


def test_the_effect_vector_names_families_and_is_zero_for_null(planted_run):
    _, setup = planted_run(MinimalCores(max_contexts=2), "threshold")
    vector = MinimalCores().effect_vector(setup)
    assert vector.labels[int(np.argmax(vector.values))] == "special_charge_up"
    assert (np.delete(vector.values, vector.labels.index("special_charge_up")) == 0).all()
    assert vector.differences.shape == (len(vector.labels), len(setup.contexts))


def test_its_figures_can_be_drawn(planted_run):
    result, _ = planted_run(MinimalCores(top_fraction=1.0, max_contexts=20), "or")
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"clamp_families": ["swim_speed"]}, "swim_speed_up"),
        ({"clamp_families": ["SSU"], "exclude_families": ["SSU"]}, "choose one"),
        ({"stable_tokens": ["SSU_3"], "exclude_families": ["SSU"]}, "choose one"),
        ({"stable_tokens": ["SSU_4"]}, "rungs are"),
    ],
)
def test_wrong_requests_name_what_is_valid(planted_run, fields, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(MinimalCores(**fields), "or")


@pytest.mark.parametrize("value", [0.0, 90])
def test_fractions_are_fractions(value):
    with pytest.raises((ConfigError, ValueError)):
        MinimalCores(retention_threshold=value)
