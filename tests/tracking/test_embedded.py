"""What is read of an embedded store's tables is what MLflow's own search finds."""

from __future__ import annotations

import math
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from paribus.errors import ConfigError, DataError, ExperimentError
from paribus.running import failures
from paribus.tracking import embedded, local, patience
from paribus.tracking._mlflow import MlflowException
from paribus.tracking.opening import open_store
from paribus.tracking.query import runs_frame
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states
from paribus.tracking.store import MlflowStore

FILTERS = (
    "",
    "attributes.status = 'FINISHED'",
    "attributes.status != 'FINISHED'",
    "tags.identity = 'id3' and attributes.status = 'FINISHED'",
    "tags.training != 'grokking'",
    "tags.training LIKE 'GROK%'",
    "tags.training LIKE 'grok%'",
    "tags.`mlflow.parentRunId` = 'none'",
    "params.seed = '3'",
    "params.`data.names` LIKE '%b%'",
    "metrics.acc > 0.3",
    "metrics.acc <= 0.3 and tags.training = 'grokking'",
    "metrics.bad != 1",
    "metrics.bad > -1",
    "attributes.start_time > 0",
    "attributes.run_name = 'run 2'",
    "tags.training ILIKE 'GROK%'",
    "attributes.run_id LIKE '%a%'",
    "params.`data.one` IS NULL",
)
ODD = (0.1 + 0.2, 1e-320, -0.0, 1.7e308, math.pi, float(np.nextafter(1.0, 2.0)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory, migrated_database):
    """A store with runs of two studies: every status, odd numbers, and params of every type."""
    folder = tmp_path_factory.mktemp("embedded")
    shutil.copy(migrated_database, folder / local.DATABASE)
    relocate(folder)
    stores = [open_store(TrackingSpec(experiment=name, folder=str(folder))) for name in ("first", "second")]
    for number in range(12):
        store = stores[number % 2]
        tags = {"training": "grokking" if number % 3 else "standard", "identity": f"id{number}"}
        run = store.start(f"run {number}", folder=folder / "out" / str(number), tags=tags)
        run.config({"seed": number, "data": {"names": ["a", "b"][: number % 3], "one": None, "text": "12", "x": 0.5}})
        run.metrics({"acc": number / 10, "odd": ODD[number % len(ODD)], "bad": (math.nan, math.inf)[number % 2]})
        if number < 10:
            run.finish(("FINISHED", "FAILED", "KILLED")[number % 3 if number > 5 else 0])
    return stores


@pytest.mark.parametrize("where", FILTERS)
def test_the_same_runs_are_found_as_by_mlflow(kept, where):
    for store in kept:
        for everywhere in (False, True):
            for limit in (None, 2):
                ours = store.runs(where=where, limit=limit, everywhere=everywhere)
                theirs = store._searched(where, limit, everywhere)
                assert [run.run_id for run in ours] == [run.run_id for run in theirs]
                assert repr(ours) == repr(theirs)  # equal texts of numbers are equal bits, NaN included
                assert_frame_equal(runs_frame(ours), runs_frame(theirs), check_exact=True)


def test_most_filters_are_answered_without_mlflow(kept, monkeypatch):
    assert [where for where in FILTERS if embedded.conditions(where) is None] == list(FILTERS[-4:-2] + FILTERS[-1:])
    monkeypatch.setattr(MlflowStore, "_searched", lambda *args: pytest.fail("MLflow was asked"))
    assert len(kept[0].runs()) == 6 and len(kept[0].runs(everywhere=True)) == 12


def test_a_run_is_read_in_as_many_queries_whatever_their_number(kept, monkeypatch):
    monkeypatch.setattr(embedded, "AT_ONCE", 1)
    one_by_one = kept[0].runs()
    monkeypatch.undo()
    assert repr(one_by_one) == repr(kept[0].runs())


def test_a_list_in_a_param_belongs_to_its_run_alone(kept):
    first, second = [run for run in kept[0].runs(everywhere=True) if run.params["data.names"] == ["a"]][:2]
    first.params["data.names"].append("z")
    assert second.params["data.names"] == ["a"]


def test_files_are_listed_as_by_mlflow(kept):
    store = kept[0]
    for run in store.runs():
        for folder in ("", "tables", "config.yaml"):
            theirs = [found.path for found in store.client.list_artifacts(run.run_id, folder or None)]
            assert store.artifacts(run.run_id, folder) == [path for path in theirs if path != "tables"]
    with pytest.raises(MlflowException, match="not found"):
        store.artifacts("f" * 32)


def test_a_deleted_study_is_refused_and_a_deleted_run_is_not_found(tracked_workdir):
    store = open_store(TrackingSpec(experiment="gone"))
    run = store.start("one", folder=tracked_workdir / "out")
    store.client.delete_run(run.run_id)
    assert store.runs() == store.runs(everywhere=True) == []
    store.client.delete_experiment(store.experiment_id())
    with pytest.raises(ConfigError, match="was deleted in MLflow"):
        store.runs()
    assert store.runs(everywhere=True) == []


def test_a_filter_that_mlflow_cannot_read_is_refused_as_by_mlflow(kept):
    with pytest.raises(MlflowException, match="nonsense"):
        kept[0].runs(where="nonsense = 'x'")


KILLED_WHILE_IT_WROTE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin immediate")
connection.execute("create table half as with recursive n(x) as (select 1 union all select x + 1 from n limit 20000) "
                   "select x, hex(randomblob(50)) from n")
connection.execute("update runs set name = 'half'")
os._exit(9)
"""


def test_what_a_killed_process_left_half_written_is_taken_back(tracked_workdir):
    store = open_store(TrackingSpec(experiment="killed"))
    store.start("whole", folder=tracked_workdir / "out").finish("FINISHED")
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_WROTE, local.DATABASE], check=False)
    assert (tracked_workdir / f"{local.DATABASE}-journal").stat().st_size > 0
    assert [run.name for run in store.runs()] == ["whole"]
    assert [run.name for run in run_states(TrackingSpec(experiment="killed"))] == ["whole"]


STILL_WRITING = KILLED_WHILE_IT_WROTE.replace(
    "os._exit(9)",
    'print("begun", flush=True)\nsys.stdin.readline()\nconnection.execute("commit")',
)


def test_the_journal_of_a_process_that_is_writing_is_left_alone(tracked_workdir, monkeypatch):
    """Its changes are on disk in part; a look neither shows them nor takes them back."""
    monkeypatch.setattr(patience, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    store = open_store(TrackingSpec(experiment="writing"))
    store.start("whole", folder=tracked_workdir / "out").finish("FINISHED")
    command = [sys.executable, "-c", STILL_WRITING, local.DATABASE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "begun\n"
        journal = (tracked_workdir / f"{local.DATABASE}-journal").read_bytes()
        assert journal
        with pytest.raises(ExperimentError, match="keeps it locked") as raised:
            store.runs()
        assert failures.kind(raised.value) == failures.STORE
        assert (tracked_workdir / f"{local.DATABASE}-journal").read_bytes() == journal
        writer.communicate("\n", timeout=30)
    assert writer.returncode == 0
    assert [run.name for run in store.runs()] == ["half"]


def test_the_journal_of_a_database_that_is_gone_is_not_played_into_the_next(tracked_workdir):
    with closing(sqlite3.connect(local.DATABASE)) as connection, connection:
        tag = "insert into experiment_tags (experiment_id, key, value) values (0, ?, ?)"
        connection.executemany(tag, [(f"tag {number}", "old") for number in range(500)])
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_WROTE, local.DATABASE], check=False)
    (tracked_workdir / local.DATABASE).unlink()
    store = open_store(TrackingSpec(experiment="next"))
    store.start("first", folder=tracked_workdir / "out").finish("FINISHED")
    assert [run.name for run in store.runs(everywhere=True)] == ["first"]
    with embedded.opened(tracked_workdir / local.DATABASE) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from experiment_tags where value = 'old'").fetchone() == (0,)
    assert (tracked_workdir / f"{local.DATABASE}.gone-journal").is_file()


def test_a_copy_is_the_database_at_one_moment(tracked_workdir):
    store = open_store(TrackingSpec(experiment="copied"))
    store.start("whole", folder=tracked_workdir / "out").finish("FINISHED")
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_WROTE, local.DATABASE], check=False)
    embedded.copy_database(tracked_workdir / local.DATABASE, tracked_workdir / "copy.db")
    with embedded.opened(tracked_workdir / "copy.db") as connection:
        assert connection.execute("select name from runs").fetchall() == [("whole",)]


def test_nothing_is_written_by_looking(tracked_workdir):
    open_store(TrackingSpec(experiment="looked at")).start("one", folder=tracked_workdir / "out")
    with (
        pytest.raises(DataError, match="readonly"),
        embedded.opened(tracked_workdir / local.DATABASE) as connection,
    ):
        connection.execute("update runs set name = 'two'")
