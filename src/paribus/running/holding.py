"""Blocks that a signal must not interrupt: it is raised after them."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from paribus.tracking.patience import hurried

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 10.0
"""Seconds after which a signal is raised anyway, in case the store hangs."""


class SignalsHeld:
    """Holds SIGINT and SIGTERM during its block; the first one received is raised again at its end.

    Once one has come, a locked store is waited for little longer than a second.

    A signal mask is not enough: the system then delivers them to another thread of the process, and Python still runs
    the handler in the main thread. Handlers work in the main thread only; in other threads no signal interrupts, and
    this does nothing.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._before: dict[int, Any] = {}
        self._came: list[int] = []
        self._until = 0.0
        self._open = False
        self._hurry = contextlib.ExitStack()

    def __enter__(self) -> None:
        """Begin to hold."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._until = time.monotonic() + PATIENCE
        self._open = True
        self._hurry.enter_context(hurried(lambda: bool(self._came)))
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is None or before is signal.SIG_IGN:
                continue  # set from outside Python, or ignored on purpose
            self._before[number] = before
            signal.signal(number, self._note)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let signals through again, and raise the one that came."""
        try:
            self._restore()
        finally:
            self._restore()  # a signal at this moment may have interrupted the first call
        if self._came:
            signal.raise_signal(self._came[0])

    def _restore(self) -> None:
        self._open = False
        self._hurry.close()
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._open and time.monotonic() < self._until:
            self._came.append(number)
            return
        before = self._before[number]
        if callable(before):
            before(number, frame)
        else:
            with contextlib.suppress(ValueError):
                signal.signal(number, before)
            signal.raise_signal(number)
