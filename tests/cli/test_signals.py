"""Signals reach the jobs, wherever they run, and leave nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from paribus.cli.main import main
from paribus.sweep import outcome as outcomes
from paribus.sweep import signals

FAKES = Path(__file__).parent / "fakes"


def wait_for(condition, what, *, seconds=100.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s for {what}")


def lines(tmp_path: Path, first: str) -> list[list[str]]:
    log = tmp_path / "log"
    found = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [words for words in found if words[0] == first]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sweep_with_130(start, tmp_path, number):
    process = start("-m", "seed=1,2", "experiment.do=sleep")
    wait_for(lambda: lines(tmp_path, "start"), "the first job")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "paribus: interrupted" in err and "Traceback" not in err
    assert [w[1] for w in lines(tmp_path, "killed")] == ["1"]
    assert [w[1] for w in lines(tmp_path, "start")] == ["1"]  # the second job never starts
    (finish,) = lines(tmp_path, "finish")
    assert finish[3] == "True"
    (kept,) = (tmp_path / "work").rglob("outcome.json")
    assert outcomes.read(kept.parent).status == "interrupted"


def test_a_signal_ends_a_single_run_with_130(start, tmp_path):
    process = start("experiment.do=sleep")
    wait_for(lambda: lines(tmp_path, "start"), "the job")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert lines(tmp_path, "killed")


JOBLIB = ["-m", "seed=1,2,3,4", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
WORKERS = ["-m", "seed=1,2,3,4", "workers=2"]
SHARED = pytest.mark.parametrize(
    "shared", [pytest.param(JOBLIB, marks=pytest.mark.soak), WORKERS], ids=["joblib", "workers"]
)


def test_joblib_runs_the_same_jobs_and_says_what_failed_and_what_died(program, tmp_path, monkeypatch):
    """Three sweeps of one entrypoint: joblib's workers stay for the next, so they import everything once."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        assert program(*JOBLIB) == 0, program.err
        started = lines(tmp_path, "start")
        assert sorted(w[1] for w in started) == ["1", "2", "3", "4"]
        assert str(os.getpid()) not in {w[3] for w in started}
        assert lines(tmp_path, "finish")[0][1] == "4"

        assert program(*JOBLIB, "experiment.do=raise_odd") == 1
        assert "2 of 4 jobs did not finish" in program.err and "seed=3: RuntimeError: a bolt came loose" in program.err

        (tmp_path / "log").unlink()
        assert program(*JOBLIB, "experiment.do=die") == 1, program.err
        assert "Traceback" not in program.err
        assert "left no outcome" in program.err
        assert lines(tmp_path, "finish")
    finally:
        get_reusable_executor().shutdown(wait=True)


def test_a_failure_policy_stops_a_sweep(program):
    assert program("-m", "seed=1,2,3,4", "experiment.do=raise", "sweep.on_error=stop") == 1
    assert "3 not started: a job failed, and sweep.on_error=stop" in program.err and "failed (code)" in program.err
    assert program("-m", "seed=1,2,3,4", "experiment.do=raise", "sweep.equal_errors=2") == 1
    assert "2 not started: 2 jobs failed with the same message" in program.err
    assert "RuntimeError: a bolt" in next(program.folder.rglob("0/paribus.log")).read_text()


@SHARED
def test_workers_end_after_a_signal_to_the_parent(start_anew, tmp_path, shared):
    process = start_anew(*shared, "experiment.do=sleep")
    wait_for(lambda: len(lines(tmp_path, "start")) == 2, "two jobs")
    workers = [int(w[3]) for w in lines(tmp_path, "start")]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not any(map(alive, workers)), "the workers to end")
    assert len(lines(tmp_path, "start")) == 2
    assert lines(tmp_path, "finish")[0][3] == "True"


def test_workers_end_after_their_parent_is_killed(start, tmp_path):
    process = start(*JOBLIB, "experiment.do=sleep")
    wait_for(lambda: len(lines(tmp_path, "start")) == 2, "two jobs")
    workers = [int(w[3]) for w in lines(tmp_path, "start")]
    process.kill()
    wait_for(lambda: not any(map(alive, workers)), "the orphaned workers to end")
    assert sorted(w[1] for w in lines(tmp_path, "killed")) == ["1", "2"]  # they could still mark their runs
    assert len(lines(tmp_path, "start")) == 2  # and took up no further job


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(signals.Interrupted) as caught, signals.raising():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert caught.value.number == signal.SIGTERM
    assert isinstance(caught.value, KeyboardInterrupt)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_in_a_thread_nothing_is_installed():
    seen = []

    def body():
        with signals.raising():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_the_output_pipe_may_close_early(start_anew):
    process = start_anew("list", "data", fake=False)
    head = subprocess.run(["head", "-n", "1"], stdin=process.stdout, capture_output=True, text=True, timeout=30)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=30) == 0
    assert head.stdout and "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_runs_is_one_line_and_130(number, monkeypatch, capsys):
    monkeypatch.setattr("paribus.cli.main._dispatch", lambda words: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert main(["runs"]) == 130
    assert capsys.readouterr() == ("", "paribus: interrupted\n")
    assert signal.getsignal(number) is before
