"""Ctrl-C and SIGTERM: both end a run in the same orderly way, in the parent and in every job process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

EXIT_INTERRUPTED = 130
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """Raised by a signal; not caught by ``except Exception``."""

    def __init__(self, number: int) -> None:
        """Store the signal's number."""
        super().__init__(signal.Signals(number).name)
        self.number = number


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def raising() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise :class:`Interrupted`; the former handlers come back afterwards.

    Signals can only be handled in the main thread; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.signal(number, _raise) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ParentWatch:
    """Ends a worker process whose parent has died.

    A joblib worker survives a killed parent and would continue with its jobs.
    """

    def __init__(self, parent: int) -> None:
        """Watch the process ``parent`` from now on."""
        self._parent = parent
        self.orphaned = False
        threading.Thread(target=self._watch, name="parent-watch", daemon=True).start()

    def _watch(self) -> None:
        while os.getppid() == self._parent:
            time.sleep(_POLL_SECONDS)
        self.orphaned = True
        os.kill(os.getpid(), signal.SIGTERM)  # the current job is marked as killed by its own handler
        time.sleep(_GRACE_SECONDS)
        os._exit(EXIT_INTERRUPTED)


@cache
def watch_parent(parent: int) -> ParentWatch:
    """Return this process's watch over ``parent``."""
    return ParentWatch(parent)
