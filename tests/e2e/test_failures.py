"""Runs that fail in the middle, through the real command line and a real store: FAILED with message and tables."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

TINY = [
    "data=digits_scanners", "data.n_train=60", "data.n_eval=40", "model=mlp", "model.untrained=true",
    "training.epochs=2",
    "training.n_evaluations=2", "training.n_checkpoints=1", "device=cpu", "tracking.experiment=failing",
]  # fmt: skip
OWN = '''
from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.spec import field


@dataclass(frozen=True)
class Fragile(Experiment):
    """Counts contexts, then breaks."""

    type: ClassVar[str] = "fragile"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "images"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Counts contexts, then breaks."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")

    do: str = field("finish", choices=("finish", "raise", "sleep"), help="What comes after the table.")

    def run(self, setup, recorder):
        frame = pd.DataFrame({"n": [len(setup.data.labels)]})
        recorder.table(Table("counted", "How many contexts.", self.evidence, frame))
        if self.do == "raise":
            raise ZeroDivisionError("the ratio has no\\nmeaning here")
        if self.do == "sleep":
            print("SLEEPING", flush=True)
            time.sleep(120)
        return Aggregates(n_samples=len(setup.data.labels))
'''
OPTION = "_target_: own_fragile.Fragile\ndo: finish\n"


@pytest.fixture
def folder(tracked_workdir: Path) -> Path:
    """A working folder with a store, and with an experiment of one's own in ``my_conf`` and ``own_fragile.py``."""
    (tracked_workdir / "my_conf" / "experiment").mkdir(parents=True)
    (tracked_workdir / "my_conf" / "experiment" / "fragile.yaml").write_text(OPTION)
    (tracked_workdir / "own_fragile.py").write_text(OWN)
    return tracked_workdir


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "paribus", *words, *TINY]


@pytest.fixture
def paribus(folder: Path, monkeypatch, capfd):
    """Return ``paribus(*words)``: the command line in this process, with its exit code and what it printed."""
    monkeypatch.syspath_prepend(str(folder))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> subprocess.CompletedProcess:
        capfd.readouterr()
        code = main([*words, *TINY])
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    yield run
    sys.modules.pop("own_fragile", None)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def runs(folder: Path):
    """Return the store and its runs by seed."""
    store = open_store(TrackingSpec(experiment="failing", folder=str(folder)), writing=False)
    return store, {int(run.tags["seed"]): run for run in store.runs()}


def test_a_loss_that_is_no_number_fails_the_run_and_the_sweep_goes_on(folder, paribus):
    done = paribus("-m", "experiment=train_classifier", "training.batch_size=64", "training.lr=1e30,0.001")
    assert done.returncode == 1, done.stderr
    store = open_store(TrackingSpec(experiment="failing"), writing=False)
    by_rate = {run.params["training.lr"]: run for run in store.runs()}
    broken, fine = by_rate[1e30], by_rate[0.001]
    assert (broken.status, fine.status) == ("FAILED", "FINISHED")
    message = broken.tags["error_message"]
    assert "loss" in message and "epoch" in message and "\n" not in message
    assert broken.tags["mlflow.note.content"] == f"FAILED: {message}"
    partial = store.result(broken.run_id)
    assert not partial.success and partial.error_message == message
    assert partial.tables["history"].frame["epoch"].max() == 1, "what was seen before the loss broke is kept"
    table = done.stderr[done.stderr.index("1 of 2 jobs did not finish") :]
    assert "training.lr=1e+30" in table and message in table and broken.run_id in table
    assert "Traceback" not in table
    assert "traceback.txt" in store.artifacts(broken.run_id)


def test_an_exception_in_an_experiment_keeps_the_tables_it_had(folder, paribus):
    words = ["-m", "experiment=fragile", "--config-dir", "my_conf", "seed=1", "experiment.do=raise,finish"]
    done = paribus(*words)
    assert done.returncode == 1, done.stderr
    store = open_store(TrackingSpec(experiment="failing"), writing=False)
    by_what = {run.params["experiment.do"]: run for run in store.runs()}
    assert {what: run.status for what, run in by_what.items()} == {"raise": "FAILED", "finish": "FINISHED"}
    broken = by_what["raise"]
    message = "ZeroDivisionError: the ratio has no meaning here"
    assert broken.tags["error_message"] == message
    partial = store.result(broken.run_id)
    assert (
        partial.tables["counted"].frame["n"].tolist()
        == store.result(by_what["finish"].run_id).tables["counted"].frame["n"].tolist()
    )
    assert not partial.success and partial.error_message == message
    assert store.artifacts(broken.run_id, "tables") == ["tables/counted.json", "tables/counted.parquet"]
    assert message in store.download(broken.run_id, "report.html").read_text()
    assert f"experiment.do=raise: {message} (run {broken.run_id})" in done.stderr
    # the run that failed is not taken for a finished one, the other is, and is named
    again = paribus(*words)
    assert again.returncode == 1
    print(again.stdout)
    assert f"run {by_what['finish'].run_id[:8]}" in again.stdout and "1 of 2 jobs are done" in again.stdout
    assert f"{message} (in an earlier sweep, by this very code; sweep.retry=failed tries again)" in again.stderr
    assert sorted(run.status for run in store.runs()) == ["FAILED", "FINISHED"]
    assert paribus(*words, "sweep.retry=failed").returncode == 1
    assert sorted(run.status for run in store.runs()) == ["FAILED", "FAILED", "FINISHED"]


def test_a_folder_of_artifacts_that_cannot_be_written_fails_the_run(folder, paribus):
    """A file stands where the artifacts belong, which stops even the superuser."""
    assert paribus("experiment=fragile", "--config-dir", "my_conf", "seed=0").returncode == 0
    store, by_seed = runs(folder)
    assert by_seed[0].status == "FINISHED"
    artifacts = folder / "mlruns" / "failing"
    artifacts.rename(folder / "mlruns" / "moved")
    artifacts.write_text("a file")
    done = paribus("-m", "experiment=fragile", "--config-dir", "my_conf", "seed=1,2")
    assert done.returncode == 1, done.stderr
    _, by_seed = runs(folder)
    for seed in (1, 2):
        assert by_seed[seed].status == "FAILED"
        assert str(artifacts) in by_seed[seed].tags["error_message"]
    assert "2 of 2 jobs did not finish" in done.stderr
    assert f"seed=2: {by_seed[2].tags['error_message']}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_kills_the_run_that_goes_on_and_starts_no_other(folder, number, prepared):
    words = ["-m", "experiment=fragile", "--config-dir", "my_conf", "seed=1,2", "experiment.do=sleep"]
    process = prepared.start(command(*words), cwd=folder)
    try:
        process.wait_for("SLEEPING")
        started = time.monotonic()
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert time.monotonic() - started < 60
    assert "paribus: interrupted" in error and "Traceback" not in error
    store, by_seed = runs(folder)
    assert {seed: run.status for seed, run in by_seed.items()} == {1: "KILLED"}
    assert signal.Signals(number).name in by_seed[1].tags["error_message"]
    assert store.artifacts(by_seed[1].run_id, "tables") == ["tables/counted.json", "tables/counted.parquet"]
