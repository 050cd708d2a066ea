"""Signs of life of a run, and the reaper of runs whose process is gone."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

HOST_TAG = "paribus.host"
PID_TAG = "paribus.pid"
BORN_TAG = "paribus.process_started"
BEAT_TAG = "paribus.heartbeat"
EVERY_TAG = "paribus.heartbeat_seconds"
MISSED_BEATS = 20
"""A run on another host counts as dead after this many missed beats, and ten minutes at least."""
LEAST_SILENCE = 600.0


def life_tags(heartbeat_seconds: float) -> dict[str, str]:
    """Return the tags that say which process a run lives in."""
    pid = os.getpid()
    return {
        HOST_TAG: here(),
        PID_TAG: str(pid),
        BORN_TAG: process_started(pid),
        BEAT_TAG: str(int(time.time())),
        EVERY_TAG: f"{heartbeat_seconds:g}",
    }


def here() -> str:
    """Return the host, and on Linux the space of its process numbers: containers may share a host's name."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def process_started(pid: int) -> str:
    """Return when a process was started, in ticks since boot; empty where the system does not say.

    It tells a process from a later one that was given the same number.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def process_alive(pid: int, started: str = "") -> bool:
    """Return whether a process of this host lives and is the one that was started at ``started``."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OSError):
        pass
    now = process_started(pid)
    return not (started and now) or started == now


class Heartbeat:
    """A thread that renews a run's sign of life until it is stopped."""

    def __init__(self, client: MlflowClient, run_id: str, seconds: float) -> None:
        """Start it."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, args=(client, run_id, seconds), name=f"heartbeat-{run_id[:8]}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop it."""
        self._stopped.set()
        self._thread.join(timeout=5.0)

    def _beat(self, client: MlflowClient, run_id: str, seconds: float) -> None:
        while not self._stopped.wait(seconds):
            try:
                client.set_tag(run_id, BEAT_TAG, str(int(time.time())))
            except Exception:  # a missed beat is no reason to end a run; the next may succeed
                continue


def is_dead(run: Run, *, now: float) -> bool:
    """Return whether a RUNNING run's process is gone.

    On this host the process itself is looked at; on another one, long silence decides. A run without our tags is
    never judged.
    """
    tags = run.data.tags
    if HOST_TAG not in tags or not tags.get(PID_TAG, "").isdigit():
        return False
    if tags[HOST_TAG] == here():
        return not process_alive(int(tags[PID_TAG]), tags.get(BORN_TAG, ""))
    try:
        last, every = float(tags[BEAT_TAG]), float(tags[EVERY_TAG])
    except (KeyError, ValueError):
        return False
    return now - last > max(MISSED_BEATS * every, LEAST_SILENCE)


def reap(client: MlflowClient, experiment_ids: list[str]) -> list[str]:
    """Mark RUNNING runs whose process is gone as KILLED and return their ids."""
    reaped: list[str] = []
    if not experiment_ids:
        return reaped
    now = time.time()
    for run in client.search_runs(experiment_ids, "attributes.status = 'RUNNING'", max_results=1000):
        if is_dead(run, now=now):
            tags = run.data.tags
            message = f"its process {tags[PID_TAG]} on {tags[HOST_TAG]} is gone"
            client.set_tag(run.info.run_id, "error_message", message)
            client.set_terminated(run.info.run_id, "KILLED")
            reaped.append(run.info.run_id)
    return reaped
