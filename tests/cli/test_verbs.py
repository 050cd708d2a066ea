from __future__ import annotations

import shutil
import socket
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from paribus.cli.main import main
from paribus.cli.verbs import doctor, ui
from paribus.config import catalogue
from paribus.results.evidence import Evidence
from paribus.results.schema import Table


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder whose store holds a finished run, a failed one, and a nested one."""
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    folder = tmp_path_factory.mktemp("filled")
    ids = {}
    for name, study, status, error in (("good", "one", "FINISHED", None), ("bad", "two", "FAILED", "it broke")):
        store = open_store(TrackingSpec(experiment=study, folder=str(folder)))
        tags = {"experiment_type": "domain_swap", "seed": "3", "training": "grokking"}
        run = store.start(name, folder=folder / name, tags=tags, parent=ids.get("good"))
        ids[name] = run.run_id
        run.config({"model": {"width": 8}})
        run.metrics({"head_ood_acc": 0.875})
        rows = pd.DataFrame({"feature": [0, 0, 7], "name": ["a", "b", "c"]})
        run.table(Table("effects", "One row per effect.", Evidence.OBSERVATIONAL, rows))
        run.finish(status, error)
    return folder, ids


@pytest.fixture
def here(filled, monkeypatch):
    monkeypatch.chdir(filled[0])
    return filled[1]


def output(capsys, *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def test_list_shows_every_type_with_evidence_subject_and_a_line(capsys):
    text = output(capsys, "list")
    for option in catalogue.options("experiment"):
        (line,) = [one for one in text.splitlines() if one.split()[0] == option.name]
        cls = option.load()
        assert line.split()[1:4] == [str(cls.evidence), ",".join((cls.subject, *cls.subjects)), "paribus"]
        assert cls.summary in line
    assert "(needs family)" in text


def test_list_shows_options_and_variables(capsys):
    assert "model=small_cnn" in output(capsys, "list", "model")
    text = output(capsys, "list", "family_1d_sweep")
    assert "experiment.family" in text and "(required)" in text
    assert "training.epochs" in output(capsys, "list", "training/standard")
    assert "study=shortcut_digits" in output(capsys, "list", "study")
    assert "did you mean 'domain_swap'" in output(capsys, "list", "domain_swp", code=2)
    assert "did you mean 'model'" in output(capsys, "list", "modl", code=2)


def test_one_broken_type_does_not_hide_the_others(capsys, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("_target_: nowhere.Mine\n")
    assert main(["list", "--config-dir", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "train_classifier" in out
    assert "experiment=mine._target_: there is no module 'nowhere'" in err


def test_runs(here, capsys):
    text = output(capsys, "runs")
    header, *lines = text.splitlines()
    assert header.split() == ["run", "started", "status", "study", "experiment", "training", "seed", "duration", "name"]
    assert len(lines) == 2
    (good,) = [line for line in lines if "FINISHED" in line]
    assert here["good"][:8] in good and "domain_swap" in good and "grokking" in good
    assert len(output(capsys, "runs", "--limit", "1").splitlines()) == 2
    assert "FAILED" not in output(capsys, "runs", "--study", "one")
    assert "FINISHED" not in output(capsys, "runs", "--where", "attributes.status = 'FAILED'")
    assert output(capsys, "runs", "--study", "three") == "No runs found.\n"


def test_show(here, capsys):
    text = output(capsys, "show", here["good"][:8])
    assert here["good"] in text and "FINISHED in one" in text
    assert "model.width" not in text and "model.width" in output(capsys, "show", here["good"], "--all")
    for part in ("head_ood_acc", "0.875", "nested runs", here["bad"][:8]):
        assert part in text
    assert "it broke" in output(capsys, "show", here["bad"])


def test_show_prints_the_rows_of_one_feature(here, capsys):
    said = output(capsys, "show", here["good"][:8], "--row", "feature=0").split()
    assert said == ["effects", "feature", "name", "0", "a", "0", "b"]
    assert output(capsys, "show", here["good"][:8], "--table", "effects").split()[-1] == "c"
    assert output(capsys, "show", here["good"][:8], "--row", "name=c").split()[-2:] == ["7", "c"]
    for words, part in (
        (["--table", "effect"], "did you mean 'effects'"),
        (["--row", "latent=0"], "has a column 'latent'"),
        (["--row", "feature=x"], "with such a value"),
        (["--row", "feature"], "COLUMN=VALUE"),
    ):
        assert part in output(capsys, "show", here["good"][:8], *words, code=2)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["show"], "wants a run"),
        (["show", "0000ffff"], "no such run"),
        (["show", "not hex"], "not a run id"),
        (["runs", "--limit", "0"], "--limit"),
        (["runs", "--limit", "many"], "--limit"),
        (["runs", "--frob"], "does not know '--frob'"),
        (["runs", "--where", "nonsense !"], "--where"),
        (["runs", "model=mlp"], "only the store"),
        (["runs", "tracking.kind=nope"], "tracking.kind"),
        (["ui", "--port", "0"], "--port"),
        (["list", "--config-dir", "nowhere"], "no such folder"),
        (["list", "--config-dir", "x" * 5000], "no such folder"),
        (["runs", "--config-dir", "x" * 5000], "no such folder"),
        (["verify", "x" * 5000], "nor a file"),
        (["verify", "--files", "x" * 5000], "no such folder"),
        (["verify", "--files", "~nosuchuser/x"], "no such folder"),
        (["list", "x" * 5000], "(5003 characters)"),
        (["plan", "x" * 5000], "(5001 characters)"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(here, capsys, words, part):
    text = output(capsys, *words, code=2)
    assert part in text and len(text.splitlines()) == 1 and len(text) < 1000


def test_looking_creates_no_store(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "No runs yet" in output(capsys, "runs")
    assert "there are no runs yet" in output(capsys, "show", "abcd", code=2)
    assert "there are no runs yet" in output(capsys, "ui", code=2)
    assert "No runs yet" in output(capsys, "runs", "tracking=off")
    assert "0 runs marked as KILLED" in output(capsys, "doctor", "--reap")
    assert list(tmp_path.iterdir()) == []


def test_ui_becomes_mlflow_on_loopback(here, capsys, monkeypatch):
    started = []
    monkeypatch.setattr(
        ui.os, "execv", lambda path, words: started.append(words) or (_ for _ in ()).throw(SystemExit(0))
    )
    with pytest.raises(SystemExit):
        main(["ui", "--port", "5917"])
    (words,) = started
    assert words[1:4] == ["-m", "mlflow", "ui"]
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--backend-store-uri") + 1].endswith("/mlflow.db")
    assert words[words.index("--workers") + 1] == "1"
    first, *studies = capsys.readouterr().out.splitlines()
    assert first.startswith("http://127.0.0.1:5917 ")
    assert studies and all("http://127.0.0.1:5917/#/experiments/" in line for line in studies)


def test_ui_refuses_a_database_of_something_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("mlflow.db")) as connection:
        connection.execute("create table others (a int)")
    assert "not MLflow's" in output(capsys, "ui", "--port", "1", code=2)
    assert "not MLflow's" in output(capsys, "runs", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_ui_refuses_a_taken_port(here, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "choose another" in output(capsys, "ui", "--port", str(taken.getsockname()[1]), code=2)


def test_ui_of_a_server_is_the_servers(capsys):
    """It is named at once, also where it does not answer."""
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        text = output(capsys, "ui", "tracking=server", f"tracking.uri={address}")
    assert address in text and "does not answer" in text


def test_doctor_finds_everything_in_order(here, capsys):
    text = output(capsys, "doctor")
    assert all(line.startswith("ok") for line in text.splitlines())
    assert "torch" in text and "mlflow.db" in text


def test_doctor_says_what_is_wrong(filled, tmp_path, monkeypatch, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(filled[0], moved)
    monkeypatch.chdir(moved)
    monkeypatch.setattr(doctor, "_PACKAGES", ("a-package-that-is-not-there",))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "a-package-that-is-not-there" in line]
    assert line.startswith("!!") and line.endswith("is not installed")
    assert "doctor --relocate" in out
    assert "paths rewritten" in output(capsys, "doctor", "--relocate")
    assert "Nothing to do" in output(capsys, "doctor", "--relocate")
    assert "0 runs marked as KILLED" in output(capsys, "doctor", "--reap")
