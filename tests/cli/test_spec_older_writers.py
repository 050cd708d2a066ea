"""Specs as the older command line and its schema wrote them: nothing is dropped or changed without being said."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from paribus.cli.main import main
from paribus.config.compose import Composer
from paribus.errors import ConfigError
from paribus.experiments.builds.older import document, words
from paribus.results.io import from_json
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

WHOLE_SLICE = {
    "percentile_min": 0.0, "percentile_max": 100.0, "activation_threshold": None, "weapon_filter": None,
    "weapon_exclude": None, "family_filter": None, "sample_size": None, "random_seed": 42,
}  # fmt: skip
INTERACTIONS = {"candidate_tokens": None, "n_candidates": 20, "family_mode": False, "modulator_token": None}
VALIDATION = {"n_splits": 10, "n_shuffles": 100, "metric": "pagerank_correlation"}
TYPED_DEFAULTS = {
    "family_1d_sweep": {"family": "swim_speed_up", "rungs": None, "include_absent": True},
    "family_2d_heatmap": {
        "family_x": "swim_speed_up", "family_y": "quick_respawn", "rungs_x": None, "rungs_y": None, "base_weapon": None,
    },
    "frequent_itemsets": {
        "min_support": 0.05, "max_size": 4, "collapse_families": False, "condition_on": None,
        "high_activation_pct": 10.0,
    },
    "minimal_cores": {"retention_threshold": 0.5, "clamp_families": [], "exclude_families": [], "max_examples": 100},
    "pairwise_interactions": INTERACTIONS,
    "conditional_interactions": INTERACTIONS | {"modulator_token": "comeback"},
    "within_family_interference": {"family": None, "rungs": None},
    "split_half": VALIDATION,
    "shuffle_null": VALIDATION,
    "weapon_sweep": {"condition_family": None, "min_examples": 10, "top_k_weapons": 20},
    "weapon_group_analysis": {"high_percentile": 10.0, "low_percentile": 10.0},
    "kit_sweep": {"min_examples": 10, "top_k": 10, "analyze_combinations": False},
    "token_influence_sweep": {
        "min_samples": 50, "high_percentile": 0.995, "collapse_families": True, "suppressor_threshold": 0.8,
        "enhancer_threshold": 1.2,
    },
    "core_coverage_analysis": {
        "tokens_to_check": None, "top_k": 10, "coverage_threshold": 0.3, "include_weapons": True,
        "core_lower_pct": 0.25, "core_upper_pct": 0.75, "effective_max_percentile": 0.995,
    },
    "decoder_output_analysis": {
        "top_k_promoted": 15, "top_k_suppressed": 15, "group_by_family": True, "include_ap_level": True,
        "exclude_special_tokens": True,
    },
}  # fmt: skip
"""What the older schema writes where it writes every field out."""
COMMANDS = {
    "family_1d_sweep": {"family": "swim_speed_up", "rungs": [3, 6, 12], "include_absent": False},
    "weapon_sweep": {"top_k_weapons": 20, "min_examples": 10, "condition_family": None},
    "kit_sweep": {"top_k": 15, "min_examples": 10, "analyze_combinations": True},
    "binary_presence_effect": {
        "binary_tokens": ["comeback", "stealth_jump"], "primary_family": None, "min_samples": 20,
        "high_percentile": 90,
    },
    "core_coverage_analysis": {
        "tokens_to_check": ["swim_speed_up", "swim_speed_up_57", "comeback"], "coverage_threshold": 0.4,
        "include_weapons": True,
    },
    "token_influence_sweep": {"min_samples": 50, "high_percentile": 90, "collapse_families": True},
}  # fmt: skip
"""What the older subcommands write."""
IGNORED = {
    "pairwise_interactions": {"n_candidates", "family_mode"},
    "conditional_interactions": {"n_candidates", "family_mode"},
    "split_half": {"metric"},
    "shuffle_null": {"metric", "n_splits"},
    "token_influence_sweep": {"suppressor_threshold", "enhancer_threshold"},
    "core_coverage_analysis": {"top_k", "include_weapons"},
    "binary_presence_effect": {"min_samples", "high_percentile"},
}
GROUP_KEYS = {
    "data": ["n_builds=40", "partial=false", "contexts_per_build=3"],
    "slice": ["sample_size=9", "random_seed=7"],
    "constraints": ["max_ap_budget=soft"],
    "training": ["epochs=3"],
    "stats": ["n_null=7"],
    "device": ["batch_limit=64"],
    "tracking": ["heartbeat_seconds=3"],
}


def request_of(*extra, **changes):
    tree = {"id": "s", "feature_id": 0, "model_type": "planted", "dataset_slice": WHOLE_SLICE} | changes
    return words.request(document.parse(json.dumps(tree).encode()), extra=extra)


@pytest.fixture(scope="module")
def composer():
    return Composer()


def told_of(made, names):
    return {name for name in names if any(note.startswith(f"variables.{name}") for note in made.notes)}


@pytest.mark.parametrize("kind", TYPED_DEFAULTS)
def test_defaults_that_were_written_out_are_taken_or_said_to_be_ignored(kind, composer):
    made = request_of(type=kind, variables=TYPED_DEFAULTS[kind])
    assert composer.job(made.words).experiment.type == kind
    assert told_of(made, TYPED_DEFAULTS[kind]) == IGNORED.get(kind, set())


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_the_subcommands_write_is_taken_or_said_to_be_ignored(kind, composer):
    made = request_of(type=kind, variables=COMMANDS[kind])
    experiment = composer.job(made.words).experiment
    assert experiment.type == kind
    if kind == "core_coverage_analysis":
        assert experiment.tokens == COMMANDS[kind]["tokens_to_check"]
        assert experiment.coverage_threshold == 0.4
    if kind == "token_influence_sweep":
        assert (experiment.high_quantile, experiment.min_count, experiment.unit) == (0.9, 50, "family")
        assert told_of(made, COMMANDS[kind]) == {"high_percentile"}
    if kind == "binary_presence_effect":
        assert told_of(made, COMMANDS[kind]) == IGNORED[kind]


def test_two_counts_that_became_one_are_joined(composer):
    variables = {"top_k_promoted": 5, "top_k_suppressed": 25}
    made = request_of(type="decoder_output_analysis", variables=variables)
    assert composer.job(made.words).experiment.top_tokens == 25
    assert told_of(made, variables) == {"top_k_promoted"}


# Overrides ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUP_KEYS)
@pytest.mark.parametrize("prefix", ["", "++"])
def test_a_value_in_a_group_leaves_every_choice_as_it_is(group, prefix):
    real = {"type": "family_1d_sweep", "model_type": "full", "variables": {"family": "swim_speed_up"}}
    plain = request_of("model.path=F", **real)
    for key in GROUP_KEYS[group]:
        made = request_of("model.path=F", f"{prefix}{group}.{key}", **real)
        assert made.words == (*plain.words, f"{prefix}{group}.{key}")
        assert {"model=splatgpt", "model.variant=full", "data=builds_tokenized"} <= set(made.words)


def test_only_the_group_that_is_named_changes():
    real = {"type": "family_1d_sweep", "model_type": "full", "variables": {"family": "swim_speed_up"}}
    named = request_of("data=builds_statink", "data.path=X", "model.path=F", **real)
    assert "data=builds_tokenized" not in named.words
    assert {"model=splatgpt", "model.variant=full"} <= set(named.words)
    again = request_of("model=splatgpt", "model.path=F", **real)
    assert {"model.variant=full", "data=builds_tokenized"} <= set(again.words)
    other = request_of("model=set_completion_small", **real)
    assert not {"data=builds_tokenized", "model.variant=full", "model=splatgpt"} & set(other.words)
    assert any("model_type" in note and "set_completion_small" in note for note in other.notes)


def test_a_real_model_by_its_option_brings_its_data_too(composer):
    made = request_of(
        "model.path=F", type="family_1d_sweep", model_type="splatgpt", variables={"family": "swim_speed_up"}
    )
    job = composer.job(made.words)
    assert job.choices["data"] == "builds_tokenized"
    assert job.nodes["data"].path == "F"


@pytest.mark.parametrize("word", ["experiment=kit_sweep", "feature=threshold", "feature.id=5"])
def test_what_the_spec_is_about_cannot_be_changed_behind_its_back(word):
    with pytest.raises(ConfigError, match="the spec's (type|feature_id) says that"):
        request_of(word, type="family_1d_sweep", variables={"family": "swim_speed_up"})


# Weapons ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def artefacts(folder, weapons):
    """Write vocabularies and data as they lie beside a real checkpoint, with weapons in an order of their own."""
    tokens = Vocabulary.default().tokens
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(tokens)}))
    (folder / "weapon_vocab.json").write_text(json.dumps({name: i for i, name in enumerate(weapons)}))
    rng = np.random.default_rng(0)
    rows = [f"{sorted(rng.choice(100, 3, replace=False).tolist())}\t{int(rng.integers(5))}" for _ in range(30)]
    (folder / "tokenized_data.csv").write_text("\n".join(["ability_tags\tweapon_id", *rows]) + "\n")


def write(folder, **changes):
    tree = {"id": "s", "type": "family_1d_sweep", "feature_id": 0, "model_type": "planted"} | changes
    (folder / "spec.json").write_text(json.dumps({"variables": {"family": "swim_speed_up"}} | tree))
    return folder / "spec.json"


def test_a_number_is_an_index_of_the_vocabulary_of_the_model(folder, composer):
    from paribus.cli.verbs.spec import mapped

    shuffled = list(Weapons.default().names)
    random.Random(3).shuffle(shuffled)
    artefacts(folder, shuffled)
    sliced = {"weapon_filter": [7, 40], "weapon_exclude": [0], "family_filter": None}
    spec = write(folder, model_type="full", dataset_slice=sliced)
    _, made = mapped(spec, [f"model.path={folder}"], ())
    chosen = composer.job(made.words).nodes["slice"]
    assert chosen.weapon_filter == [shuffled[7], shuffled[40]]
    assert chosen.weapon_exclude == [shuffled[0]]
    assert sum("of the weapon vocabulary" in note for note in made.notes) == 3


def test_a_number_is_an_index_of_the_vocabulary_of_the_data(folder, composer):
    from paribus.cli.verbs.spec import mapped

    shuffled = list(Weapons.default().names)
    random.Random(4).shuffle(shuffled)
    artefacts(folder, shuffled)
    spec = write(folder, dataset_slice={"weapon_filter": 3})
    _, made = mapped(spec, ["data=builds_tokenized", f"data.path={folder}"], ())
    assert composer.job(made.words).nodes["slice"].weapon_filter == [shuffled[3]]
    _, made = mapped(spec, [], ())
    assert composer.job(made.words).nodes["slice"].weapon_filter == [Weapons.default().names[3]]


def test_a_base_weapon_is_an_index_too_and_a_text_is_a_name_or_game_id(composer):
    heatmap = {"family_x": "SSU", "family_y": "QR"}
    made = request_of(type="family_2d_heatmap", variables=heatmap | {"base_weapon": 64})
    assert composer.job(made.words).nodes["slice"].weapon_filter == ["weapon_id_2030"]
    made = request_of(type="family_2d_heatmap", variables=heatmap | {"base_weapon": "64"})
    assert composer.job(made.words).nodes["slice"].weapon_filter == ["64"]


def test_an_index_is_refused_where_only_the_run_knows_the_vocabulary(folder, capfd):
    spec = write(folder, model_type="tracked", dataset_slice={"weapon_filter": [3]})
    assert main(["spec", str(spec), "--dry-run", "model.run=latest"]) == 2
    assert "which only the trained run knows" in capfd.readouterr().err


def test_rungs_are_those_of_the_data_where_the_model_brings_none(folder):
    from paribus.cli.verbs.spec import mapped

    spec = write(folder, variables={"family": "swim_speed_up", "rungs": [10, 20]})
    _, made = mapped(spec, ["data.rungs=[3,10,20,30,40,50,57]"], ())
    assert "experiment.rungs=[10,20]" in made.words


# The result file ----------------------------------------------------------------------------------------------------


def test_the_result_file_names_feature_and_spec_and_says_what_was_ignored(folder, capfd):
    spec = write(
        folder, type="core_coverage_analysis", feature_id=1,
        variables={"tokens_to_check": ["swim_speed_up_12", "swim_speed_up", "comeback"], "include_weapons": True},
    )  # fmt: skip
    assert main(["spec", str(spec), "--output-dir", "out", "data.n_builds=60", "tracking=off", "stats=quick"]) == 0
    text = (folder / "out" / "s__f1__core-coverage-analysis.json").read_text()
    tree = json.loads(text)
    assert (tree["spec_id"], tree["feature_id"], tree["spec_path"]) == ("s", 1, str(spec))
    assert any("include_weapons: true is ignored" in warning for warning in tree["diagnostics"]["warnings"])
    assert "include_weapons: true is ignored" in capfd.readouterr().err
    result = from_json(text)
    shown = result.tables["core_coverage"].frame["token"].tolist()
    assert shown == ["swim_speed_up_12", "swim_speed_up", "comeback"]
