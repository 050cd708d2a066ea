"""A run whose process is gone does not stay RUNNING; a living one is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from paribus.tracking import heartbeat
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.store import open_store

SPEC = TrackingSpec(heartbeat_seconds=0.1)

START = """
import time
from pathlib import Path
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.store import open_store
run = open_store(TrackingSpec()).start("doomed", folder=Path("out"))
print(run.run_id, flush=True)
time.sleep(60)
"""


def test_a_killed_process_is_reaped_and_a_living_one_is_not(tracked_workdir):
    child = subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True)
    doomed = child.stdout.readline().strip()
    store = open_store(SPEC)
    alive = store.start("alive", folder=tracked_workdir / "alive")
    assert store.reap() == []
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert store.reap() == [doomed]
    kept = {run.name: run for run in store.runs()}
    assert kept["doomed"].status == "KILLED" and f"process {child.pid}" in kept["doomed"].tags["error_message"]
    assert kept["alive"].status == "RUNNING"
    alive.finish("FINISHED")


def test_a_process_number_that_was_given_again_does_not_keep_a_run_alive(tracked_workdir):
    store = open_store(SPEC)
    run = store.start("old", folder=tracked_workdir / "o")
    run._heartbeat.stop()
    run.tags({heartbeat.BORN_TAG: "1"})
    assert store.reap() == [run.run_id]


def test_on_another_host_only_long_silence_counts(tracked_workdir):
    store = open_store(SPEC)
    recent = store.start("recent", folder=tracked_workdir / "a")
    silent = store.start("silent", folder=tracked_workdir / "b")
    foreign = store.client.create_run(store.experiment_id(), run_name="made by plain mlflow")
    for run, age in ((recent, 60), (silent, 4000)):
        run._heartbeat.stop()
        run.tags({heartbeat.HOST_TAG: "elsewhere", heartbeat.BEAT_TAG: str(int(time.time()) - age)})
    assert store.reap() == [silent.run_id]
    assert store.client.get_run(foreign.info.run_id).info.status == "RUNNING"
    recent.finish("FINISHED")


def test_the_heart_beats_until_the_run_ends(tracked_workdir):
    store = open_store(SPEC)
    run = store.start("r", folder=tracked_workdir / "o")
    run.tags({heartbeat.BEAT_TAG: "0"})
    deadline = time.monotonic() + 10
    while store.runs()[0].tags[heartbeat.BEAT_TAG] == "0":
        assert time.monotonic() < deadline, "no beat within ten seconds"
        time.sleep(0.05)
    run.finish("FINISHED")
    store.client.set_tag(run.run_id, heartbeat.BEAT_TAG, "0")
    time.sleep(0.3)
    assert store.runs()[0].tags[heartbeat.BEAT_TAG] == "0"


def test_a_process_knows_itself():
    mine = heartbeat.process_started(os.getpid())
    assert heartbeat.process_alive(os.getpid(), mine)
    assert not heartbeat.process_alive(2**22 + 12345)
