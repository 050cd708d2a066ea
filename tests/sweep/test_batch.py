from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pty
import struct
import sys
import termios
from dataclasses import replace

import pytest

from paribus.config.settings import SweepSettings
from paribus.errors import ConfigError
from paribus.running.life import Busy
from paribus.running.run import run_job
from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Batch, Policy, not_started
from paribus.sweep.live import Live
from paribus.sweep.outcome import Outcome
from paribus.sweep.start import refuse_swept, start, told
from paribus.sweep.warned import ShownOnce
from paribus.tracking.claims import Claims

FAILED = Outcome(outcomes.FAILED, ("seed=1",), message="broke", kind="code")


def test_a_policy_goes_on_stops_or_counts_equal_errors():
    going = Policy(SweepSettings(equal_errors=0))
    for _ in range(50):
        going.ended(FAILED)
    assert going.stopped is None
    first = Policy(SweepSettings(on_error="stop"))
    first.ended(Outcome(outcomes.DONE, ()))
    first.ended(Outcome(outcomes.INTERRUPTED, (), kind="interrupted"))
    assert first.stopped is None
    first.ended(FAILED)
    assert "on_error=stop" in str(first.stopped)
    counting = Policy(SweepSettings(equal_errors=3))
    for message in ("a", "b", "a", "b"):
        counting.ended(replace(FAILED, message=message))
    assert counting.stopped is None
    counting.ended(replace(FAILED, message="a"))
    assert "3 jobs failed with the same message" in str(counting.stopped)


def test_the_table_counts_what_was_not_started_and_tells_the_kinds():
    left = not_started([1, 2], [("seed=0",), ("seed=1",), ("seed=2",)], "s", "a job failed")
    text = outcomes.failure_table([FAILED, *left], expected=3)
    assert "failed (code)  seed=1: broke" in text and "2 not started: a job failed" in text
    many = outcomes.failure_table([replace(FAILED, overrides=(f"seed={i}",)) for i in range(60)], expected=60)
    assert len(many.splitlines()) == outcomes.MOST + 2 and "20 more failed (code)" in many


def test_how_far_a_sweep_is():
    words = tuple(("a=1", f"seed={i}") for i in range(5))
    live = Live(Batch(words, (1, 2, 3, 4), (Outcome(outcomes.DONE, words[0], reused=True),)), workers=2)
    assert live.line() == "1 of 5 jobs  1 reused" and live.heading(1) == "\t#1 : seed=1 (1 of 5 through)"
    live.told(1, Outcome(outcomes.DONE, words[1], duration_seconds=60.0), 2)
    live.told(2, replace(FAILED, duration_seconds=60.0), 1)
    assert live.line() == "3 of 5 jobs  1 done, 1 reused, 1 running, 1 failed  about 1 min left"
    live.told(3, Outcome(outcomes.INTERRUPTED, words[3]), 1)
    assert live.line() == "4 of 5 jobs  1 done, 1 reused, 1 running, 1 failed, 1 killed  about 1 min left"


def test_in_a_log_a_line_tells_what_runs_once_every_worker_has_its_next_job(capsys, monkeypatch):
    words = tuple((f"seed={i}",) for i in range(4))
    now = [1000.0]
    monkeypatch.setattr("paribus.sweep.live.time.monotonic", lambda: now[0])
    live = Live(Batch(words, (0, 1, 2, 3), ()), workers=2)
    for number, running in ((0, 1), (1, 2)):
        live.told(number, None, running)
    now[0] = 1100.0
    live.told(0, Outcome(outcomes.DONE, words[0], duration_seconds=50.0), 1)
    assert capsys.readouterr().out == ""
    live.told(2, None, 2)
    assert capsys.readouterr().out.startswith("1 of 4 jobs  1 done, 2 running")
    live.told(3, None, 2)
    assert capsys.readouterr().out == ""
    for text in ("mlflow.db is locked", "mlflow.db is locked", "mlflow.db is not locked any more"):
        live.heard(text)
    assert capsys.readouterr().out.splitlines() == ["mlflow.db is locked", "mlflow.db is not locked any more"]
    for number in (1, 2):
        live.told(number, Outcome(outcomes.FAILED, words[number], duration_seconds=50.0), 2 - number)
    live.__exit__(None, None, None)
    assert capsys.readouterr().out == "3 of 4 jobs  1 done, 2 failed\n", "nothing more is started, so no time is left"


@pytest.mark.parametrize("width", [40, 200])
def test_a_bar_in_a_terminal_says_what_a_line_in_a_log_says(monkeypatch, width):
    shown_at, printed_to = pty.openpty()
    fcntl.ioctl(printed_to, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    terminal = open(printed_to, "w", buffering=1)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    words = tuple((f"seed={i}",) for i in range(4))
    with Live(Batch(words, (0, 1, 2, 3), ()), workers=2) as live:
        live.told(0, None, 1)
        live.told(0, Outcome(outcomes.DONE, words[0], duration_seconds=50.0), 1)
    terminal.close()
    text = b""
    with contextlib.suppress(OSError):  # at the end of a terminal
        while some := os.read(shown_at, 100_000):
            text += some
    os.close(shown_at)
    first, rest = text.decode().split("\r\n", 1)
    assert first == "4 jobs for 2 workers", "on a line of its own"
    shown = [line.strip() for line in rest.split("\r") if line.strip()]
    assert shown[0].startswith("0 of 4 jobs ") and all(len(line) <= width for line in shown)
    whole = "1 of 4 jobs, 1 done, 1 running, about 1 min 15 s left |"
    assert shown[-1][: len(whole)] == whole[: width - 1].strip()


def test_a_warning_that_repeats_is_shown_once_with_its_count():
    once = ShownOnce()

    def record(run, text, level=logging.WARNING):
        return logging.LogRecord("paribus", level, "", 0, "%s: %s", (run, text), None)

    shown = [once.filter(record(f"run {i}", "few clusters")) for i in range(3)]
    assert shown == [True, False, False] and once.filter(record("run 1", "another"))
    assert all(once.filter(record("run 1", "few clusters", logging.INFO)) for _ in range(2))
    assert once.summary() == ["said 3 times: few clusters"] and once.summary() == []


def test_a_job_that_another_process_is_at_is_left_for_later(store, job, monkeypatch):
    monkeypatch.setattr(Claims, "take", lambda self, identity: False)
    with pytest.raises(Busy):
        run_job(job("Measure"), sweep="s", waits=False)
    assert store.runs() == []


def test_the_start_of_a_sweep_takes_what_is_done_and_leaves_out_what_would_fail_again(store, job, node):
    jobs = [job("Measure"), job(node("Fail", how="data")), job("Measure", seed=3)]
    for each in jobs[:2]:
        try:
            run_job(each, sweep="before")
        except Exception as error:
            assert "row 7" in str(error)
    began = start(jobs, "s")
    assert began.todo == (2,) and began.settled[0].reused
    assert began.settled[1].kind == "data" and "sweep.retry=failed tries again" in str(began.settled[1].message)
    lines = told(began)
    assert lines[0].startswith("1 of 3 jobs are done already") and "1 failed before" in lines[-1]
    retried = [replace(each, sweep=SweepSettings(retry="failed")) for each in jobs]
    assert start(retried, "s").todo == (1, 2)
    with pytest.raises(ConfigError, match="cannot be swept over"):
        refuse_swept([jobs[0], retried[1]])
    never = [replace(each, reuse="never") for each in jobs]
    assert start(never, "s").todo == (0, 2)


def test_a_finished_run_that_is_damaged_is_run_again(store, job):
    result = run_job(job("Measure"), sweep="before")
    store.download(result.run_id, "tables/sweep.parquet").unlink()
    assert start([job("Measure")], "s").todo == (0,)
