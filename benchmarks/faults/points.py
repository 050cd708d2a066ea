"""The points of a run's life: every step by which a process changes something outside itself.

They are found from outside, by the interpreter's audit events (files that are opened for writing, renamed, removed,
folders made), the database driver's events (statements that write, commits) and HTTP requests: the program under test
knows nothing of it. The hooks cannot be taken out again, so they are set in a process of their own.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FILE_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree")
_RANDOM = (
    (re.compile(r"\.(\w[\w.]*)\.\d+-[0-9a-f]{8}\.partial"), r"\1 (temporary)"),
    (re.compile(r"\.(\w[\w.]*)\.\d+$"), r"\1 (temporary)"),
    (re.compile(r"[0-9a-f]{32}"), "<id>"),
)


@dataclass
class Points:
    """Counts the points of a process and does something at one of them.

    Attributes:
        root: Only files under this folder count.
        at: Number of the point at which something is done, from 0; -1: never.
        act: What is done, right before the step itself.
        names: What was met so far.
        away: Whether the store does not answer any more.
        wrote: The last statement that wrote, until it is committed.
    """

    root: Path
    at: int = -1
    act: Callable[[], None] = lambda: None
    names: list[str] = field(default_factory=list)
    away: bool = False
    wrote: str = ""

    def watch(self) -> None:
        """Set the hooks, for the rest of this process."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
        from sqlalchemy.pool import Pool

        sys.addaudithook(self._audit)
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", lambda connection: self._meet("commit"))
        event.listen(Pool, "checkin", self._committed)

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if name == "http.client.send":
            self._request(bytes(arguments[1][:200]) if isinstance(arguments[1], bytes) else b"")
        elif name == "open":
            path, mode, flags = arguments
            if isinstance(path, str | os.PathLike) and (flags or 0) & WRITING:
                self._file("write", path)
        elif name in FILE_EVENTS:
            self._file(name.removeprefix("os.").removeprefix("shutil."), arguments[1 if name == "os.rename" else 0])

    def _file(self, what: str, path: Any) -> None:
        try:
            place = Path(os.path.abspath(os.fsdecode(path))).relative_to(self.root)
        except (ValueError, TypeError):
            return
        self._meet(f"{what} {place}")

    def _statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if self.away:
            raise _unreachable(statement)
        words = statement.split()
        if words[0] in ("INSERT", "UPDATE", "DELETE"):
            self.wrote = f"{words[0].lower()} {words[1] if words[0] == 'UPDATE' else words[2]}"
            self._meet(self.wrote)
            if self.away:
                raise _unreachable(statement)

    def _committed(self, *_: Any) -> None:
        """A connection is given back: what it wrote is there, and nothing has been done since."""
        if self.wrote and threading.current_thread() is threading.main_thread():
            wrote, self.wrote = self.wrote, ""
            self._meet(f"after {wrote}")

    def _request(self, sent: bytes) -> None:
        line = sent.split(b"\r\n", 1)[0].decode("latin-1")
        if line.endswith("HTTP/1.1"):
            self._meet(f"request {' '.join(line.split()[:2]).split('?')[0]}")
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")

    def _meet(self, name: str) -> None:
        for pattern, instead in _RANDOM:
            name = pattern.sub(instead, name)
        self.names.append(name)
        if len(self.names) - 1 == self.at:
            self.act()


def _unreachable(statement: str) -> Exception:
    import sqlite3

    from sqlalchemy.exc import OperationalError

    return OperationalError(statement, None, sqlite3.OperationalError("unable to open database file"))


def kill() -> None:
    """Die without a chance to do anything."""
    os.kill(os.getpid(), signal.SIGKILL)


def tear() -> None:
    """Let the system kill the process in the middle of the next write that makes a file longer."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


def fill() -> None:
    """Let every write from here on fail after a byte, as on a full disk: Python's, the database's, a library's."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


def terminate() -> None:
    """Get SIGTERM."""
    signal.raise_signal(signal.SIGTERM)


def interrupt() -> None:
    """Get Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


FAULTS: dict[str, Callable[[], None] | None] = {
    "kill": kill,
    "tear": tear,
    "term": terminate,
    "int": interrupt,
    "full": fill,
    "away": None,
}
"""What can go wrong at a point; ``away`` is the store, which does not answer from there on."""


def watching(root: Path, fault: str | None = None, at: int = -1) -> Points:
    """Return points that let ``fault`` happen at number ``at``, set in this process."""
    points = Points(root.resolve(), at)
    points.act = (FAULTS[fault] if fault else None) or (lambda: setattr(points, "away", True))
    points.watch()
    return points
