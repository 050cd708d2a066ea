"""The views that MLflow's UI offers for a study's runs."""

from __future__ import annotations

import json
import sqlite3

from paribus.tracking import views
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.store import open_store


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
        store.client.search_runs([number], state["searchFilter"])  # a filter that MLflow takes


def test_a_view_fits_into_a_tag():
    assert all(len(view.text()) < 5000 for view in views.VIEWS.values())


def test_addresses_of_studies_the_latest_first_without_the_deleted(tracked_workdir):
    for name in ("first", "an other", "gone"):
        store = open_store(TrackingSpec(experiment=name))
        store.start("run", folder=tracked_workdir / name).finish("FINISHED")
    store.client.delete_experiment(store.experiment_id())
    ids = {e.name: e.experiment_id for e in store.client.search_experiments()}
    found = views.addresses(tracked_workdir / "mlflow.db", "http://host")
    assert found == {
        name: f"http://host/#/experiments/{ids[name]}/runs?viewStateShareKey=paribus" for name in ("an other", "first")
    }
    with sqlite3.connect(tracked_workdir / "mlflow.db") as connection:
        connection.execute("delete from experiment_tags")
    assert set(views.addresses(tracked_workdir / "mlflow.db", "http://host").values()) == {
        f"http://host/#/experiments/{ids[name]}/runs" for name in ("an other", "first")
    }


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
