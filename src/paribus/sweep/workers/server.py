"""The process that workers are forked from: it imports once what they need, and runs no job itself.

It is started as a separate program, so that it inherits nothing of the entrypoint (threads, open database, CUDA), and
it has no threads when it forks.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from types import FrameType

from paribus.sweep.workers.ends import GRACE_SECONDS, die_with_parent
from paribus.sweep.workers.messages import Begin, Fork, receive, send

PRELOAD = {
    "torch": ("torch", "scipy.stats", "sklearn.linear_model", "paribus.figures.draw", "paribus.report.page"),
    "mlflow": ("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"),
    "pandas": ("pandas",),
    "paribus.running.run": ("paribus.running.run", "paribus.running.setup", "paribus.sweep.workers.worker"),
}
"""Modules to import before workers are forked, by modules that the entrypoint imported to check the jobs."""


def preloaded() -> list[str]:
    """Return the modules that workers of this program's jobs will need."""
    return [name for needed, names in PRELOAD.items() if needed in sys.modules for name in names]


def serve(control: socket.socket) -> None:
    """Fork a worker for every request until the other end is closed; report each worker that ended.

    Signals are for the workers. When the other end is closed, the workers notice it too, and are waited for.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    first, _ = receive(control)
    assert isinstance(first, Begin)
    sys.path[:] = first.path
    gc.disable()  # nothing that is imported is garbage; looking for some takes a fifth of the time of importing
    for name in first.preload:
        with contextlib.suppress(Exception):  # a failed import is reported where the module is needed
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()
    ended, noticed = _child_notices()
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            ended.recv(4096)
            for pid, status in _reaped():
                with contextlib.suppress(OSError):
                    send(control, (pid, os.waitstatus_to_exitcode(status)))
        if control in ready:
            try:
                request, descriptors = receive(control)
            except (EOFError, OSError):
                break
            assert isinstance(request, Fork)
            _fork(control, (ended, noticed), request, descriptors[0])
    _wait_for_all()


def _wait_for_all() -> None:
    end = time.monotonic() + GRACE_SECONDS + 1.0
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.02)


def _child_notices() -> tuple[socket.socket, socket.socket]:
    """Return a socket that becomes readable whenever a child ends, and its other end."""
    ended, noticed = socket.socketpair()
    ended.setblocking(False)
    noticed.setblocking(False)

    def nothing(_number: int, _frame: FrameType | None) -> None:
        """A handler that does nothing, required for the notification."""

    signal.signal(signal.SIGCHLD, nothing)
    signal.set_wakeup_fd(noticed.fileno(), warn_on_full_buffer=False)
    return ended, noticed


def _reaped() -> list[tuple[int, int]]:
    found = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            found.append((pid, status))
    return found


def _fork(control: socket.socket, notices: tuple[socket.socket, socket.socket], request: Fork, descriptor: int) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for each in (control, *notices):
            each.close()
        die_with_parent(parent)
        from paribus.sweep.workers.worker import work  # only in the worker, not in the server

        code = work(descriptor, request, parent)
    finally:
        os._exit(code)


def main() -> None:
    """Serve at the socket whose file descriptor is the program's argument."""
    with socket.socket(fileno=int(sys.argv[1])) as control, contextlib.suppress(EOFError, OSError):
        serve(control)


if __name__ == "__main__":
    main()
