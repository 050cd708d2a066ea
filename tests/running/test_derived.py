"""After a comparison: a run for each group, which nobody takes for a replicate, and views of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.tracking.derived import is_derived
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.views import VIEW_TAG

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from grouped_runs import make

COMPARE = ["experiment=compare", "tracking.experiment=grouped", "experiment.experiment_type=activation_steering",
           "experiment.metrics=[accuracy_area]", "experiment.curves=[sweep.head_ood_acc:alpha]",
           "figures.formats=[]"]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("grouped"))
    make("grouped")
    assert main(COMPARE) == 0
    yield open_store(TrackingSpec(experiment="grouped"), writing=False)
    patch.undo()


def test_each_group_has_a_run_with_means_ends_and_curves(store):
    derived = {run.tags["group"]: run for run in store.runs(groups=True) if is_derived(run)}
    assert set(derived) == {"standard", "grokking"}
    (comparison,) = [run for run in store.runs() if run.experiment_type == "compare"]
    groups = store.result(comparison.run_id).tables["groups"].frame.set_index(["metric", "group"])
    for name, run in derived.items():
        row = groups.loc["accuracy_area", name]
        found = [run.metrics[f"{end}/accuracy_area"] for end in ("mean", "low", "high", "units")]
        assert found == [row["mean"], row["ci_low"], row["ci_high"], 4.0]
        history = store.client.get_metric_history(run.run_id, "curve/mean")
        assert [point.step for point in history] == [-2, -1, 0, 1, 2]
        assert run.status == "FINISHED" and run.tags["paribus.derived_from"] == comparison.run_id
        assert run.tags["mlflow.note.content"].count("](#/experiments/") == 5, "links to its runs and the comparison"


def test_nobody_takes_it_for_a_replicate(store):
    runs = store.runs()
    replicates = {name for run in runs if run.experiment_type == "activation_steering" for name in run.metrics}
    assert not any(is_derived(run) for run in runs), "who lists runs lists what was run"
    assert [run.run_id for run in runs] == [run.run_id for run in store._searched("", None, False)]
    for run in filter(is_derived, store.runs(groups=True)):
        assert not {"training", "identity", "seed"} & set(run.tags)
        assert not replicates & set(run.metrics)
    assert runs[0].experiment_type == "compare", "the latest run is the comparison"
    before = store.result(runs[0].run_id)
    assert main([*COMPARE, "reuse=auto", "experiment.where=[training=standard|grokking]"]) == 0
    latest = store.result(store.runs()[0].run_id)
    assert latest.tables["groups"].frame.equals(before.tables["groups"].frame)


def test_made_again_it_supersedes_and_the_views_show_the_newer_ones(store):
    first = {run.run_id for run in store.runs(groups=True) if is_derived(run)}
    assert main([*COMPARE, "reuse=never"]) == 0
    newest = [run for run in store.runs(groups=True) if is_derived(run) and run.run_id not in first]
    assert {run.tags["group"] for run in newest} == {"standard", "grokking"}
    assert {run.tags["paribus.supersedes"] for run in newest} <= first
    comparison = newest[0].tags["paribus.derived_from"]
    tags = store.client.get_experiment(store.experiment_id()).tags
    states = [json.loads(json.loads(text)["state"]) for name, text in tags.items() if f"{VIEW_TAG}paribus_g" in name]
    shown = [state for state in states if comparison in state["searchFilter"]]
    assert len(shown) == 1
    assert shown[0]["compareRunCharts"][0]["selectedMetricKeys"] == ["curve/mean", "curve/low", "curve/high"]
