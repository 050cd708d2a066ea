"""A run whose process is gone does not stay RUNNING; a living one is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from paribus.tracking import heartbeat
from paribus.tracking.life_mark import LIFE_TAG, OLD_TAGS, life_mark
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states

SPEC = TrackingSpec(heartbeat_seconds=0.1)
GONE = replace(heartbeat.sign_of_life(0.1), started="1")
"""The mark of a process that had our number before us."""

START = """
import time
from pathlib import Path
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.opening import open_store
run = open_store(TrackingSpec()).start("doomed", folder=Path("out"))
print(run.run_id, flush=True)
time.sleep(60)
"""


def test_a_killed_process_is_reaped_and_a_living_one_is_not(tracked_workdir, prepared):
    child = prepared.start([sys.executable, "-c", START])
    child.wait_for("\n")
    doomed = child.printed()[0].strip()
    store = open_store(SPEC)
    alive = store.start("alive", folder=tracked_workdir / "alive")
    assert store.reap() == []
    child.kill()
    child.wait()
    assert store.reap() == [doomed]
    kept = {run.name: run for run in store.runs()}
    assert kept["doomed"].status == "KILLED" and f"process {child.pid}" in kept["doomed"].tags["error_message"]
    assert kept["alive"].status == "RUNNING"
    alive.finish("FINISHED")


def test_a_process_that_nobody_buries_is_dead(tracked_workdir):
    """In a container without an init process the dead stay as zombies."""
    child = subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True)
    doomed = child.stdout.readline().strip()
    child.kill()
    deadline = time.monotonic() + 10
    while heartbeat.process_started(child.pid) and heartbeat.process_alive(child.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    store = open_store(SPEC)
    assert heartbeat.process_started(child.pid), "it is still in the table of processes"
    assert store.reap() == [doomed]
    child.wait()


def test_a_run_that_finishes_while_it_is_looked_at_stays_finished(tracked_workdir, monkeypatch):
    """The search found it RUNNING; then it finished and its process went."""
    store = open_store(SPEC)
    ids = []
    for name in ("reaped", "swept"):
        run = store.start(name, folder=tracked_workdir / name, tags={"sweep": "s1"})
        ids.append(run.run_id)
        run._heartbeat.stop()
        written(store, run, GONE.tags())
    running = store.runs(where="attributes.status = 'RUNNING'")
    found = store.client.search_runs([store.experiment_id()], "attributes.status = 'RUNNING'")
    for run_id in ids:
        store.client.set_terminated(run_id, "FINISHED")
    monkeypatch.setattr(store.client, "search_runs", lambda *args, **kwargs: found)
    assert store.reap() == []
    monkeypatch.undo()
    monkeypatch.setattr(store, "runs", lambda **kwargs: running)
    assert store.mark_killed("s1", "stopped") == []
    monkeypatch.undo()
    assert [(run.status, "error_message" in run.tags) for run in store.runs()] == [("FINISHED", False)] * 2


def test_however_many_are_left_all_are_closed(tracked_workdir, monkeypatch):
    monkeypatch.setattr(heartbeat, "PAGE", 2)
    store = open_store(SPEC)
    for number in range(5):
        run = store.start(f"r{number}", folder=tracked_workdir / "o")
        run._heartbeat.stop()
        written(store, run, GONE.tags())
    assert len(store.reap()) == 5 and {run.status for run in store.runs()} == {"KILLED"}


def test_no_beat_comes_after_the_end(tracked_workdir, monkeypatch):
    """A beat that is under way when the run finishes is waited for, however slow the store is."""
    store = open_store(SPEC)
    run = store.start("r", folder=tracked_workdir / "o")
    order, beating, original = [], threading.Event(), store.client.set_tag

    def slow(run_id, key, value):
        beating.set()
        time.sleep(1.0)
        order.append("beat")
        original(run_id, key, value)

    monkeypatch.setattr(threading.Thread, "join", _impatient(threading.Thread.join))
    monkeypatch.setattr(store.client, "set_tag", slow)
    assert beating.wait(10)
    run.finish("FINISHED")
    order.append("finished")
    time.sleep(1.3)
    assert order == ["beat", "finished"]


def _impatient(join):
    """Let a join with a limit give up at once, so that the test need not be slower than the limit."""
    return lambda self, timeout=None: join(self, None if timeout is None else 0.0)


def written(store, run, tags):
    """Write tags at once: those of a run wait for its metrics."""
    for name, value in tags.items():
        store.client.set_tag(run.run_id, name, value)


def test_a_process_number_that_was_given_again_does_not_keep_a_run_alive(tracked_workdir):
    store = open_store(SPEC)
    run = store.start("old", folder=tracked_workdir / "o")
    run._heartbeat.stop()
    written(store, run, GONE.tags())
    assert store.reap() == [run.run_id]


def test_on_another_host_only_long_silence_counts(tracked_workdir):
    store = open_store(SPEC)
    recent = store.start("recent", folder=tracked_workdir / "a")
    silent = store.start("silent", folder=tracked_workdir / "b")
    foreign = store.client.create_run(store.experiment_id(), run_name="made by plain mlflow")
    for run, age in ((recent, 60), (silent, 4000)):
        run._heartbeat.stop()
        written(store, run, replace(heartbeat.sign_of_life(0.1), host="elsewhere", beat=time.time() - age).tags())
    assert store.reap() == [silent.run_id]
    assert store.client.get_run(foreign.info.run_id).info.status == "RUNNING"
    recent.finish("FINISHED")


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_hosts_that_share_a_folder_judge_by_its_clock(tracked_workdir, monkeypatch, ahead):
    """A run that goes on was closed by a host that is an hour ahead, a dead one seen as alive by one that is behind."""
    run = open_store(SPEC).start("going on", folder=tracked_workdir / "one")
    real = time.time
    with monkeypatch.context() as other:
        other.setattr(heartbeat, "here", lambda: "elsewhere")
        other.setattr(time, "time", lambda: real() + ahead)
        assert [each.status for each in run_states(SPEC)] == ["RUNNING"]
        store = open_store(SPEC)
        assert store.reap() == [] and store.runs()[0].status == "RUNNING"
        assert abs(store.clock() - real()) < 5
        run._heartbeat.stop()
        silent = heartbeat.sign_of_life(0.1, lambda: real() - heartbeat.LEAST_SILENCE - 5)
        store.client.set_tag(run.run_id, LIFE_TAG, replace(silent, host="another").tags()[LIFE_TAG])
        assert [each.status for each in run_states(SPEC)] == ["KILLED"] and store.reap() == [run.run_id]


def test_the_heart_beats_until_the_run_ends(tracked_workdir):
    store = open_store(SPEC)
    run = store.start("r", folder=tracked_workdir / "o")
    silent = replace(heartbeat.sign_of_life(0.1), beat=0.0).tags()
    written(store, run, silent)
    deadline = time.monotonic() + 10
    while life_mark(store.runs()[0].tags).beat == 0:
        assert time.monotonic() < deadline, "no beat within ten seconds"
        time.sleep(0.05)
    run.finish("FINISHED")
    ((key, text),) = silent.items()
    store.client.set_tag(run.run_id, key, text)
    time.sleep(0.3)
    assert life_mark(store.runs()[0].tags).beat == 0


def test_of_all_tags_the_ui_shows_none_about_processes(tracked_workdir):
    """It shows every tag but those that begin with ``mlflow.``."""
    store = open_store(SPEC)
    run = store.start("r", folder=tracked_workdir / "o", tags={"experiment_type": "domain_swap"})
    time.sleep(0.3)  # a beat
    run.finish("FINISHED")
    shown = [name for name in store.runs()[0].tags if not name.startswith("mlflow.")]
    assert shown == ["experiment_type"]
    of_experiment = store.client.get_experiment(store.experiment_id()).tags
    assert not [name for name in of_experiment if not name.startswith("mlflow.")]


def test_runs_that_an_earlier_version_left_are_reaped_too(tracked_workdir):
    store = open_store(SPEC)
    for name, host, started, beat in (
        ("gone", heartbeat.here(), "1", time.time()),
        ("alive", heartbeat.here(), heartbeat.process_started(os.getppid()), 0),
        ("silent", "elsewhere", "1", time.time() - 4000),
        ("heard", "elsewhere", "1", time.time() - 60),
    ):
        values = {"host": host, "pid": os.getppid(), "started": started, "beat": int(beat), "every": 30}
        tags = {OLD_TAGS[key]: str(value) for key, value in values.items()}
        store.client.create_run(store.experiment_id(), tags=tags, run_name=name)
    store.reap()
    assert {run.name: run.status for run in store.runs()} == {
        "gone": "KILLED", "alive": "RUNNING", "silent": "KILLED", "heard": "RUNNING",
    }  # fmt: skip


def test_a_process_knows_itself():
    mine = heartbeat.process_started(os.getpid())
    assert heartbeat.process_alive(os.getpid(), mine)
    assert not heartbeat.process_alive(2**22 + 12345)
