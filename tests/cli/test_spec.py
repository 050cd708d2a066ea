"""``paribus spec``: specs of the older format are mapped, checked, run, and never write where they should not."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.config.compose import Composer
from paribus.errors import ConfigError
from paribus.experiments.builds.older import document, words
from paribus.results.io import from_json

SPECS = sorted((Path(__file__).parent / "specs").glob("*.json"))
SMALL = ["data.n_builds=40", "tracking=off", "stats=quick"]


def spec_of(**changes):
    made = {
        "id": "s1",
        "type": "family_1d_sweep",
        "feature_id": 0,
        "model_type": "planted",
        "variables": {"family": "special_charge_up"},
    }
    return {name: value for name, value in (made | changes).items() if value is not ...}


def request_of(*extra, rungs=words.DEFAULT_RUNGS, **changes):
    spec = document.parse(json.dumps(spec_of(**changes)).encode())
    return words.request(spec, extra=extra, known=words.Known(rungs))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def write(folder, **changes):
    path = folder / "spec.json"
    path.write_text(json.dumps(spec_of(**changes)))
    return str(path)


# The mapping ------------------------------------------------------------------------------------------------------


def test_there_is_an_example_of_every_type_with_every_field():
    assert {path.stem for path in SPECS} == set(document.TYPES)
    assert len(document.TYPES) == 16
    for path in SPECS:
        tree = json.loads(path.read_text())
        assert tree["type"] == path.stem
        assert set(document.FIELDS) - {"rungs"} <= set(tree)


@pytest.fixture(scope="module")
def composer():
    return Composer()


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_printed_line_equals_the_spec(path, composer):
    spec = document.read(path)
    made = words.request(spec)
    line = "paribus " + shlex.join(made.words)
    job = composer.job(shlex.split(line)[1:])
    tree = json.loads(path.read_text())
    assert job.experiment.type == tree["type"]
    assert job.nodes["feature"].id == tree["feature_id"]
    assert job.nodes["slice"].sample_size == 120
    assert job.nodes["slice"].weapon_exclude == ["weapon_id_2030"]
    assert not job.nodes["slice"].on_outcome
    assert job.nodes["constraints"].valid_gear_combinations == "hard"
    tags = job.nodes["tracking"].tags
    assert tags["parent_hypothesis"] == "h001"
    assert tags["description"] == tree["description"]
    assert tags["rationale"] == tree["rationale"]
    assert tags["spec"] == tree["id"]


OLDER_NAMES = [
    (
        "weapon_group_analysis",
        {"high_percentile": 10.0, "low_percentile": 25.0},
        {"high_quantile": 0.9, "low_quantile": 0.25},
    ),
    ("frequent_itemsets", {"high_activation_pct": 5.0}, {"high_quantile": 0.95}),
    ("token_influence_sweep", {"collapse_families": False, "min_samples": 7}, {"unit": "token", "min_count": 7}),
    ("within_family_interference", {"family": "SSU", "rungs": [12]}, {"families": ["SSU"], "rung": 12}),
    ("minimal_cores", {"max_examples": 9, "clamp_families": "SSU"}, {"max_contexts": 9, "clamp_families": ["SSU"]}),
    ("kit_sweep", {"top_k": 3}, {"top_k_groups": 3}),
    (
        "binary_presence_effect",
        {"binary_tokens": ["comeback"], "primary_family": "SSU", "primary_rungs": [0, 3]},
        {"abilities": ["comeback"], "primary_family": "SSU", "rungs": [3]},
    ),
    ("conditional_interactions", {"modulator_token": "SSU_12"}, {"modulator": "SSU_12"}),
]


@pytest.mark.parametrize(("kind", "given", "expected"), OLDER_NAMES, ids=[case[0] for case in OLDER_NAMES])
def test_older_names_of_variables_become_the_new_ones(kind, given, expected, composer):
    job = composer.job(request_of(type=kind, variables=given).words)
    assert {name: getattr(job.experiment, name) for name in expected} == expected


def test_family_mode_collapses_tokens(composer):
    given = {"candidate_tokens": ["swim_speed_up_3", "swim_speed_up_12", "comeback"], "family_mode": True}
    job = composer.job(request_of(type="pairwise_interactions", variables=given).words)
    assert job.experiment.candidates == ["swim_speed_up", "comeback"]


def test_a_base_weapon_narrows_the_contexts(composer):
    given = {"family_x": "QR", "family_y": "SS", "base_weapon": "2030"}
    job = composer.job(request_of(type="family_2d_heatmap", variables=given).words)
    assert job.nodes["slice"].weapon_filter == ["2030"]


def test_a_validation_without_target_validates_the_ranking_of_tokens(composer):
    made = request_of(type="split_half", variables={"n_splits": 20, "high_quantile": 0.9})
    job = composer.job(made.words)
    assert job.experiment.target.type == "token_influence_sweep"
    assert job.experiment.target.high_quantile == 0.9
    assert any("token_influence_sweep is validated" in note for note in made.notes)


def test_constraints_by_name_are_hard_and_levels_are_taken(composer):
    job = composer.job(request_of(constraints=["avoid_ood_token_combinations"]).words)
    assert job.nodes["constraints"].avoid_ood_token_combinations == "hard"
    assert job.nodes["constraints"].max_ap_budget == "hard"
    job = composer.job(request_of(constraints={"max_ap_budget": False, "on_violation": "warn"}).words)
    assert job.nodes["constraints"].max_ap_budget == "off"
    assert job.nodes["constraints"].on_violation == "warn"


def test_an_unknown_rung_is_an_error_that_names_the_nine():
    with pytest.raises(ConfigError, match=r"no rung 35; the rungs are 3, 6, 12, 15, 21, 29, 38, 51, 57 "):
        request_of(variables={"family": "SSU", "rungs": [3, 35]})
    with pytest.raises(ConfigError, match=r"no rung 41; .* 3, 10, 20"):
        request_of(variables={"family": "SSU", "rungs": [41]}, rungs=(3, 10, 20, 30, 40, 50, 57))
    with pytest.raises(ConfigError, match="variables.stable_tokens: there is no rung 48"):
        request_of(variables={"family": "SSU", "stable_tokens": ["quick_respawn_48"]})


def test_rungs_nearest_maps_them_with_a_warning(composer):
    given = {"family": "SSU", "rungs": [3, 35, 41, 54], "stable_tokens": ["QR_5"]}
    spec = document.parse(json.dumps(spec_of(variables=given, rungs="nearest")).encode())
    made = words.request(spec)
    job = composer.job(made.words)
    assert job.experiment.rungs == [3, 38, 51]
    assert job.experiment.stable_tokens == ["QR_6"]
    assert sum("is taken instead" in note for note in made.notes) == 4
    among = document.parse(json.dumps(spec_of(variables={"family": "SSU", "rungs": "nearest"})).encode())
    assert among.nearest_rungs
    assert "rungs" not in among.variables


def test_main_only_families_have_one_rung(composer):
    given = {"family_x": "ninja_squid", "family_y": "SSU", "rungs_x": [10]}
    job = composer.job(request_of(type="family_2d_heatmap", variables=given).words)
    assert job.experiment.rungs_x == [10]


def test_real_models_need_their_folder_and_bring_their_data():
    with pytest.raises(ConfigError, match="model_type=ultra: .* add model.path=FOLDER"):
        request_of(model_type="ultra")
    made = request_of("model.path=/somewhere", model_type="full")
    assert {"model=splatgpt", "model.variant=full", "data=builds_tokenized"} <= set(made.words)
    assert made.words[-1] == "model.path=/somewhere"


def test_rungs_are_those_of_the_vocabulary_that_a_real_model_brings(folder):
    from paribus.cli.verbs.spec import mapped
    from paribus.subjects.builds.vocabulary import Vocabulary

    tokens = Vocabulary.default((3, 10, 20, 30, 40, 50, 57)).tokens
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(tokens)}))
    (folder / "weapon_vocab.json").write_text(json.dumps({"weapon_id_40": 0, "weapon_id_50": 1}))
    given = {"family": "SSU", "rungs": [3, 20]}
    path = Path(write(folder, model_type="full", variables=given))
    _, made = mapped(path, [f"model.path={folder}"], ())
    assert "experiment.rungs=[3,20]" in made.words
    path = Path(write(folder, model_type="full", variables={"family": "SSU", "rungs": [12]}))
    with pytest.raises(ConfigError, match="there is no rung 12; the rungs are 3, 10, 20, 30, 40, 50, 57"):
        mapped(path, [f"model.path={folder}"], ())


WRONG = {
    "unknown field": (dict(feature=3), "\"feature\": unknown field; did you mean 'feature_id'"),
    "no type": (dict(type=...), "type: a value is needed"),
    "unknown type": (dict(type="family_1d_swep"), "did you mean 'family_1d_sweep'"),
    "type of ours that is none of theirs": (dict(type="train_sae"), "type: no such experiment type"),
    "feature as text": (dict(feature_id="12"), "feature_id: wants a whole number"),
    "negative feature": (dict(feature_id=-1), "feature_id: wants a whole number"),
    "feature as truth value": (dict(feature_id=True), "feature_id: wants a whole number"),
    "huge feature": (dict(feature_id=10**30), "too large"),
    "no model": (dict(model_type=...), "model_type: a value is needed"),
    "unknown model": (dict(model_type="ultr"), "did you mean 'ultra'"),
    "variables as list": (dict(variables=[]), "variables: wants an object"),
    "unknown variable": (dict(variables={"famly": "SSU"}), "variables.famly: unknown; did you mean 'family'"),
    "missing variable": (dict(variables={}), "variables.family: a value is needed"),
    "variable of wrong type": (dict(variables={"family": ["SSU"]}), "variables.family: wants a name or text"),
    "choice of none": (dict(variables={"family": "SSU", "support": "al"}), "variables.support: no such choice"),
    "unknown slice": (dict(dataset_slice={"percentile": 3}), "dataset_slice.percentile: unknown key"),
    "slice out of range": (
        dict(dataset_slice={"percentile_min": 101}),
        "dataset_slice.percentile_min: must be at most",
    ),
    "slice the wrong way": (dict(dataset_slice={"percentile_min": 50, "percentile_max": 10}), "must be below"),
    "unknown constraint": (dict(constraints=["one_rung"]), "constraints.one_rung: unknown key"),
    "constraint level": (dict(constraints={"max_ap_budget": "hart"}), "did you mean 'hard'"),
    "unknown output": (dict(outputs={"tabels": True}), "outputs: no such part \"tabels\"; did you mean 'tables'"),
    "output of wrong type": (dict(outputs={"tables": 1}), "outputs.tables: wants true or false"),
    "text of wrong type": (dict(description=["a"]), "description: wants a text"),
    "control characters": (dict(rationale="a\x1b[2Jb"), "U\\+001B"),
    "half a character": (dict(rationale="\ud800"), "U\\+D800"),
    "long text": (dict(rationale="x" * 6000), "6000 characters"),
    "no counterpart": (
        dict(type="frequent_itemsets", variables={"condition_on": "comeback"}),
        "condition_on: is not supported: .*family_filter",
    ),
    "several rungs where one is taken": (
        dict(type="within_family_interference", variables={"family": "SSU", "rungs": [3, 6]}),
        "one value a run",
    ),
    "a percent that may mean either end": (
        dict(type="token_influence_sweep", variables={"high_percentile": 10}),
        "a fraction such as 0.9 or a percent above 50",
    ),
    "a percent of the other end": (
        dict(type="weapon_group_analysis", variables={"high_percentile": 90}),
        "a share of the contexts in percent, above 0 and at most 50",
    ),
    "an index that is none": (dict(dataset_slice={"weapon_filter": [2030]}), "no index of .* 0 to 129; a game id"),
    "a token to check that is none": (
        dict(type="core_coverage_analysis", variables={"tokens_to_check": ["swim_speed"]}),
        "experiment.tokens: no ability token 'swim_speed'.* did you mean",
    ),
    "target without a vector": (
        dict(type="split_half", variables={"target": "decoder_output_analysis"}),
        "declares no effect vector",
    ),
    "target that is none": (dict(type="split_half", variables={"target": "nothing"}), "variables.target: no such type"),
    "metric": (dict(type="split_half", variables={"metric": "rank_overlap"}), "metric: .* is not supported"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_specs_are_refused_in_one_line_and_leave_nothing(case, folder, capfd):
    changes, message = WRONG[case]
    path = write(folder, **changes)
    assert main(["spec", path, "--output-dir", "out"]) == 2
    error = capfd.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert [each.name for each in folder.iterdir()] == ["spec.json"]


TRICKS = [
    *("../up", "/abs", "a/b", "a\\b", "..", ".", "", ".hidden", "a..b", "a.", "x" * 101),
    *("a\n", "a\0", "con:", "ä", "~", "$HOME", 7, ["a"]),
]


@pytest.mark.parametrize("name", TRICKS)
def test_tricks_in_the_id_are_refused(name, folder, capfd):
    assert main(["spec", write(folder, id=name), "--output-dir", "out"]) == 2
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert [each.name for each in folder.iterdir()] == ["spec.json"]
    assert sorted(each.name for each in folder.parent.iterdir()) == ["work"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"3", b"{} {}", b"\xff\xfe{}", b'{"id": NaN}', b'{"id": 1e999}', b"[" * 100_000,
     b'{"id": ' + b"9" * 6000 + b"}", b'{"a": ' * 2000, b'{"type": "x", "type": "y"}', b" " * (2 << 20), b"\x00"],
)  # fmt: skip
def test_what_is_no_spec_is_refused(raw, folder, capfd):
    (folder / "spec.json").write_bytes(raw)
    assert main(["spec", "spec.json"]) == 2
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_missing_files_and_wrong_words_are_refused(folder, capfd):
    (folder / "a_folder.json").mkdir()
    path = write(folder)
    for arguments in ([], ["no.json"], ["a_folder.json"], ["no\0.json"], [path, "nonsense"], [path, "--output"]):
        assert main(["spec", *arguments]) == 2
        assert capfd.readouterr().err.count("\n") == 1
    assert main(["spec", path, "no.such=1"]) == 2
    assert "no" in capfd.readouterr().err


# Running ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_prints_the_line_and_leaves_nothing(folder, capfd):
    path = write(folder, description="it's")
    assert main(["spec", path, "--dry-run", "--output-dir", "out", *SMALL]) == 0
    out = capfd.readouterr().out
    line = out.splitlines()[0]
    assert line.startswith("paribus experiment=family_1d_sweep model=planted")
    assert "+tracking.tags.description=it's" in [word.replace("'it\\'s'", "it's") for word in shlex.split(line)]
    assert "Nothing was run" in out
    assert [each.name for each in folder.iterdir()] == ["spec.json"]


def test_names_only_the_data_know_are_looked_up(folder, capfd):
    assert main(["spec", write(folder, feature_id=4000), "--dry-run", *SMALL]) == 2
    assert "feature.id=4000" in capfd.readouterr().err
    assert main(["spec", write(folder, variables={"family": "swim_speed"}), "--dry-run", *SMALL]) == 2
    assert "did you mean 'swim_speed_up'" in capfd.readouterr().err


def test_a_spec_runs_and_its_result_file_holds_what_it_asks_for(folder, capfd):
    path = write(
        folder,
        id="first.try",
        variables={"family": "SCU", "rungs": [0, 12, 30], "placebo_contexts": 0},
        outputs={"figures": False, "diagnostics": False},
        parent_hypothesis="h7: it's ${odd} \\ 'quoted'\\",
        rungs="nearest",
    )
    (folder / "out").mkdir()
    outside = folder / "outside.json"
    outside.write_text("mine")
    (folder / "out" / "first.try__f0__family-1d-sweep.json").symlink_to(outside)
    assert main(["spec", path, "--output-dir", "out", *SMALL]) == 0
    captured = capfd.readouterr()
    assert "no rung 30, 29 is taken instead" in captured.err
    written = folder / "out" / "first.try__f0__family-1d-sweep.json"
    assert [each.name for each in (folder / "out").iterdir()] == [written.name]
    assert outside.read_text() == "mine"
    result = from_json(written.read_text())
    assert result.spec_id == "first.try"
    assert result.success
    assert result.tables["rung_deltas"].frame["rung"].tolist() == [0, 12, 29]
    assert result.figures == ()
    assert result.diagnostics.n_contexts_tested == 0
    assert result.config["tracking"]["tags"]["parent_hypothesis"] == "h7: it's ${odd} \\ 'quoted'\\"


def test_an_output_folder_that_is_none_is_refused_before_the_run(folder, capfd):
    (folder / "taken").write_text("")
    assert main(["spec", write(folder), "--output-dir", "taken/out", *SMALL]) == 2
    assert "--output-dir" in capfd.readouterr().err
    assert not (folder / "multirun").exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_examples_run(path, folder, capfd, undrawn_figures):
    assert main(["spec", str(path), "--output-dir", "out", *SMALL]) == 0, capfd.readouterr().err
    (written,) = (folder / "out").iterdir()
    result = from_json(written.read_text())
    feature, dashes = json.loads(path.read_text())["feature_id"], path.stem.replace("_", "-")
    assert written.name == f"example_{path.stem}__f{feature}__{dashes}.json"
    assert result.experiment_type == path.stem
    assert result.success
    assert result.tables
    assert all(table.evidence for table in result.tables.values())


# Saving as an option -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_saved_spec_composes_to_the_same_identity(path, folder, capsys):
    from paribus.config.compose import jobs
    from paribus.running.identify import identify
    from paribus.running.request import from_job
    from paribus.running.resolved import Resolved

    small = ["model=planted", "data.n_builds=40"]
    assert main(["spec", str(path), "--save", "mine", *small]) == 0
    line, saved = capsys.readouterr().out.splitlines()[-2:]
    assert saved == "Saved: conf/study/mine.yaml; paribus --config-dir conf study=mine runs it"
    (one,), (other,) = jobs(shlex.split(line)[1:]), jobs(["study=mine"], config_dirs=["conf"])
    assert identify(Resolved(from_job(one), None)) == identify(Resolved(from_job(other), None))
    assert one.nodes["tracking"].tags == other.nodes["tracking"].tags
    assert not (folder / "mlruns").exists() and not (folder / "multirun").exists()


def test_a_saved_name_stays_in_its_folder_and_replaces_nothing(folder, capsys):
    spec = write(folder)
    assert main(["spec", spec, "--save", "../mine"]) == 2
    assert "letters, digits, _ and - only" in capsys.readouterr().err
    assert main(["spec", spec, "--save", "mine"]) == 0
    assert main(["spec", spec, "--save", "mine"]) == 0, "the same again"
    before = (folder / "conf" / "study" / "mine.yaml").read_text()
    assert main(["spec", spec, "--save", "mine", "seed=4"]) == 2
    assert "is there already and says something else" in capsys.readouterr().err
    assert (folder / "conf" / "study" / "mine.yaml").read_text() == before


def test_a_wrong_spec_saves_nothing(folder, capsys):
    spec = write(folder, variables={"family": "no_such_family"})
    assert main(["spec", spec, "--save", "mine"]) == 2
    assert not (folder / "conf").exists()
