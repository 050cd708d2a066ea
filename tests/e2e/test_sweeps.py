"""Sweeps with real command lines on a real store: planned, run, looked at, continued."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.kills import ENTRYPOINT, PATIENCE, WORKER, Sweep

from paribus.cli.main import main
from paribus.sweep import estimate, processors
from paribus.tracking.life_mark import life_mark
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states

TINY = [
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
]  # fmt: skip
SWEEP = ["-m", *TINY, "seed=range(3)"]


@pytest.fixture
def said(capsys):
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return run


def test_a_plan_writes_nothing_and_its_commands_run_by_themselves(tracked_workdir, said, undrawn_figures, monkeypatch):
    before = sorted(tracked_workdir.rglob("*"))
    out = said("plan", *SWEEP)
    assert out.startswith("3 jobs: experiment=family_1d_sweep") and "varies: seed (3)" in out and "3 to do" in out
    assert sorted(tracked_workdir.rglob("*")) == before
    lines = said("plan", *SWEEP, "workers=2", "sweep.retry=failed", "--commands").splitlines()
    assert len(lines) == 3 and all("workers" not in line and "retry" not in line for line in lines)
    program, *words = shlex.split(lines[1])
    assert program == "paribus" and words[-2:] == ["seed=1", "reuse=always"]
    said(*words)
    made = json.loads(said("plan", *SWEEP, "--json"))
    assert [job["state"] for job in made["jobs"]] == ["to do", "finished", "to do"] and made["to_run"] == 2
    assert made["counts"] == {"finished": 1, "to do": 2} and made["seconds"] > 0
    said(*words)  # found and reused
    assert said("plan", *SWEEP, "--commands", "--todo").count("\n") == 2
    assert len(json.loads(said("plan", *SWEEP, "--json"))["jobs"]) == 3
    assert "with 2 workers" not in said("plan", *SWEEP), "two short jobs"
    monkeypatch.setattr(estimate, "SAVED", 0.0)
    monkeypatch.setattr(processors, "processors", lambda: 2)
    assert "with 2 workers" in said("plan", *SWEEP) and " workers:" not in said("plan", *SWEEP, "workers=1")
    out = said(*SWEEP)
    assert "workers=2: earlier runs tell" in out and "1 of 3 jobs are done already" in out
    marks = [life_mark(run.tags) for run in run_states(TrackingSpec())]
    assert len(marks) == 3 and sum(mark is not None and mark.pid == os.getpid() for mark in marks) == 1


def test_wrong_plans_are_refused_in_one_line(tracked_workdir, capsys):
    for words in (
        ["-m", "seed=1,2"],
        [*SWEEP, "experiment.famly=x"],
        [*SWEEP, "--json", "--commands"],
        ["--cfg", "job"],
    ):
        assert main(["plan", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture
def sweep(tracked_workdir):
    made = Sweep(tracked_workdir, (*TINY, "seed=range(6)", "workers=2"))
    yield made
    made.close()


def test_a_sweep_that_is_killed_twice_is_completed_by_the_same_command(tracked_workdir, sweep, said, capsys):
    """A worker is killed: its job is lost and the others go on. The entrypoint is killed: no worker outlives it."""
    number = 6
    process = sweep.start()
    assert sweep.kill(WORKER)
    sweep.wait_for_more(1)
    assert sweep.kill(ENTRYPOINT)
    process.communicate(timeout=60)
    assert sweep.orphans() == []
    out = said("status")
    assert "its command has ended before all were through" in out
    assert "the same command again does what is missing" in out
    before = len(sweep.finished())
    assert 1 <= before < number and f"{before} finished" in out
    out = said("-m", *sweep.said)
    assert f"{before} of {number} jobs are done already and reused" in out
    assert sorted(sweep.finished().values()) == [1] * number, "each identity once"
    assert {run.status for run in sweep.runs()} == {"FINISHED", "KILLED"}, "nothing is left RUNNING"
    made = json.loads(said("status", "--json"))
    assert made["counts"] == {"finished": number} and made["reused"] == before
    assert len({job["run_id"] for job in made["jobs"]}) == number
    assert main(["status", "nope"]) == 2 and "no such sweep" in capsys.readouterr().err
    assert said("runs").count("family_1d_sweep") > 0 and "sweep 2" not in said("runs"), "sweeps are no runs"


@pytest.mark.soak
def test_two_equal_sweeps_at_once_share_the_work(tracked_workdir, sweep, said):
    """The one that takes a job first is held in it, so that the other must do the rest and wait for that job."""
    other = Sweep(tracked_workdir, sweep.words)
    both = [sweep.start(), other.start()]
    end = time.monotonic() + PATIENCE
    while not (first := [run for run in sweep.runs() if run.status == "RUNNING"]) and time.monotonic() < end:
        time.sleep(0.02)
    worker = life_mark(first[0].tags).pid
    entrypoint = next(process.pid for process in both if process.pid in _above(worker))
    for pid in (entrypoint, worker):
        os.kill(pid, signal.SIGSTOP)
    while time.monotonic() < end:
        done = [run for run in sweep.runs() if run.status == "FINISHED" and run.tags["sweep"] != first[0].tags["sweep"]]
        if done:
            break
        time.sleep(0.05)
    for pid in (worker, entrypoint):
        os.kill(pid, signal.SIGCONT)
    for process in both:
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out
    runs = sweep.runs()
    assert sorted(sweep.finished().values()) == [1] * 6, "each job was done once"
    assert {run.status for run in runs} == {"FINISHED"} and len({run.tags["sweep"] for run in runs}) == 2


HOLDS_THE_LOCK = """
import os, signal, sqlite3
connection = sqlite3.connect("mlflow.db", isolation_level=None)
connection.execute("begin exclusive")
print("held", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
LONGER_THAN_SQLITE_WAITS = 45.0


@pytest.mark.soak
def test_a_sweep_waits_for_a_store_that_a_stopped_process_keeps_locked(tracked_workdir, sweep):
    """It fails no job: it goes on when the process that holds the lock does, or is ended."""
    process = sweep.start()
    end = time.monotonic() + PATIENCE
    while not sweep.finished() and time.monotonic() < end:
        time.sleep(0.05)
    with subprocess.Popen([sys.executable, "-c", HOLDS_THE_LOCK], stdout=subprocess.PIPE, cwd=tracked_workdir) as other:
        assert other.stdout.readline() == b"held\n"
        time.sleep(LONGER_THAN_SQLITE_WAITS)
        assert process.poll() is None, "the sweep waits"
        other.kill()
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    logs = "".join(log.read_text() for log in tracked_workdir.rglob("paribus.log"))
    assert "mlflow.db is locked: another process writes" in logs and "is not locked any more" in logs
    assert sorted(sweep.finished().values()) == [1] * 6
    assert {run.status for run in sweep.runs()} == {"FINISHED"}


def _above(pid: int) -> set[int]:
    """Return the processes that a process descends from."""
    found = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return found
