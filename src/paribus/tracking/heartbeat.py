"""Heartbeats of a run, and the reaper of runs whose process has ended."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.tracking.life_mark import LIFE_TAG, LifeMark, life_mark
from paribus.tracking.pages import PAGE, all_pages
from paribus.tracking.patience import hurried

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

MISSED_BEATS = 20
"""A run on another host counts as dead after this many missed beats, and after ten minutes at the earliest."""
LEAST_SILENCE = 600.0
_POLL = 0.05
Clock = Callable[[], float]
"""Seconds since the epoch by the clock of the store's machine; clocks of different hosts may differ by an hour."""
_living: set[str] = set()
"""Runs in progress in this process; a run with its mark that is not among them was lost while it started."""


def sign_of_life(heartbeat_seconds: float, clock: Clock = time.time) -> LifeMark:
    """Return the mark of this process with the current time of the store's clock."""
    pid = os.getpid()
    return LifeMark(here(), pid, process_started(pid), int(clock()), heartbeat_seconds)


def here() -> str:
    """Return the host, and on Linux its PID namespace: containers may share a host's name.

    Example:
        >>> here() == here()
        True
    """
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def process_started(pid: int) -> str:
    """Return when a process was started, in ticks since boot; empty where the system does not report it.

    It distinguishes a process from a later one with the same PID.
    """
    return (_stat(pid) or [""] * 20)[19]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the process state on; None where there are none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()


def process_alive(pid: int, started: str = "") -> bool:
    """Return whether a process of this host lives and is the one that was started at ``started``.

    A zombie, whose exit code has not been collected, is not alive: in a container without an init process it stays
    forever.

    Example:
        >>> import os
        >>> process_alive(os.getpid())
        True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OSError):
        pass
    stat = _stat(pid)
    if stat is not None and stat[0] in ("Z", "X"):
        return False
    now = stat[19] if stat is not None else ""
    return not (started and now) or started == now


class Heartbeat:
    """A thread that sends a run's heartbeat until it is stopped."""

    def __init__(self, client: MlflowClient, run_id: str, seconds: float, clock: Clock = time.time) -> None:
        """Start it."""
        self._run_id = run_id
        _living.add(run_id)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, args=(client, run_id, seconds, clock), name=f"heartbeat-{run_id[:8]}", daemon=True
        )
        self._thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """Stop it, and wait for a beat in progress, so that none comes after the run's end.

        Args:
            seconds: The longest to wait; None: as long as it takes.
        """
        self._stopped.set()
        self._thread.join(timeout=seconds)
        _living.discard(self._run_id)

    def _beat(self, client: MlflowClient, run_id: str, seconds: float, clock: Clock) -> None:
        while not self._stopped.wait(seconds):
            try:
                with hurried():  # a beat that waits for a locked store would be outdated
                    client.set_tag(run_id, LIFE_TAG, sign_of_life(seconds, clock).tags()[LIFE_TAG])
            except Exception:  # a missed beat is no reason to end a run; the next may succeed
                continue


def is_lost(run_id: str, mark: LifeMark | None, *, now: float) -> bool:
    """Return whether the process of a RUNNING run has ended.

    On this host the process itself is checked; on another one, the time since its last heartbeat decides. A run without
    a mark of Paribus never counts as lost.
    """
    if mark is None:
        return False
    if mark.host == here():
        if not process_alive(mark.pid, mark.started):
            return True
        return mark.pid == os.getpid() and run_id not in _living
    return now - mark.beat > max(MISSED_BEATS * mark.every, LEAST_SILENCE)


def reap(client: MlflowClient, experiment_ids: list[str], clock: Clock = time.time) -> list[str]:
    """Mark RUNNING runs whose process has ended as KILLED and return their ids."""
    if not experiment_ids:
        return []
    now = clock()
    running = "attributes.status = 'RUNNING'"
    found = all_pages(lambda token: client.search_runs(experiment_ids, running, max_results=PAGE, page_token=token))
    reaped = []
    for run_id, mark in [(run.info.run_id, life_mark(run.data.tags)) for run in found]:  # all, before one is changed
        if mark is None or not is_lost(run_id, mark, now=now):
            continue
        if close(client, run_id, f"its process {mark.pid} on {mark.host} is gone"):
            reaped.append(run_id)
    return reaped


def close(client: MlflowClient, run_id: str, message: str) -> bool:
    """Mark a run as KILLED if it is still RUNNING, and return whether it was.

    The status is checked again, because the run may have finished since the search and then stays as it is.
    """
    if client.get_run(run_id).info.status != "RUNNING":
        return False
    client.set_terminated(run_id, "KILLED")
    client.set_tag(run_id, "error_message", message)
    return True


def wait_for_end(run: Run, *, seconds: float) -> None:
    """Wait at most so long for the process of a run to end; not for one of another host, or our own."""
    mark = life_mark(run.data.tags)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if mark is None or mark.pid == os.getpid() or mark.host != here() or not process_alive(mark.pid, mark.started):
            return
        time.sleep(_POLL)
