"""Claims: of several processes that request the same run at once, one measures it and the others wait.

A claim on the embedded store is a lock on one byte of one file, which the kernel gives to one process and takes back
when that process ends, however it ends. So no heartbeats, no clock comparisons and no clean-up are needed.
A server has no such locks: there :mod:`paribus.tracking.ledger` does the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

fcntl: Any = None
with contextlib.suppress(ImportError):  # without byte-range locks (Windows) there are no claims, as with tracking=off
    import fcntl

FILE = ".paribus.claims"
_BYTES_FROM = 15
"""Hexadecimal digits of an identity that give the byte it locks: 60 bits, so that collisions are negligible."""


class Claims(ABC):
    """The claims of one process on one store; re-entrant per thread.

    Attributes:
        poll_seconds: Polling interval for a claim that another process holds.
    """

    poll_seconds: ClassVar[float]

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._changed = threading.Condition()
        self._held: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def hold(self, identity: str, busy: Callable[[], None]) -> Iterator[None]:
        """Hold the claim on an identity; wait while another process or thread holds it.

        Args:
            identity: Identity of a run, 32 hexadecimal digits.
            busy: Called once, before waiting.
        """
        told = False
        while not self.take(identity):
            if not told:
                busy()
                told = True
            time.sleep(self.poll_seconds)
        try:
            yield
        finally:
            self.release(identity)

    def take(self, identity: str) -> bool:
        """Take the claim if it is free, and return whether it is ours; re-entrant per thread."""
        me = threading.get_ident()
        with self._changed:
            owner, times = self._held.get(identity, (me, 0))
            if owner != me:
                return False
            if times == 0 and not self._lock(identity):
                return False
            self._held[identity] = (me, times + 1)
            return True

    def release(self, identity: str) -> None:
        """Release what :meth:`take` took."""
        with self._changed:
            owner, times = self._held[identity]
            if times > 1:
                self._held[identity] = (owner, times - 1)
                return
            del self._held[identity]
            self._unlock(identity)

    def is_ours(self, identity: str) -> bool:
        """Return whether a claim held here was not taken over by another process; a lock of the kernel cannot be.

        Args:
            identity: Identity of a run; true also where nothing of it is held.
        """
        return True

    @abstractmethod
    def _lock(self, identity: str) -> bool:
        """Take the claim for this process if no other holds it, and return whether it is ours."""

    @abstractmethod
    def _unlock(self, identity: str) -> None:
        """Release the claim to other processes."""


class FileClaims(Claims):
    """The claims of an embedded store. One object for each file and process: closing the file would drop every lock."""

    poll_seconds = 0.1
    _open: ClassVar[dict[tuple[int, str], FileClaims]] = {}
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        """Open the file; :meth:`of` gives the object that this process shares."""
        super().__init__()
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    @classmethod
    def of(cls, folder: Path) -> FileClaims:
        """Return this process's claims on the store whose artifacts are in ``folder``.

        Raises:
            OSError: If the file cannot be written.
        """
        path = folder.resolve() / FILE
        key = (os.getpid(), str(path))  # a forked process inherits the object, but none of its locks
        with cls._opening:
            if key not in cls._open:
                cls._open[key] = cls(path)
            return cls._open[key]

    def _lock(self, identity: str) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.lockf(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(identity))
        except BlockingIOError:
            return False
        return True

    def _unlock(self, identity: str) -> None:
        if fcntl is not None and not any(_byte(other) == _byte(identity) for other in self._held):
            fcntl.lockf(self._number, fcntl.LOCK_UN, 1, _byte(identity))


def try_lock(file: int) -> None:
    """Lock a byte of a file that no other process has, to see whether its file system has locks at all.

    Args:
        file: Its descriptor, open for writing.

    Raises:
        OSError: If there are none, as on some network file systems.
    """
    if fcntl is not None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)


def _byte(identity: str) -> int:
    return int(identity[:_BYTES_FROM], 16)
