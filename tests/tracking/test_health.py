"""What the doctor names in a store, and mends."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow.store.db.utils as mlflow_db
import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from benchmarks.away import _begin, _end
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from paribus.cli.main import main
from paribus.tracking import heartbeat, local
from paribus.tracking import ledger as ledgers
from paribus.tracking.ledger import LedgerClaims
from paribus.tracking.opening import open_store
from paribus.tracking.query import load_runs
from paribus.tracking.spec import TrackingSpec

SPEC = TrackingSpec(experiment="health")


def finished(identity="ab" * 16):
    """Make a finished run in the working folder."""
    run = _begin(open_store(SPEC), Path("multirun"), identity)
    _end(run, identity)
    return run


@pytest.fixture
def doctor(capsys):
    """Ask the doctor; return what it says, by name."""

    def ask(*words: str, code: int) -> dict[str, str]:
        capsys.readouterr()
        assert main(["doctor", *words]) == code
        lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines() if line[:2] in ("ok", "!!")]
        return {name: f"{mark} {text}" for mark, name, text in lines}

    return ask


def kept(run):
    return Path(open_store(SPEC).download(run.run_id, "result.json")).parent


def test_files_that_are_gone_come_back_from_the_output_folder(tracked_workdir, doctor):
    whole, lost = finished(), finished("cd" * 16)
    assert doctor(code=0)["files"].startswith("ok of 2 finished runs")
    (kept(whole) / "tables" / "effects.parquet").unlink()
    (kept(whole) / "config.yaml").write_text("x")
    folder = kept(lost)
    shutil.rmtree(folder)
    shutil.rmtree(lost.folder)
    said = doctor(code=1)["files"]
    assert said.startswith("!! 2 of 2") and whole.run_id[:8] in said and "measured again" in said
    said = doctor("--mend", code=1)["files"]
    assert said.startswith("!! 1 of 2") and lost.run_id[:8] in said and whole.run_id[:8] not in said
    assert open_store(SPEC).complete(whole.run_id).success


def test_runs_left_open_and_work_nobody_wants_are_cleared(tracked_workdir, doctor, monkeypatch):
    finished()
    work = Path("multirun/.work")
    for name in ("ab" * 16, "ef" * 16, f"{'ef' * 16}-{2**22 + 1}"):
        (work / name).mkdir(parents=True)
    left = open_store(SPEC).start("left", folder=Path("left"))
    assert doctor(code=1)["runs"].startswith("ok 1 go on")
    heartbeat._living.discard(left.run_id)
    said = doctor(code=1)
    assert said["runs"].startswith("!! 1 are marked as RUNNING") and said["work"].startswith("!! 2 folders")
    said = doctor("--mend", code=0)
    assert said["runs"].startswith("ok 0 go on") and said["work"].startswith("ok nothing")
    assert [path.name for path in work.iterdir() if path.is_dir()] == ["ef" * 16], (
        "a killed run takes its work up again"
    )
    left._heartbeat.stop()


@pytest.mark.parametrize("content", [b"", b"no database" * 99])
def test_a_file_that_is_no_database_is_set_aside(workdir, doctor, content):
    Path("mlflow.db").write_bytes(content)
    assert doctor(code=1)["store"].startswith("!!")
    assert doctor("--mend", code=0)["store"].startswith("ok none yet")
    assert Path("mlflow.db.set_aside").read_bytes() == content and not Path("mlflow.db").exists()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY_RECOVERY])
def test_a_database_that_a_disk_or_the_rights_keep_from_being_read_stays_where_it_is(
    tracked_workdir, doctor, monkeypatch, code
):
    def refused(path, **given):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    finished()
    before = Path("mlflow.db").read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(local, "connect", refused)
        for words in ((), ("--mend",)):
            assert doctor(*words, code=1)["store"].endswith("mlflow.db: cannot be read (disk I/O error)")
    assert Path("mlflow.db").read_bytes() == before and not Path("mlflow.db.set_aside").exists()
    assert doctor(code=0)["files"].startswith("ok of 1 finished runs")


def test_a_database_of_an_older_mlflow_is_migrated_and_kept_beside(workdir, doctor):
    uri = local.database_uri(workdir)
    config = mlflow_db._get_alembic_config(uri)
    older = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()][3]
    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as connection:
        InitialBase.metadata.create_all(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()
    assert "of an older MLflow" in doctor(code=1)["store"]
    assert doctor("--mend", code=0)["runs"].startswith("ok")
    assert Path("mlflow.db.before_mend").is_file()
    finished()
    assert doctor(code=0)["files"].startswith("ok of 1")


def test_the_schema_of_a_newer_mlflow_is_named(tracked_workdir, doctor):
    finished()

    def state(revision):
        with closing(sqlite3.connect("mlflow.db")) as connection, connection:
            (before,) = connection.execute("select version_num from alembic_version").fetchone()
            connection.execute("update alembic_version set version_num = ?", (revision,))
        return before

    newest = state("ffffffffffff")
    assert "of a newer MLflow" in doctor(code=1)["store"]
    state(newest)
    assert doctor(code=0)["store"].startswith("ok")


def test_mixed_versions_are_named(tracked_workdir, doctor):
    store = open_store(SPEC)
    for version in ("0.1", "0.2"):
        store.start("r", folder=Path("x"), tags={"paribus.version": version}).finish("FINISHED")
    assert "health: 0.1 (1 runs), 0.2 (1 runs)" in doctor(code=0)["versions"]


def test_claims_of_the_dead_are_given_back(tracked_workdir, doctor, monkeypatch):
    uri = local.database_uri(tracked_workdir)
    store = open_store(TrackingSpec(kind="server", uri=uri, experiment="team"))
    claims = LedgerClaims(store.client, store.experiment_id(), 30.0)
    assert claims.take("ab" * 16)
    at = ["tracking=server", f"tracking.uri={uri}"]
    assert doctor(*at, code=0)["claims"].startswith("ok")
    monkeypatch.setattr(heartbeat, "process_alive", lambda pid, started="": False)
    assert doctor(*at, code=1)["claims"].startswith("!! 1 of")
    assert doctor("--mend", *at, code=0)["claims"].startswith("ok none")
    monkeypatch.setattr(ledgers, "process_alive", lambda pid, started="": True)
    assert LedgerClaims(store.client, store.experiment_id(), 30.0).take("ab" * 16)


def test_every_verb_says_that_a_store_was_moved(tracked_workdir, tmp_path, monkeypatch, capsys, doctor, caplog):
    run = finished()
    moved = tmp_path / "moved"
    shutil.copytree(tracked_workdir, moved)
    monkeypatch.chdir(moved)
    plan = ["plan", "experiment=family_1d_sweep", "experiment.family=SCU", "model=planted", "feature=dose"]
    for words in (["runs"], ["show", run.run_id[:8]], ["status"], ["figures", run.run_id[:8], "out"], plan):
        capsys.readouterr()
        main(words)
        said = capsys.readouterr().err
        assert "paribus doctor --relocate" in said and str(tracked_workdir) in said, words
    with caplog.at_level("WARNING", logger="paribus"):
        assert len(load_runs()) == 1
    assert "paribus doctor --relocate" in caplog.text
    assert "paribus doctor --relocate" in doctor(code=1)["store"]
    assert doctor("--mend", code=0)["files"].startswith("ok of 1")
    capsys.readouterr()
    assert main(["runs"]) == 0 and capsys.readouterr().err == ""
    assert json.loads((kept(run) / "result.json").read_text())["run_id"] == run.run_id
