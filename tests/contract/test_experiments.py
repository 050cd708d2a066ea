"""What every experiment type must keep, whatever it asks: run through the real request, kept in a real store.

Types on builds are asked for as in the golden tables, so that one run serves both. A new type is covered by being
shipped; it needs a line in the golden cases only if it has required variables.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch

import paribus
from paribus.cli.main import main
from paribus.config import catalogue
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.difference import DIFFERENT, SAME
from paribus.results.evidence import Evidence
from paribus.results.io import from_json, to_json
from paribus.running.reproduce import reproduce
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

IMAGES = ["stats=quick", "stats.n_null=20"]
TRAINED = ["model=tracked", "checkpoint=final"]
_SPEC = importlib.util.spec_from_file_location("golden_runs", Path(__file__).parents[1] / "golden" / "golden.py")
golden = importlib.util.module_from_spec(_SPEC)
sys.modules["golden_runs"] = golden
_SPEC.loader.exec_module(golden)
pytestmark = pytest.mark.usefixtures("undrawn_figures")  # each is drawn below
ESTABLISHED = {
    "{}": ("mean_delta", "interaction", "interaction_activation", "third_difference", "delta"),
    "{}_z": ("interaction_z", "interaction_preactivation", "third_difference_z"),
    "own_{}": ("own_delta",),
    "causal_{}": ("causal_delta",),
}
"""How the columns are named that a verdict is read from, and what it is about."""
TRAININGS = {"train_classifier", "train_modular_addition", "train_set_completion", "train_sae"}
OTHERS = {"sequence", "compare", "compare_features", "compare_interventions", "compare_modular_addition", *TRAININGS}


def experiment_types(subject):
    found = {}
    for option in catalogue.options("experiment"):
        cls = option.load()
        if cls.subject == subject and cls.type not in OTHERS:
            found[cls.type] = cls
    return found


COMPARED = ("activation_steering", "domain_swap", "probe_trajectory", "subspace_ablation")
"""Types with endpoints that comparisons over runs are about."""
BUILD_TYPES, IMAGE_TYPES, ANY_TYPES = (experiment_types(subject) for subject in ("builds", "images", "any"))
TOKEN_TYPES = experiment_types("tokens")
ELSEWHERE = {name: BUILD_TYPES[name.partition(".")[0]] for name in golden.declared.ELSEWHERE}
"""Types on builds, where they are about a network that knows none."""
EVERY_TYPE = {**BUILD_TYPES, **IMAGE_TYPES, **TOKEN_TYPES, **ANY_TYPES, **ELSEWHERE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, migrated_database):
    """One working folder with one trained classifier, for all experiments of this module."""
    import os
    import shutil

    from paribus.tracking import local
    from paribus.tracking.relocate import relocate

    place, before = tmp_path_factory.mktemp("contract"), os.getcwd()
    shutil.copy2(migrated_database, place / local.DATABASE)
    os.chdir(place)
    relocate(place)
    small = ["data.n_train=90", "data.n_eval=60", "data.eval_renderings=1", "training.epochs=2"]
    trained = paribus.run(["experiment=train_classifier", *small, "training.n_checkpoints=1", *IMAGES])
    yield place, trained
    os.chdir(before)


def asked(name):
    """Return the words that ask for a type on builds, on the planted model, or for a golden case by its name."""
    if name in ELSEWHERE:
        return golden.declared.cases()[name]
    if name in (*golden.declared.BUILD_TYPES, *golden.declared.ANY_TYPES):
        return golden.declared.builds_words(name, "planted")
    if name in (*TOKEN_TYPES, *golden.declared.HEAD_TYPES, *golden.declared.LATENT_TYPES):
        return golden.declared.token_words(name)
    return [f"experiment={name}", "feature=dose", *golden.declared.BUILDS]


@pytest.fixture(scope="module")
def results(folder):
    """Return ``result(type)``: each experiment is run once."""
    kept = {}

    def result(name):
        if name not in kept:
            if name in IMAGE_TYPES or name == "probe":
                words = [f"experiment={name}", *TRAINED, *IMAGES]
            else:
                words = [word for word in asked(name) if word != "tracking=off"]
            kept[name] = paribus.run(words)
        return kept[name]

    return result


@pytest.mark.parametrize("name", sorted(EVERY_TYPE))
class TestEveryExperiment:
    def test_says_what_it_is(self, name):
        cls = EVERY_TYPE[name]
        assert isinstance(cls.evidence, Evidence)
        assert len(cls.summary) > 10
        assert cls.version >= 1
        assert {"data", "model"} <= set(cls.needs)

    def test_succeeds_and_carries_its_evidence_on_every_table(self, name, results):
        result = results(name)
        assert result.success
        assert result.experiment_type == name.partition(".")[0]
        assert result.tables
        for key, table in result.tables.items():
            assert key == table.name
            assert re.fullmatch(r"[a-z0-9_]+", key)
            assert isinstance(table.evidence, Evidence)
            assert len(table.description) > 15
            assert table.frame.columns.is_unique
        assert any(table.evidence == result.evidence for table in result.tables.values())

    def test_reads_back_without_loss(self, name, results):
        result = results(name)
        text = to_json(result)
        json.loads(text, parse_constant=pytest.fail)
        again = from_json(text)
        assert to_json(again) == text
        for key, table in result.tables.items():
            assert list(again.tables[key].frame.columns) == list(table.frame.columns)
            assert len(again.tables[key].frame) == len(table.frame)

    def test_probabilities_and_intervals_are_possible(self, name, results):
        for table in results(name).tables.values():
            frame = table.frame
            for column in frame.columns:
                if (column == "p" or column.startswith("p_")) and frame[column].dtype.kind == "f":
                    values = frame[column].dropna()
                    assert ((values > 0) & (values <= 1)).all(), f"{table.name}.{column}"
            if {"p", "p_adj"} <= set(frame.columns):
                both = frame[["p", "p_adj"]].dropna()
                assert (both["p_adj"] >= both["p"] - 1e-12).all(), table.name
            if {"mean_delta", "ci_low", "ci_high"} <= set(frame.columns):
                rows = frame[["ci_low", "ci_high"]].dropna()
                assert (rows["ci_low"] <= rows["ci_high"]).all(), table.name
            if "null_percentile" in frame.columns:
                assert frame["null_percentile"].dropna().between(0, 100).all()

    def test_every_interval_and_p_says_how_it_was_made_and_stays_in_range(self, name, results, rules):
        result = results(name)
        assert [line for table in result.tables.values() for line in rules.problems(table)] == []
        assert rules.kept_numbers(result.aggregates.custom) == []

    def test_what_is_established_has_an_adjusted_p_and_a_simultaneous_interval(self, name, results, rules):
        for table in results(name).tables.values():
            for names, value in ESTABLISHED.items():
                if {names.format(each) for each in ("ci_adj_low", "p_adj")} <= set(table.frame):
                    of = next((each for each in value if each in table.frame), None)
                    if of is not None and len(table.frame):
                        assert rules.unsound(table.frame, 0.05, names=names, value=of).empty, table.name

    def test_sentences_name_no_share_outside_its_range(self, name, results, rules):
        result = results(name)
        text = " ".join([*map(str, result.aggregates.custom.get("summary", [])), *result.diagnostics.warnings])
        assert all(0 <= share <= 100 for share in rules.shares_in(text)), text

    def test_draws_every_figure_it_declares(self, name, results):
        from paribus.figures.about import about
        from paribus.figures.draw import draw

        result = results(name)
        assert result.figures
        frames = {key: table.frame for key, table in result.tables.items()}
        for figure in result.figures:
            assert figure.title
            assert draw(figure, frames, about=about(result)).axes

    def test_aggregates_are_plain_and_finite_where_they_are_numbers(self, name, results):
        aggregates = results(name).aggregates
        assert aggregates.n_samples and aggregates.n_samples > 0
        for field in dataclasses.fields(aggregates):
            value = getattr(aggregates, field.name)
            assert value is None or field.name == "custom" or math.isfinite(value) or math.isnan(value)
        assert all(isinstance(key, str) for key in aggregates.custom)

    def test_is_kept_in_the_store_and_finished(self, name, results):
        result = results(name)
        runs = paribus.load_runs()
        row = runs[runs["run_id"] == result.run_id]
        assert len(row) == 1
        assert row["status"].item() == "FINISHED"


def again(result, folder, **settings):
    store = open_store(TrackingSpec(), writing=False)
    return reproduce(store, store.get(result.run_id), folder, **settings)


REPEATED = ("activation_steering", "circuit_metrics", "family_1d_sweep", "feature_survey", "sweep")
"""Types that every run of the tests repeats; a soak repeats them all."""


@pytest.mark.parametrize(
    "name", [name if name in REPEATED else pytest.param(name, marks=pytest.mark.soak) for name in sorted(EVERY_TYPE)]
)
def test_the_same_request_gives_the_same_numbers_bit_for_bit(name, results, tmp_path):
    made = again(results(name), tmp_path)
    assert [str(one) for one in made.compared if one.verdict != SAME] == []
    assert {one.name for one in made.compared} >= {f"table {table}" for table in results(name).tables}
    assert (made.changed.packages, made.changed.data, made.changed.machine, made.changed.config) == ((),) * 4


def test_a_training_gives_the_same_numbers_bit_for_bit_and_the_verb_says_so(folder, tmp_path, capfd):
    assert main(["reproduce", folder[1].run_id[:10], "--into", str(tmp_path)]) == 0
    said = capfd.readouterr().out
    assert "table history: same bit for bit" in said and ", 0 within the tolerance, 0 different" in said


def test_another_number_of_threads_is_named_and_moves_numbers_by_a_rounding_at_most(results, tmp_path):
    made = again(results("subspace_ablation"), tmp_path, threads=torch.get_num_threads() + 1)
    assert DIFFERENT not in made.counts()
    assert [line for line in made.changed.machine if line.startswith("threads: ")]


def test_two_runs_and_two_groups_are_told_apart_by_the_verb(results, capfd):
    ids = [results(name).run_id for name in ("activation_steering", "subspace_ablation")]
    assert main(["diff", *ids]) == 0
    assert "experiment_type: activation_steering -> subspace_ablation" in capfd.readouterr().out
    groups = [f"experiment_type={name}" for name in ("activation_steering", "subspace_ablation")]
    assert main(["diff", *groups, "--study", "paribus", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["runs"] == [[ids[0]], [ids[1]]] and told["science"][0]["place"] == "experiment_type"
    assert main(["diff", ids[0]]) == 2 and main(["diff", "seed=77", ids[0], "--study", "paribus"]) == 2


@pytest.mark.parametrize("name", (*golden.declared.BUILD_TYPES, *golden.declared.ANY_TYPES))
def test_tables_on_the_planted_model_are_what_they_were(name, results):
    compare(f"{name}.planted", results(name))


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_tables_of_these_types_elsewhere_are_what_they_were(name, results):
    compare(name, results(name))


def compare(case, result):
    found = json.loads(json.dumps(golden.kept_of(result)))
    lines = list(golden.differences(golden.load(case), found, exact=golden.same_environment()))
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:20])


@pytest.fixture(scope="module")
def compared(results):
    """The comparison of what the image experiments found."""
    for name in COMPARED:
        results(name)
    return paribus.run(["experiment=compare_interventions", "experiment.at=final", "stats=quick"])


def test_a_comparison_reads_every_endpoint_with_its_interval_over_contexts(compared):
    rows = compared.tables["run_effects"].frame
    assert len(rows) == 5 and rows["value"].notna().all()
    unknown = rows.loc[rows[["ci_low", "ci_high"]].isna().any(axis=1), "endpoint"].tolist()
    assert not unknown, f"no interval of {unknown}"


@pytest.mark.parametrize("name", COMPARED)
def test_endpoints_are_read_with_their_interval_from_the_tables_that_declare_them(name, results):
    """Nothing is guessed: column names of every endpoint are those that the experiment really writes."""
    from paribus.compare.endpoints import Choice, Reading, read

    result = results(name)
    run = CollectedRun("r", "r", name, tables={key: table.frame for key, table in result.tables.items()})
    choice = Choice("mean_difference", "between_domain_pc", "", "final", {})
    for endpoint in IMAGE_TYPES[name].declares:
        found = read(endpoint, run, choice)
        assert isinstance(found, Reading), found
        assert endpoint.bounds[0] <= found.value <= endpoint.bounds[1]
        if not endpoint.low:
            continue
        assert found.low <= found.value <= found.high and found.low < found.high, endpoint.name
        assert math.isfinite(found.low) and math.isfinite(found.high)
        assert math.isfinite(found.ranking) == (endpoint.ranking is not None)


def test_every_experiment_that_declares_endpoints_is_compared():
    from paribus.compare.declared import DECLARING

    generic = [name for name, cls in experiment_types("any").items() if cls.declares]
    assert sorted(cls.type for cls in DECLARING) == sorted([*COMPARED, *generic])
    assert {name for name, cls in IMAGE_TYPES.items() if cls.declares} == set(COMPARED)
    assert not any(cls.declares for cls in BUILD_TYPES.values())


def test_a_comparison_alone_says_what_it_concludes(compared, capfd):
    """What stands there is what the end of a sweep prints."""
    from paribus.cli.main import main

    assert main(["experiment=compare_interventions", "experiment.at=final", "stats=quick"]) == 0
    said = capfd.readouterr().out
    assert "compare_interventions:\n" in said and "standard: OOD accuracy, unedited 0." in said
    assert "(no interval: 1 run; n = 1)" in said and "figure_intervention_comparison.png" in said


def test_a_restriction_passes_hydra_without_inner_quotes(compared):
    from paribus.cli.main import main

    where = "[seed=0..3,training=standard|grokking,started>=2026-01-01]"
    assert main(["experiment=compare_interventions", f"experiment.where={where}", "stats=quick"]) == 0


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("[trainig=standard]", "none of 5 runs has 'trainig'; did you mean 'training'"),
        ("[seed=7..9]", "seed=7..9 fits none of 5 runs; seed is 0"),
        ("[seed=1,seed=2]", "seed=1 and seed=2 contradict each other"),
        ("[seed]", "cannot read 'seed'; a condition is NAME=VALUE"),
    ],
)
def test_a_restriction_that_fits_nothing_is_refused_and_leaves_nothing(where, words, compared, capfd):
    from paribus.cli.main import main

    before = len(paribus.load_runs())
    assert main(["experiment=compare_interventions", f"experiment.where={where}", "stats=quick"]) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1
    assert len(paribus.load_runs()) == before


@pytest.mark.parametrize("name", ["family_1d_sweep", "within_family_interference"])
def test_the_same_request_gives_the_same_numbers(name, results):
    """A run draws from named streams only, and leaves the global random state alone."""
    import torch

    first = results(name)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = paribus.run([*asked(name), "reuse=never"])
    assert torch.equal(torch.get_rng_state(), before)
    for key, table in first.tables.items():
        assert table.frame.equals(again.tables[key].frame), key
