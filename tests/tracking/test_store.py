"""The embedded store: created once, refused where it would mislead, and read back as it was written."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from paribus.errors import ConfigError, DataError
from paribus.results.evidence import Evidence
from paribus.results.schema import Curve, Table
from paribus.tracking import claims, embedded, local, states
from paribus.tracking.opening import open_store
from paribus.tracking.patience import StoreError
from paribus.tracking.query import load_runs
from paribus.tracking.relocate import relocate
from paribus.tracking.run import MAX_TAG
from paribus.tracking.spec import TrackingSpec

LOCAL = TrackingSpec(experiment="my study/1")


def table(frame, name="effects"):
    return Table(name, "One row per level.", Evidence.INTERVENTIONAL, frame)


def points(store, run, name):
    return [(m.step, m.value) for m in store.client.get_metric_history(run.run_id, name)]


def test_a_run_is_read_back_as_it_was_written(tracked_workdir):
    store = open_store(LOCAL)
    run = store.start("first", folder=tracked_workdir / "out", tags={"training": "standard", "identity": "ab12"})
    tree = {
        "seed": 3,
        "data": {"_target_": "x.Y", "strength": 0.9, "name": "12", "none": None, "flag": True},
        "experiment": {"alphas": [-3.0, 0.5], "long": "ü" * 7000, "text": "a: b"},
        "study": None,
    }
    run.config(tree)
    run.table(table(pd.DataFrame({"x": [1.0, math.nan, math.inf], "s": ["a", None, "ü"]})))
    run.metrics({"acc": 0.5, "bad": math.inf, "worse": math.nan})
    for step in range(2500):
        run.metric("loss", 1.0 / (step + 1), step)
    run.curve(Curve("margin", (-3.0, 0.0, 3.0), (1.0, 2.0, 3.0), "alpha"))
    run.curve(Curve("ood acc", (-0.5, 0.25), (0.1, math.nan), "alpha"))
    run.metric("val", 0.25, 1)
    run.metric("val", 0.75, 6)
    run.metrics({"val": 0.75})
    run.figure("sweep", {"png": b"png", "pdf": b"pdf"})
    run.finish("FINISHED")

    (kept,) = store.runs()
    assert points(store, run, "val") == [(1, 0.25), (6, 0.75)], "its last point is no point at step 0 too"
    assert (kept.status, kept.experiment, kept.tags["training"]) == ("FINISHED", "my study/1", "standard")
    assert kept.params["seed"] == 3 and kept.params["data.strength"] == 0.9 and kept.params["data.name"] == "12"
    assert kept.params["data.flag"] is True and kept.params["experiment.alphas"] == [-3.0, 0.5]
    assert kept.params["data.none"] is None and "study" not in kept.params
    assert len(kept.params["experiment.long"]) == 6000 and kept.params["experiment.long"].endswith("config.yaml)")
    assert kept.metrics["acc"] == 0.5 and kept.metrics["bad"] == math.inf and math.isnan(kept.metrics["worse"])
    assert points(store, run, "loss") == [(step, 1.0 / (step + 1)) for step in range(2500)]
    assert points(store, run, "curve/margin") == [(-3, 1.0), (0, 2.0), (3, 3.0)]
    assert points(store, run, "curve_milli/ood acc") == [(-500, 0.1)]
    assert points(store, run, "curve_milli/alpha") == [(-500, -0.5)]
    assert store.artifacts(run.run_id, "tables") == ["tables/effects.json", "tables/effects.parquet"]
    shown = json.loads(store.download(run.run_id, "tables/effects.json").read_text())
    assert shown == {"columns": ["x", "s"], "data": [[1.0, "a"], [None, None], ["Infinity", "ü"]]}
    assert json.loads(kept.tags["mlflow.loggedArtifacts"]) == [{"path": "tables/effects.json", "type": "table"}]
    assert sorted(os.listdir(store.download(run.run_id, "figures"))) == ["sweep.pdf", "sweep.png"]
    import yaml

    assert yaml.safe_load(store.download(run.run_id, "config.yaml").read_text()) == tree
    assert kept.artifact_uri.startswith((tracked_workdir / "mlruns").as_uri())


def test_plain_mlflow_finds_the_runs_without_any_setting(tracked_workdir):
    store = open_store(LOCAL)
    store.start("seen", folder=tracked_workdir / "out").finish("FINISHED")
    code = "import mlflow; print(mlflow.search_runs(search_all_experiments=True)['tags.mlflow.runName'].tolist())"
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "['seen']"


def test_a_run_that_begins_while_states_are_read_is_read_with_its_tags_or_not_at_all(tracked_workdir, monkeypatch):
    spec = TrackingSpec()
    store = open_store(spec)

    class Meanwhile:
        """A connection after whose first answer a run begins."""

        def __init__(self, connection):
            self.connection, self.asked = connection, 0

        def execute(self, *given):
            found = self.connection.execute(*given).fetchall()
            self.asked += 1
            if self.asked == 1:
                store.client.create_run(store.experiment_id(), tags={"identity": "abc"}, run_name="late")
            return Rows(found)

    class Rows(list):
        def fetchall(self):
            return self

    @contextlib.contextmanager
    def watched(database):
        with embedded.opened(database) as connection:
            yield Meanwhile(connection)

    store.client.create_run(store.experiment_id(), tags={"identity": "old"}, run_name="early")
    monkeypatch.setattr(states, "opened", watched)
    assert [run.identity for run in states.run_states(spec)] == ["old"]


def test_looking_for_runs_creates_no_store(workdir):
    assert load_runs().empty and load_runs("shortcut_digits").empty
    assert list(workdir.iterdir()) == []


def test_load_runs_gives_typed_columns_and_the_latest_first(tracked_workdir):
    store = open_store(LOCAL)
    for seed in (0, 1):
        run = store.start(f"r{seed}", folder=tracked_workdir / str(seed), tags={"training": "grokking"})
        run.config({"seed": seed, "data": {"names": ["a"]}})
        run.metrics({"acc": seed + 0.25})
        run.finish("FINISHED" if seed else "FAILED", None if seed else "boom")
    frame = load_runs()
    assert frame["name"].tolist() == ["r1", "r0"]
    assert frame["params.seed"].tolist() == [1, 0] and frame["metrics.acc"].tolist() == [1.25, 0.25]
    assert frame["params.data.names"].tolist() == [["a"], ["a"]]
    assert frame["tags.error_message"].tolist()[1] == "boom" and frame["status"].tolist() == ["FINISHED", "FAILED"]
    assert not [name for name in frame if "paribus." in name or "mlflow." in name]
    assert load_runs("my study/1", where="attributes.status = 'FAILED'")["name"].tolist() == ["r0"]
    assert load_runs("another").empty and "run_id" in load_runs("another")
    assert len(load_runs(limit=1)) == 1


def test_get_takes_an_unambiguous_prefix_and_names_the_latest_otherwise(tracked_workdir):
    store = open_store(LOCAL)
    run = store.start("only", folder=tracked_workdir / "out")
    run.finish("FINISHED")
    assert store.get(run.run_id[:6]).run_id == run.run_id == store.get(run.run_id).run_id
    with pytest.raises(ConfigError, match=r"no such run in this store; the latest are: .*only"):
        store.get("ffffffff" if not run.run_id.startswith("ffffffff") else "eeeeeeee")
    for odd in ("", "latest", "../x", "a' OR 1=1", "abc"):
        with pytest.raises(ConfigError, match="not a run id"):
            store.get(odd)


def test_a_finished_run_is_found_by_identity_within_its_experiment(tracked_workdir):
    store = open_store(LOCAL)
    tags = {"produces_model": "true", "subject": "images"}
    for status, identity in (("FINISHED", "aa"), ("FAILED", "bb"), ("FINISHED", "aa")):
        run = store.start("r", folder=tracked_workdir / "o", tags=tags | {"identity": identity})
        run.finish(status)
    assert store.finished("aa")[0].run_id == run.run_id == store.latest_model("images").run_id
    assert store.latest_model("builds") is None
    assert store.finished("bb") == [] == store.finished("cc")
    other = open_store(TrackingSpec(experiment="other"))
    assert other.finished("aa") == [] and other.latest_model("images") is None
    assert store.client.get_experiment_by_name("other") is None, "looking must not create an experiment"


def test_artifact_paths_stay_inside_the_run(tracked_workdir):
    store = open_store(LOCAL)
    run = store.start("r", folder=tracked_workdir / "out")
    run.text("note.txt", "hello")
    run.finish("FINISHED")
    assert store.download(run.run_id, "note.txt").read_text() == "hello"
    for path in ("../../meta", "/etc/passwd", "a/../../b", "", "..", "C:\\x", "a\x00b"):
        with pytest.raises(DataError, match="must be a path inside the run"):
            store.download(run.run_id, path)
    (store.download(run.run_id, "note.txt").parent / "link").symlink_to("/etc/hosts")
    with pytest.raises(DataError, match="leads out of the run"):
        store.download(run.run_id, "link")
    with pytest.raises(DataError, match=r"has no artifact 'nothing\.txt'"):
        store.download(run.run_id, "nothing.txt")


def test_a_run_ends_once_and_only_with_a_known_status(tracked_workdir):
    store = open_store(LOCAL)
    run = store.start("r", folder=tracked_workdir / "out")
    with pytest.raises(ValueError, match="valid: FINISHED, FAILED, KILLED"):
        run.finish("DONE")
    run.finish("FAILED", "x" * 9000)
    run.finish("FINISHED")
    (kept,) = store.runs()
    assert kept.status == "FAILED" and len(kept.tags["error_message"]) == 5000


@pytest.mark.parametrize("step", [0.5, True, math.nan])
def test_a_step_that_is_not_an_integer_is_refused(tracked_workdir, step):
    run = open_store(LOCAL).start("r", folder=tracked_workdir / "out")
    with pytest.raises(ValueError, match=r"integer"):
        run.metric("loss", 1.0, step)
    run.finish("FAILED")


def test_an_old_file_store_is_named_before_anything_is_written(workdir):
    (workdir / "mlruns" / "0").mkdir(parents=True)
    (workdir / "mlruns" / "0" / "meta.yaml").write_text("x")
    with pytest.raises(ConfigError, match="old MLflow file store"):
        open_store(LOCAL)
    assert not (workdir / "mlflow.db").exists()


@pytest.mark.parametrize("content", [b"no database at all, just text" * 50, None])
def test_a_damaged_or_foreign_database_is_refused_at_once(workdir, content):
    path = workdir / "mlflow.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("create table mine (x)")
    else:
        path.write_bytes(content)
    before, start = path.read_bytes(), time.monotonic()
    with pytest.raises(DataError, match=r"not a readable database|not MLflow's"):
        open_store(LOCAL)
    assert time.monotonic() - start < 5 and path.read_bytes() == before


def test_a_folder_that_cannot_be_written_or_named_is_refused(workdir):
    (workdir / "file").write_text("")
    with pytest.raises(DataError, match="runs cannot be kept here"):
        open_store(TrackingSpec(folder="file"))
    with pytest.raises(ConfigError, match="database URI cannot hold"):
        open_store(TrackingSpec(folder="50%"))


def test_a_folder_of_artifacts_that_cannot_be_written_is_refused_before_a_job_starts(tracked_workdir):
    """A sweep began, and refused each of its jobs; the doctor found the store in order."""
    shutil.rmtree(tracked_workdir / "mlruns")
    (tracked_workdir / "mlruns").write_text("")
    with pytest.raises(StoreError, match=r"mlruns: runs cannot be kept here \(not a folder\)"):
        local.refuse_unwritable(tracked_workdir)


def test_a_file_system_without_locks_is_refused(workdir, monkeypatch):
    """As Lustre may be: two processes would both measure, and sqlite would call its database locked for ever."""

    def no_locks(*words):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(claims.fcntl, "lockf", no_locks)
    with pytest.raises(DataError, match="has no locks .Function not implemented.; use tracking.folder"):
        local.refuse_unwritable(workdir / "runs")
    assert not any(workdir.iterdir())


def test_a_moved_folder_is_noticed_and_relocated(tracked_workdir, tmp_path, monkeypatch):
    run = open_store(LOCAL).start("r", folder=tracked_workdir / "out")
    run.text("note.txt", "hello")
    run.finish("FINISHED")
    moved = tmp_path / "moved é here"
    shutil.copytree(tracked_workdir, moved)
    shutil.rmtree(tracked_workdir)
    monkeypatch.chdir(moved)
    with pytest.raises(ConfigError, match="paribus doctor --relocate"):
        open_store(LOCAL)
    assert len(load_runs()) == 1, "reading a moved store is allowed"
    assert relocate(moved) > 0 and relocate(moved) == 0
    assert (moved / "mlflow.db.before_relocate").is_file()
    store = open_store(LOCAL)
    assert store.download(run.run_id, "note.txt").read_text() == "hello"
    again = store.start("r2", folder=moved / "out2")
    again.text("note.txt", "again")
    again.finish("FINISHED")
    assert str(store.download(again.run_id, "note.txt")).startswith(str(moved))
    assert not tracked_workdir.exists()
    with pytest.raises(DataError, match="no such file"):
        relocate(tmp_path)


RACE = """
import sys, time
from pathlib import Path
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.opening import open_store
store = open_store(TrackingSpec(experiment="race"))
run = store.start(sys.argv[1], folder=Path("out") / sys.argv[1])
for step in range(300):
    run.metric("loss", step / 7, step)
run.text("note.txt", sys.argv[1])
run.finish("FINISHED")
"""


def test_six_processes_may_race_for_a_fresh_database(workdir, prepared):
    workers = [prepared.start([sys.executable, "-c", RACE, str(n)]) for n in range(6)]
    errors = [worker.communicate(timeout=240)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 6, errors
    runs = open_store(TrackingSpec(experiment="race")).runs()
    assert sorted(run.name for run in runs) == list("012345")
    assert {run.status for run in runs} == {"FINISHED"} and all(run.metrics["loss"] == 299 / 7 for run in runs)


def test_off_keeps_files_and_no_store(workdir):
    store = open_store(TrackingSpec(kind="off"))
    run = store.start("r", folder=workdir / "out")
    run.config({"seed": 1})
    run.table(table(pd.DataFrame({"x": [1]})))
    run.metrics({"a": 1.0})
    run.metric("b", 1.0, 1)
    run.curve(Curve("c", (1.0,), (1.0,)))
    run.tags({"a": "b"})
    (workdir / "weights.pt").write_bytes(b"w")
    run.checkpoint(workdir / "weights.pt")
    run.finish("FINISHED")
    assert run.run_id is None and sorted(os.listdir(workdir)) == ["out", "weights.pt"]
    found = sorted(str(p.relative_to(workdir / "out")) for p in (workdir / "out").rglob("*") if p.is_file())
    assert found == ["checkpoints/weights.pt", "config.yaml", "tables/effects.json", "tables/effects.parquet"]
    assert store.runs() == [] and store.finished("x") == [] and store.latest_model("images") is None
    with pytest.raises(ConfigError, match="tracking=off keeps no runs"):
        store.get("abcd")


def test_long_tables_have_no_json_twin(tracked_workdir, monkeypatch):
    monkeypatch.setattr("paribus.tracking.file_run.ROWS_IN_JSON", 3)
    run = open_store(LOCAL).start("r", folder=tracked_workdir / "out")
    run.table(table(pd.DataFrame({"x": range(4)})))
    run.finish("FINISHED")
    assert os.listdir(tracked_workdir / "out" / "tables") == ["effects.parquet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "server"}, "needs its address"),
        ({"kind": "server", "uri": "./mlruns"}, "is no server address"),
        ({"kind": "cloud"}, "no such choice"),
        ({"experiment": " "}, "must not be empty"),
        ({"heartbeat_seconds": 0.0}, "more than 0"),
    ],
)
def test_a_wrong_tracking_option_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrackingSpec(**changes)


def test_a_sweeps_running_runs_are_marked_killed(tracked_workdir):
    store = open_store(LOCAL)
    mine = store.start("mine", folder=tracked_workdir / "a", tags={"sweep": "s1"})
    other = store.start("other", folder=tracked_workdir / "b", tags={"sweep": "s2"})
    assert store.mark_killed("s1", "the sweep was stopped") == [mine.run_id]
    assert {run.name: run.status for run in store.runs()} == {"mine": "KILLED", "other": "RUNNING"}
    other.finish("FINISHED")


def test_what_a_killed_creation_left_is_not_played_into_the_new_database(workdir, migrated_database):
    shutil.copy2(migrated_database, workdir / "mlflow.db.partial")
    code = "import sqlite3,os,sys; c=sqlite3.connect('mlflow.db.partial'); c.execute('pragma cache_size=1');"
    code += "c.execute('begin'); c.execute('create table lost (x)');"
    code += "c.executemany('insert into lost values (?)', [('y'*500,) for _ in range(9000)]); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert (workdir / "mlflow.db.partial-journal").exists()
    local.prepare(workdir)
    assert sorted(p.name for p in workdir.glob("mlflow.db*")) == ["mlflow.db"]
    with sqlite3.connect(workdir / "mlflow.db") as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_artifacts_appear_in_one_step(tracked_workdir, monkeypatch):
    store = open_store(LOCAL)
    run = store.start("r", folder=tracked_workdir / "out")
    run.text("note.txt", "old")
    kept = store.download(run.run_id, "note.txt")

    def half(source, target):
        Path(target).write_text("ne")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(OSError, match="No space"):
        run.text("note.txt", "new")
    assert kept.read_text() == "old" and os.listdir(kept.parent) == ["note.txt"]
    run.finish("FAILED")


def test_the_database_stands_where_mlflow_looks_for_it(tracked_workdir):
    assert local.database_uri(tracked_workdir) == f"sqlite:///{tracked_workdir.resolve()}/mlflow.db"


def test_long_tags_are_cut_to_what_the_store_takes_and_many_go_in_batches(tracked_workdir):
    store = open_store(LOCAL)
    run = store.start("tagged", folder=tracked_workdir / "out")
    run.tags(
        {f"t{number}": str(number) for number in range(250)} | {"long": "x" * (MAX_TAG + 7), "full": "y" * MAX_TAG}
    )
    run.finish("FINISHED")
    tags = store.get(run.run_id).tags
    assert tags["long"] == "x" * (MAX_TAG - 3) + "..." and tags["full"] == "y" * MAX_TAG
    assert [tags[f"t{number}"] for number in range(250)] == [str(number) for number in range(250)]
    other = TrackingSpec(experiment="other")
    assert load_runs("my study/1", tracking=other)["name"].tolist() == ["tagged"]
    assert load_runs(tracking=other)["name"].tolist() == ["tagged"]
    assert store.runs() and not open_store(other).runs() and open_store(other).runs(everywhere=True)
