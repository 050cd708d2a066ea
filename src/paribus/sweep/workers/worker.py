"""A worker: runs jobs one after the other, keeping what they load."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.callbacks import Callbacks
from hydra.types import HydraContext

from paribus.config._compatibility import Loader
from paribus.errors import one_line
from paribus.sweep import collector
from paribus.sweep import outcome as outcomes
from paribus.sweep.loader import SweepLoader, run_one
from paribus.sweep.outcome import Outcome
from paribus.sweep.task import Surroundings, Task
from paribus.sweep.workers.ends import Watch
from paribus.sweep.workers.printed import in_own_log
from paribus.tracking import patience

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from paribus.sweep.batch import Batch
    from paribus.sweep.workers.messages import Fork


@dataclass(frozen=True)
class Start:
    """The first message to a worker.

    Attributes:
        master: Hydra's configuration of the sweep.
        conf: The shipped configuration folder.
        surroundings: What each job needs to know.
    """

    master: DictConfig
    conf: Path
    surroundings: Surroundings


@dataclass(frozen=True)
class Order:
    """A job for a worker.

    Attributes:
        number: Its number in the sweep.
        words: Its overrides.
        waits: Whether it waits while another process is at the same one.
        last: Whether it starts after all others have ended.
    """

    number: int
    words: tuple[str, ...]
    waits: bool
    last: bool = False


@dataclass(frozen=True)
class Ended:
    """Message of a worker when a job has ended."""

    number: int
    outcome: Outcome


@dataclass(frozen=True)
class Said:
    """Message of a worker while a job runs: that it waits for the store."""

    text: str


class _Telling(logging.Handler):
    """Forwards messages about the store to the entrypoint; only the main thread, which runs the jobs, sends."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        if threading.current_thread() is threading.main_thread():
            with contextlib.suppress(OSError):
                self._connection.send(Said(record.getMessage()))


def work(descriptor: int, request: Fork, server: int) -> int:
    """Serve a socket until its other end is closed, and return the exit code."""
    os.environ.update(request.environment)
    if request.log is not None:
        _write_to(Path(request.log))
    watch = Watch(descriptor, server)
    connection = Connection(descriptor)
    patience.log.addHandler(_Telling(connection))
    with contextlib.suppress(EOFError, OSError), collector.seldom():
        start = connection.recv()
        context = context_of(start)
        while True:
            order = connection.recv()
            outcome = done(order, start, context)
            if watch.orphaned:
                return 1
            connection.send(Ended(order.number, outcome))
    return 0


def context_of(start: Start) -> HydraContext:
    """Return Hydra's loader and callbacks for the sweep."""
    loader = Loader(start.conf, [Path(folder) for folder in start.surroundings.config_dirs]).loader
    return HydraContext(config_loader=SweepLoader(loader), callbacks=Callbacks(start.master))


def done(order: Order, start: Start, context: HydraContext) -> Outcome:
    """Run a job and return its outcome; a signal is reported in it, and the worker continues."""
    sweep = start.surroundings.sweep
    lost = Outcome(outcomes.FAILED, order.words, sweep, number=order.number, message="it left no outcome")
    task = Task(replace(start.surroundings, waits=order.waits))

    def run(config: DictConfig) -> None:
        with in_own_log():
            task(config)

    try:
        folder = run_one(context, start.master, run, order.number, order.words)
    except KeyboardInterrupt:
        return replace(lost, status=outcomes.INTERRUPTED, message="interrupted")
    except Exception as error:  # the job itself never raises: this is an error of its folder, or of Hydra
        return replace(lost, message=one_line(f"{type(error).__name__}: {error}"))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
    return outcomes.read(folder) or lost


def _write_to(path: Path) -> None:
    """Redirect what is printed between jobs to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def orders(batch: Batch) -> list[Order]:
    """Return the orders of a batch; at first none waits for another process."""
    return [Order(number, tuple(batch.words[number]), waits=False, last=number in batch.last) for number in batch.todo]
