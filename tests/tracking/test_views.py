"""The views that MLflow's UI offers for a study's runs."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace

from paribus.tracking import groups, views
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec


def test_a_study_gets_its_views_and_keeps_the_users_own(tracked_workdir):
    store = open_store(TrackingSpec(experiment="digits"))
    number = store.experiment_id()
    own = f"{views.VIEW_TAG}mine"
    store.client.set_experiment_tag(number, own, "{}")
    store.client.set_experiment_tag(number, f"{views.VIEW_TAG}{views.RUNS}", "of an older version")
    again = open_store(TrackingSpec(experiment="digits"))
    assert again.experiment_id() == number
    tags = again.client.get_experiment(number).tags
    assert tags[own] == "{}"
    assert views.missing(tags) == {}
    for key in views.VIEWS:
        envelope = json.loads(tags[f"{views.VIEW_TAG}{key}"])
        assert {type(envelope[name]) for name in ("createdAt", "updatedAt")} == {int}
        state = json.loads(envelope["state"])
        assert set(state["columnOrder"]) > set(state["selectedColumns"])
        assert state["orderByKey"] == (views.LATEST_NESTED if key == views.NESTED else views.LATEST_FLAT)
        store.client.search_runs([number], state["searchFilter"])  # a filter that MLflow takes


def test_a_view_fits_into_a_tag():
    assert all(len(view.text()) < 5000 for view in views.VIEWS.values())


def test_addresses_of_studies_the_latest_first_without_the_deleted(tracked_workdir):
    for name, kind in (("first", "train_classifier"), ("an other", "domain_swap"), ("gone", "domain_swap")):
        store = open_store(TrackingSpec(experiment=name))
        store.start("run", folder=tracked_workdir / name, tags={"experiment_type": kind}).finish("FINISHED")
    store.client.delete_experiment(store.experiment_id())
    ids = {e.name: e.experiment_id for e in store.client.search_experiments()}
    other, first = (f"http://host/#/experiments/{ids[name]}/runs" for name in ("an other", "first"))
    found = views.addresses(tracked_workdir / "mlflow.db", "http://host")
    assert found == [
        views.Address("an other", "runs", f"{other}?viewStateShareKey=paribus"),
        views.Address("first", "runs", f"{first}?viewStateShareKey=paribus"),
        views.Address("first", "training curves", f"{first}?viewStateShareKey=paribus_training&compareRunsMode=CHART"),
    ]
    of_store = open_store(TrackingSpec(experiment="first"), writing=False).addresses("http://host")
    assert of_store == found[1:]
    with sqlite3.connect(tracked_workdir / "mlflow.db") as connection:
        connection.execute("delete from experiment_tags")
    bare = views.addresses(tracked_workdir / "mlflow.db", "http://host")
    assert [(each.what, each.url) for each in bare] == [("runs", other), ("runs", first)]


def test_views_draw_all_runs_over_the_step_and_filter_by_what_they_show():
    for view in views.VIEWS.values():
        state = view.state()
        assert state["runsHiddenMode"] == "SHOWALL" and state["globalLineChartConfig"]["xAxisKey"] == "step"
    training = views.VIEWS["paribus_training"]
    assert training.shows(["train_sae", "kit_sweep"]) and not training.shows(["kit_sweep"])
    assert training.where == "tags.experiment_type LIKE 'train_%'"
    nested = [key for key, view in views.VIEWS.items() if not view.flat]
    assert nested == [views.NESTED]


def test_a_run_names_its_data_and_says_what_was_found(tracked_workdir):
    store = open_store(TrackingSpec(experiment="digits"))
    run = store.start("run", folder=tracked_workdir / "run")
    run.data_set("digits_scanners", "a" * 64)
    run.note("accuracy fell")
    run.finish("FINISHED")
    kept = store.client.get_run(run.run_id)
    (data,) = kept.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits_scanners", "a" * 36)
    assert kept.data.tags["mlflow.note.content"] == "accuracy fell"


def test_a_curve_of_a_group_is_a_line_also_where_it_has_no_interval():
    run = groups.GroupRun("a (compare)", "a", "#000000", {"mean/m": 1.0})
    asked = groups.Groups(SimpleNamespace(run_id="r"), "same", (run,), (("curve/mean",), ("x", "y", "z")))
    state = views.of_comparison(asked)["paribus_groups_same"].state()
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["LINE", "LINE", "BAR"]
