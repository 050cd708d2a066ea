"""Distributes jobs to workers: a killed worker loses only its current job and is replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from paribus.errors import ExperimentError
from paribus.running.failures import WORKER
from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Policy
from paribus.sweep.outcome import Outcome
from paribus.sweep.workers.messages import Begin, Fork, receive, send
from paribus.sweep.workers.server import preloaded
from paribus.sweep.workers.worker import Ended, Order, Said, Start

END_SECONDS = 12.0
"""Seconds that interrupted workers have to end their current jobs."""
MOST_LOST = 5
"""Number of consecutive workers that end without a finished job after which the pool gives up."""
_MEMORY = -signal.SIGKILL


Told = Callable[[int | None, Outcome | None, int], None]


@dataclass
class Worker:
    """A worker of the pool.

    Attributes:
        number: Its number, which determines its GPU.
        connection: Its socket.
        order: Its current job, None without one.
    """

    number: int
    connection: Connection
    order: Order | None = None


class Pool:
    """Workers of one machine, forked from a server that has imported what they need."""

    def __init__(
        self, number: int, start: Start, folder: Path, environment: Callable[[int], Mapping[str, str]]
    ) -> None:
        """Start nothing yet.

        Args:
            number: How many workers there are at most.
            start: The first message to each worker.
            folder: Where each writes its printed output.
            environment: The environment of worker ``k``.
        """
        self._number = number
        self._start = start
        self._folder = folder
        self._environment = environment
        self._control: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._workers: list[Worker] = []
        self._exits: list[tuple[int, int]] = []
        self._in_a_row = 0

    def run(
        self,
        orders: Sequence[Order],
        policy: Policy,
        told: Told,
        ended: list[Outcome],
        heard: Callable[[str], None] = lambda text: None,
    ) -> list[int]:
        """Run jobs, and return the numbers of those that were not started.

        Args:
            orders: The jobs.
            policy: Decides when no more are started.
            told: Called whenever a job was started or has ended: its number, its outcome, how many are running.
            ended: Receives the outcome of each job, also on a signal.
            heard: Called with a worker's messages while its job runs.

        Raises:
            KeyboardInterrupt: On a signal; the current jobs have ended, or were ended.
        """
        waiting, busy = deque(orders), deque[Order]()
        try:
            while True:
                self._hand_out(waiting, busy, policy, told)
                if not self._busy():
                    break
                for outcome in self._wait(busy, heard):
                    policy.ended(outcome)
                    ended.append(outcome)
                    told(outcome.number, outcome, len(self._busy()))
        except BaseException:
            ended += self._interrupt()
            raise
        finally:
            self._close()
        return [order.number for order in (*waiting, *busy)]

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.order is not None]

    def _hand_out(
        self,
        waiting: deque[Order],
        busy: deque[Order],
        policy: Policy,
        told: Told,
    ) -> None:
        """Give a job to every worker that has none."""
        while policy.stopped is None and (waiting or busy):
            free = next((worker for worker in self._workers if worker.order is None), None)
            if free is None and len(self._workers) >= self._number:
                return
            order = self._next(waiting, busy)
            if order is None:
                return
            free = free or self._fork()
            free.order = order
            with contextlib.suppress(OSError):  # it died just now: detected when its socket is read
                free.connection.send(order)
            told(order.number, None, len(self._busy()))

    def _next(self, waiting: deque[Order], busy: deque[Order]) -> Order | None:
        """Return the next job: first those that no other process has, then those waited for, comparisons last."""
        going = (*busy, *(worker.order for worker in self._busy() if worker.order is not None))
        if waiting and not (waiting[0].last and any(not order.last for order in going)):
            return waiting.popleft()
        return replace(busy.popleft(), waits=True) if busy else None

    def _wait(self, busy: deque[Order], heard: Callable[[str], None]) -> list[Outcome]:
        """Wait until some job has ended; a job that another process is executing is tried again later."""
        found: list[Outcome] = []
        by_connection = {worker.connection: worker for worker in self._workers}
        ready: list[Any] = wait([*by_connection, *([self._control] if self._control else [])])
        for each in ready:
            if each is self._control:
                self._read_exits()
                continue
            worker = by_connection[each]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                found += self._lost(worker)
                continue
            if isinstance(message, Said):
                heard(message.text)
                continue
            assert isinstance(message, Ended) and worker.order is not None
            order, worker.order = worker.order, None
            self._in_a_row = 0
            if message.outcome.status == outcomes.BUSY:
                busy.append(order)
            else:
                found.append(replace(message.outcome, number=order.number))
        return found

    def _lost(self, worker: Worker) -> list[Outcome]:
        """Take a dead worker off the list and return the outcome of the job that died with it."""
        self._workers.remove(worker)
        worker.connection.close()
        if worker.order is None:
            return []
        how = self._how_it_ended()
        self._in_a_row += 1
        if self._in_a_row >= MOST_LOST:
            raise ExperimentError(
                f"{MOST_LOST} workers in a row ended{how}; see the logs of their jobs, and {self._folder}"
            )
        sweep = self._start.surroundings.sweep
        message = f"its worker process ended{how}; the same command runs it again"
        order = worker.order
        return [Outcome(outcomes.FAILED, order.words, sweep, message=message, kind=WORKER, number=order.number)]

    def _how_it_ended(self) -> str:
        end = time.monotonic() + 1.0
        while not self._exits and self._control is not None and time.monotonic() < end:
            wait([self._control], timeout=max(0.0, end - time.monotonic()))
            self._read_exits()
        if not self._exits:
            return ""
        _, code = self._exits.pop(0)
        if code == _MEMORY:
            return " (killed by signal 9: perhaps memory ran out)"
        return f" (killed by {signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"

    def _read_exits(self) -> None:
        """Read the server's messages without blocking, because announced ones may already have been read."""
        while self._control is not None and wait([self._control], timeout=0):
            try:
                message, _ = receive(self._control)
                assert isinstance(message, tuple)
                self._exits.append(message)
            except (
                EOFError,
                OSError,
            ):  # the server and its workers have ended; another is started when needed
                self._control.close()
                self._control = None

    def _fork(self) -> Worker:
        """Start a worker."""
        if self._control is None:
            self._control = self._serve()
        taken = {worker.number for worker in self._workers}
        number = next(k for k in range(self._number) if k not in taken)
        ours, theirs = socket.socketpair()
        with theirs:
            log = str(self._folder / f"worker_{number}.log")
            try:
                send(self._control, Fork(number, dict(self._environment(number)), log), theirs)
            except OSError as error:
                ours.close()
                raise ExperimentError(f"workers: the process that starts them is gone ({error})") from error
        connection = Connection(ours.detach())
        connection.send(self._start)
        worker = Worker(number, connection)
        self._workers.append(worker)
        return worker

    def _serve(self) -> socket.socket:
        """Start the server."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "server.log").open("ab") as log:
                self._server = subprocess.Popen(
                    [sys.executable, "-m", "paribus.sweep.workers.server", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **self._environment(0), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        send(ours, Begin(list(sys.path), preloaded()))
        return ours

    def _interrupt(self) -> list[Outcome]:
        """End the current jobs by a signal, so that their runs are marked; kill those that do not end in time."""
        end = time.monotonic() + END_SECONDS
        self._signal_all(signal.SIGTERM)
        found: list[Outcome] = []
        while self._busy() and time.monotonic() < end:
            by_connection = {worker.connection: worker for worker in self._busy()}
            for each in wait(list(by_connection), timeout=0.2):
                worker = by_connection[each]  # type: ignore[index]
                message: object = None
                with contextlib.suppress(EOFError, OSError):
                    message = worker.connection.recv()
                if isinstance(message, Said):
                    continue
                if isinstance(message, Ended):
                    found.append(replace(message.outcome, number=message.number))
                worker.order = None
        if self._busy():
            self._signal_all(signal.SIGKILL)
        return found

    def _signal_all(self, number: int) -> None:
        """Send a signal to the server and everything that it forked: they are a process group of their own."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._server.pid, number)

    def _close(self) -> None:
        """End all workers and the server."""
        for worker in self._workers:
            worker.connection.close()
        self._workers.clear()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            try:
                self._server.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal_all(signal.SIGKILL)
                self._server.wait()
            self._server = None
