"""Ends workers together with their parent process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time

GRACE_SECONDS = 15.0
"""Seconds that a worker without a parent has to end its current job."""
POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux); elsewhere :class:`Watch` ends it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


class Watch:
    """Ends this process when the other end of its connection is closed, for whatever reason.

    The current job is ended by a signal first, so that its run is marked as killed.
    """

    def __init__(self, connection: int, parent: int) -> None:
        """Watch a socket by its file descriptor, and a parent process, from now on."""
        self._connection = connection
        self._parent = parent
        self.orphaned = False
        threading.Thread(target=self._watch, name="parent-watch", daemon=True).start()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._connection, select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0))
        while not poll.poll(POLL_SECONDS * 1000) and os.getppid() == self._parent:
            pass
        self.orphaned = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)
