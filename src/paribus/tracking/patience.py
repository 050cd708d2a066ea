"""Waiting for an embedded store that another process keeps locked, for example a stopped one.

sqlite waits some seconds for a lock. On a loaded machine, or where a process is stopped while it writes, that is not
enough, and a finished job would be lost. So every access to an embedded store is retried for ten minutes.
Python hears no signal while sqlite itself waits, so that is kept short.
"""

from __future__ import annotations

import errno
import functools
import logging
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from paribus.errors import DataError, ExperimentError
from paribus.tracking import _sqlalchemy
from paribus.tracking.claims import try_lock

T = TypeVar("T")
WAIT_SECONDS = 1.0
"""Seconds that sqlite itself waits for a lock at each attempt."""
PATIENCE = 600.0
"""Seconds that a store may stay locked before an access fails."""
HURRIED_SECONDS = 1.0
"""The same inside of :func:`hurried`."""
SAID_AFTER = 10.0
"""Seconds after which it is said that a store is waited for: others may write for some."""
PAUSE = 0.2
log = logging.getLogger("paribus.store")
_MLFLOWS_OWN = "PRAGMA busy_timeout = "
_hurry = threading.local()
_said: set[str] = set()
"""Stores that this process has reported to be waiting for, while it waits."""


class StoreError(DataError):
    """A store cannot be read or written here and now; what is in it may be in order."""


def patiently(
    ask: Callable[[], T],
    store: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what ``ask`` returns; while the store is locked, try again, reporting this once.

    It waits ten minutes at most, one second within :func:`hurried`. A transaction that finds the store locked changes
    nothing, so it can be repeated safely.

    Args:
        ask: Accesses the store.
        store: Its file, as messages name it.
        clock: Tells the time.
        sleep: Waits.

    Raises:
        StoreError: If its file system has no locks: sqlite says the same then as of a store that is locked.

    Example:
        >>> patiently(lambda: 3, "mlflow.db")
        3
    """
    begun: float | None = None
    while True:
        try:
            found = ask()
        except Exception as error:
            if not is_locked(error):
                raise
            if begun is None:
                begun = clock()
                _refuse_without_locks(Path(store))
            waited = clock() - begun
            longest = _seconds()
            if waited >= longest:
                _said.discard(store)
                raise
            if waited >= SAID_AFTER and store not in _said:
                _said.add(store)
                log.warning(
                    "%s is locked: another process writes, or was stopped while it did; waiting, for %.0f s at most "
                    "(Ctrl-C ends it)",
                    store,
                    longest,
                )
            sleep(PAUSE)
            continue
        if begun is not None and store in _said:
            _said.discard(store)
            log.warning("%s is not locked any more", store)
        return found


def _refuse_without_locks(database: Path) -> None:
    """Refuse a store in a folder whose file system has no locks.

    Raises:
        StoreError: If it has none.
    """
    try:
        with tempfile.TemporaryFile(dir=database.parent) as probe:
            try_lock(probe.fileno())
    except OSError as error:
        if error.errno == errno.ENOLCK:  # any other says that the folder cannot be written, which a reader need not
            raise StoreError(
                f"{database}: its file system has no locks ({error.strerror}), so it cannot be read safely; "
                "copy the folder to another one, or use tracking=server"
            ) from None


def is_locked(error: BaseException) -> bool:
    """Return whether an error, or a cause of it, says that sqlite found its database locked."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        found = getattr(one, "orig", None) or one
        code = getattr(found, "sqlite_errorcode", None) if isinstance(found, sqlite3.OperationalError) else None
        if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return True
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return False


def refuse_locked(store: object, error: BaseException) -> None:
    """Translate an error about a locked store.

    Raises:
        ExperimentError: If the store is locked: the request is valid, and may succeed later.
    """
    if is_locked(error):
        raise ExperimentError(
            f"{store}: another process keeps it locked; one that was stopped while it wrote, perhaps: let it go on or "
            "kill it (in ps, its state is T)"
        ) from error


@contextmanager
def hurried(when: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Wait little longer than a second for a locked store, for messages while a program ends.

    Args:
        when: Returns whether this applies; it is called again while waiting for a store.
    """
    before: tuple[Callable[[], bool], ...] = getattr(_hurry, "when", ())
    _hurry.when = (*before, when)
    try:
        yield
    finally:
        _hurry.when = before


def _seconds() -> float:
    return HURRIED_SECONDS if any(when() for when in getattr(_hurry, "when", ())) else PATIENCE


def short_waits(engine: Any) -> None:
    """Let the SQLAlchemy engine of an embedded store wait as long as is said here; MLflow asks for 20 s each time."""

    def shortened(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> Any:
        if statement.startswith(_MLFLOWS_OWN):
            statement = f"{_MLFLOWS_OWN}{WAIT_SECONDS * 1000:.0f};"
        return statement, parameters

    _sqlalchemy.listen(engine, "before_cursor_execute", shortened, retval=True)


class PatientClient:
    """An MLflow client of an embedded store that waits while the store is locked."""

    def __init__(self, client: Any, store: str) -> None:
        """Wrap ``client``; ``store`` is the name of its store in messages."""
        self._client = client
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """Return the client's attribute; methods wait."""
        if name == "_client":  # requested by a copy that is not initialised yet
            raise AttributeError(name)
        found = getattr(self._client, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def asked(*given: Any, **named: Any) -> Any:
            return patiently(lambda: found(*given, **named), self._store)

        return asked


class _Connection(sqlite3.Connection):
    """A connection whose statements wait while the database is locked.

    Attributes:
        store: Name of its store in messages.
    """

    store = ""

    def execute(self, *given: Any) -> sqlite3.Cursor:
        ask: Callable[..., sqlite3.Cursor] = super().execute

        def asked() -> sqlite3.Cursor:
            with _saying_that_it_hangs(self.store):
                return ask(*given)

        return patiently(asked, self.store)


@contextmanager
def _saying_that_it_hangs(store: str) -> Iterator[None]:
    """Say so if sqlite itself does not come back; Python hears no Ctrl-C then."""
    text = "%s has not answered for %.0f s: a slow disk, or a file system whose locks hang; waiting (Ctrl-\\ ends it)"
    late = threading.Timer(SAID_AFTER, log.warning, (text, store, SAID_AFTER))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def connect(database: Path, *, mode: str = "rwc", wait: float | None = None) -> sqlite3.Connection:
    """Return a connection to the database of an embedded store that waits while it is locked.

    Args:
        database: Its file.
        mode: How sqlite opens it: ``rw`` requires that it exists, ``rwc`` creates it if missing.
        wait: Seconds that sqlite waits, each time that it is asked; None: one.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(database))}?mode={mode}",
        uri=True,
        timeout=WAIT_SECONDS if wait is None else wait,
        factory=_Connection,
    )
    connection.store = str(database)
    return connection
