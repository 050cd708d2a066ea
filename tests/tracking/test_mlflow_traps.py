"""What MLflow does by itself that would cost results, shown, and that it does not happen here."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import warnings
from contextlib import closing, nullcontext
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from paribus.errors import ConfigError, ExperimentError
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.tracking import environment, local
from paribus.tracking.metrics import Point
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec, has_runs


@pytest.fixture
def store(tracked_workdir):
    return open_store(TrackingSpec(experiment="traps"))


@pytest.fixture
def plain(tracked_workdir):
    """MLflow's own client on the same database, with a run."""
    client = MlflowClient(tracking_uri=local.database_uri(tracked_workdir))
    run = client.create_run(client.create_experiment("plain", artifact_location=(tracked_workdir / "art").as_uri()))
    return client, run.info.run_id


def began(store, folder="out"):
    return store.start("a run", folder=Path(folder), tags={"identity": "0" * 16}, parent=None)


def test_a_file_store_is_refused_by_mlflow_late_and_by_us_at_once(workdir):
    with pytest.raises(MlflowException):
        MlflowClient(tracking_uri=(workdir / "mlruns").as_uri()).search_experiments()
    shutil.rmtree("mlruns", ignore_errors=True)
    (workdir / "mlruns" / "0").mkdir(parents=True)
    (workdir / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\n")
    with pytest.raises(ConfigError, match="an old MLflow file store"):
        open_store(TrackingSpec())
    assert not (workdir / "mlflow.db").exists()


def test_artifacts_of_a_moved_folder_vanish_in_silence_and_here_it_is_said(store, plain, tracked_workdir):
    client, run_id = plain
    client.log_text(run_id, "x", "note.txt")
    began(store).finish("FINISHED")
    moved = tracked_workdir.with_name("moved")
    os.chdir(tracked_workdir.parent)
    tracked_workdir.rename(moved)
    assert MlflowClient(tracking_uri=local.database_uri(moved)).list_artifacts(run_id) == []  # no error
    with pytest.raises(ConfigError, match="paribus doctor --relocate"):
        open_store(TrackingSpec(folder=str(moved)))


def test_steps_between_two_whole_numbers_are_stored_in_silence_and_here_refused(store, plain):
    client, run_id = plain
    client.log_metric(run_id, "loss", 1.0, step=0.5)  # type: ignore[arg-type]  # over REST this fails
    run = began(store)
    with pytest.raises((ExperimentError, TypeError, ValueError)):
        run.metric("loss", 1.0, 0.5)
    run.finish("FINISHED")


def test_infinity_is_changed_by_mlflow_and_comes_back_here(store, plain):
    client, run_id = plain
    client.log_metric(run_id, "x", float("inf"))
    assert client.get_run(run_id).data.metrics["x"] == pytest.approx(1.797e308, rel=1e-3)
    run = began(store)
    run.metrics({"x": float("inf")})
    run.finish("FINISHED")
    assert store.get(run.run_id).metrics["x"] == float("inf")


def test_metrics_go_in_batches_and_tables_past_log_table(store, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("one call for each point, or a tag that overflows")

    batches = []
    sent = MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_metric", never)
    monkeypatch.setattr(MlflowClient, "log_table", never)
    monkeypatch.setattr(
        MlflowClient, "log_batch", lambda self, run_id, *a, **k: (batches.append(1), sent(self, run_id, *a, **k))[1]
    )
    run = began(store)
    for step in range(900):
        run.metric("loss", 1.0 / (step + 1), step)
    for name in ("t", "u", "v"):
        run.table(Table(name, "A table.", Evidence.OBSERVATIONAL, pd.DataFrame({"a": [1, 2]})))
    run.note("What was found.")
    run.metrics({"bad": float("nan"), "acc": 0.5})
    run.finish("FINISHED")
    assert len(batches) <= 3  # one, unless a slow machine took seconds
    monkeypatch.undo()
    assert len(store._client.get_metric_history(run.run_id, "loss")) == 900
    kept = store.get(run.run_id)
    assert kept.tags["mlflow.note.content"] == "What was found." and kept.metrics["acc"] == 0.5
    assert len(json.loads(kept.tags["mlflow.loggedArtifacts"])) == 3 and math.isnan(kept.metrics["bad"])


def test_more_metrics_and_tags_than_one_request_takes(store):
    run = began(store)
    run.tags({f"tag{number}": str(number) for number in range(130)})
    run._points += [(0, Point("loss", 1.0 / (step + 1), step)) for step in range(2300)]
    run.flush()
    assert not run._points and not run._waiting
    run.tags({"tag0": "again"})
    run.finish("FAILED", "boom")
    kept = store.get(run.run_id)
    assert {name for name in kept.tags if name.startswith("tag")} == {f"tag{number}" for number in range(130)}
    assert kept.tags["tag0"] == "again" and kept.tags["error_message"] == "boom"
    assert len(store._client.get_metric_history(run.run_id, "loss")) == 2300


def test_an_empty_file_is_no_store(workdir, migrated_database, monkeypatch):
    sqlite3.connect("mlflow.db").close()
    Path("mlflow.db").touch()  # what any look with sqlite leaves
    assert not has_runs(TrackingSpec())
    made = []
    monkeypatch.setattr(
        local, "_create", lambda folder: made.append(shutil.copy2(migrated_database, folder / local.DATABASE))
    )
    assert open_store(TrackingSpec(), writing=False).runs() == []
    assert made, "MLflow migrated it by itself, which several processes at once do not survive"


def test_the_database_never_writes_ahead(store):
    began(store).finish("FINISHED")
    with closing(sqlite3.connect("mlflow.db")) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("delete",)
    assert not list(Path(".").glob("mlflow.db-*"))


def test_telemetry_and_patience_are_set_before_mlflow_is_asked(monkeypatch):
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    environment.quiet()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 1  # by default 7, which is four minutes a call
    assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 30


def test_deprecations_inside_mlflow_are_no_errors_of_ours():
    def old() -> None:
        warnings.warn_explicit("old", DeprecationWarning, "sqlalchemy/orm.py", 1, module="sqlalchemy.orm")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with environment.no_deprecations():
            old()
        with nullcontext(), pytest.raises(DeprecationWarning):
            old()


def test_a_database_without_its_driver_is_refused_in_one_line(monkeypatch):
    def missing(*_args, **_kwargs):
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr("mlflow.tracking.MlflowClient", missing)
    with pytest.raises(ConfigError, match=r"tracking.uri=.*psycopg"):
        open_store(TrackingSpec(kind="server", uri="postgresql://127.0.0.1:9/none"))
