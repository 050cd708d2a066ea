"""The embedded store: ``mlflow.db`` and ``mlruns/`` in one folder."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from paribus.errors import ConfigError, DataError, ExperimentError
from paribus.tracking.artifacts import local_path
from paribus.tracking.claims import try_lock
from paribus.tracking.environment import no_deprecations, quiet
from paribus.tracking.patience import StoreError, connect, hurried, refuse_locked

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"
LOCK = ".paribus.lock"
LOCK_SECONDS = 300.0
ROUNDING = 2.0
"""Seconds by which the time of a file may be off, as file systems round it."""
FOLDER_TAG = "mlflow.paribus.folder"
"""Tag of an MLflow experiment: the folder its store was in; the UI does not show it."""
OLD_FOLDER_TAG = "paribus.folder"
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
"""What sqlite says of the content of a file; all else is about the disk, the file's permissions, or a lock."""


def database_uri(folder: Path) -> str:
    """Return the tracking URI of the embedded store in ``folder``.

    Raises:
        ConfigError: If the folder's name has a character that a database URI cannot hold, or is a circle of links.
    """
    try:
        path = (folder / DATABASE).resolve()
    except (OSError, RuntimeError):  # Python 3.13 raises the first, older versions the second
        raise ConfigError(f"tracking.folder: {folder} is a link that leads to itself") from None
    odd = [c for c in "%?#" if c in str(path)]
    if odd:
        raise ConfigError(
            f"tracking.folder: {path.parent} has {odd[0]!r} in its name, which a database URI cannot hold; "
            "work in another folder, or use tracking=server"
        )
    return f"sqlite:///{path.as_posix() if path.drive else str(path)}"


def artifact_root(folder: Path) -> str:
    """Return the URI of the artifact folder."""
    return (folder / ARTIFACTS).resolve().as_uri()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: one process at a time creates, migrates or relocates the store.

    Raises:
        ExperimentError: If another process holds the lock for minutes.
    """
    (folder / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ARTIFACTS / LOCK, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise ExperimentError(
            f"{folder / ARTIFACTS / LOCK}: held by another process for {LOCK_SECONDS:.0f} s; is one hanging?"
        ) from error


def prepare(folder: Path, *, writing: bool = True) -> str:
    """Prepare the store in ``folder`` for any number of processes, and return its tracking URI.

    Args:
        folder: Where it is, or is made.
        writing: Whether it is going to be written. One that is only read needs no lock: it may be somebody else's.

    Raises:
        ConfigError: If it holds an old file store, or the folder's name cannot be used.
        StoreError: If the folder cannot be written.
        DataError: If the database is damaged or of another MLflow version.
        ExperimentError: If another process keeps the store locked for minutes.
    """
    uri = database_uri(folder)
    refuse_file_store(folder)
    try:
        there = usable(folder / DATABASE)  # before the lock is made, so that a refusal leaves no files
        if there and not writing:
            return uri
        with locked(folder):
            if not there and not usable(folder / DATABASE):
                _create(folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: runs cannot be kept here ({error.strerror or error}); use tracking.folder=..."
        ) from None
    return uri


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder that no file can be written to or locked in; nothing is created, not even a missing folder.

    Raises:
        StoreError: If it, the nearest folder above it, or its folder of artifacts cannot be written, or its file system
            has no locks: without them processes would measure the same twice and write into each other's database.
    """
    kept_in = (folder, folder / ARTIFACTS) if (folder / ARTIFACTS).exists() else (folder,)
    for place in kept_in:
        there = next(above for above in (place, *place.parents) if above.exists())
        try:
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(there))
            with tempfile.TemporaryFile(dir=there) as probe:
                _refuse_without_locks(place, probe.fileno())
        except OSError as error:
            raise StoreError(
                f"{place}: runs cannot be kept here ({error.strerror or error}); use tracking.folder=..."
            ) from None


def _refuse_without_locks(folder: Path, file: int) -> None:
    try:
        try_lock(file)
    except OSError as error:
        raise StoreError(
            f"{folder}: runs cannot be kept here: its file system has no locks ({error.strerror or error}); "
            "use tracking.folder=... on another one, or tracking=server"
        ) from None


def refuse_file_store(folder: Path) -> None:
    """Refuse a folder in which MLflow's own default would flip to a file store and fail.

    Raises:
        ConfigError: If ``mlruns/<digits>/meta.yaml`` is there.
    """
    for meta in sorted((folder / ARTIFACTS).glob("*/meta.yaml")):
        if meta.parent.name.isdigit():
            raise ConfigError(
                f"{meta.parent}: an old MLflow file store, which this MLflow no longer reads beside {DATABASE}; "
                f"move it away (mv {ARTIFACTS} {ARTIFACTS}_old) or convert it (mlflow migrate-filestore)"
            )


def usable(path: Path) -> bool:
    """Return whether the database exists and is MLflow's; False for an empty or absent file.

    Reads with sqlite directly, because MLflow retries a database it cannot open for 100 seconds.
    """
    with _opened(path) as connection:
        return connection is not None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a database that is MLflow's; None where it is empty or absent.

    Raises:
        StoreError: If it cannot be read.
        DataError: If it is damaged, or not MLflow's.
        ExperimentError: If another process keeps it locked for minutes.
    """
    if not path.exists() or path.stat().st_size == 0:
        yield None
        return
    try:
        with closing(connect(path)) as connection:
            tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
            if not {"experiments", "runs", "alembic_version"} <= tables:
                raise DataError(f"{path}: a database, but not MLflow's; move it away, or use tracking.folder=...")
            yield connection
    except sqlite3.Error as error:
        refuse_locked(path, error)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise StoreError(f"{path}: cannot be read ({error})") from None
        raise DataError(f"{path}: not a readable database ({error}); move it away to start a new one") from None


def _create(folder: Path) -> None:
    """Create and migrate the database (about two seconds); it appears under its name only when it is complete."""
    quiet()
    partial = folder / f"{DATABASE}.partial"
    for left in folder.glob(f"{partial.name}*"):  # its journal too: sqlite would roll it back into the new one
        left.unlink()
    with no_deprecations():
        from mlflow.store.tracking import sqlalchemy_store  # slow, and warns while it is imported

        new_store: Any = sqlalchemy_store.SqlAlchemyStore
        try:
            store = new_store(f"sqlite:///{partial.resolve()}", artifact_root(folder))
        except Exception as error:  # MLflow passes on errors of the database, for example of a full disk
            said = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
            raise DataError(f"{folder}: no store of runs can be made here ({said}); use tracking.folder=...") from None
        store.engine.dispose()
    set_journal_aside(folder / DATABASE, folder / f"{DATABASE}.gone")
    os.replace(partial, folder / DATABASE)


def set_journal_aside(path: Path, of: Path) -> None:
    """Rename the journal of a moved database along with it; sqlite would otherwise roll it back into the next one.

    Args:
        path: Where the database was.
        of: Where it is now.
    """
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists():
        os.replace(journal, of.with_name(f"{of.name}-journal"))


def moved_from(folder: Path) -> Path | None:
    """Return the folder that the store's runs were kept in before it was moved or copied; None if it was not.

    MLflow stores artifact paths absolute: after a move, artifacts list as empty and new runs write to the old place,
    without an error.

    Raises:
        DataError: If the database is damaged or not MLflow's.
    """
    here = folder.resolve()
    query = "select e.experiment_id, e.artifact_location, t.value from experiments e left join experiment_tags t "
    query += "on t.experiment_id = e.experiment_id and t.key in (?, ?)"
    with _opened(folder / DATABASE) as connection:
        rows = connection.execute(query, (FOLDER_TAG, OLD_FOLDER_TAG)).fetchall() if connection is not None else []
    for _, location, recorded in rows:
        if recorded is not None and Path(recorded) != here:
            return Path(recorded)
        path = local_path(location or "")
        if recorded is None and path is not None and path.parent.name == ARTIFACTS and path.parent.parent != here:
            return path.parent.parent
    return None


def clock(folder: Path) -> Callable[[], float]:
    """Return the clock for the times of heartbeats: that of the file system, common to all hosts that share a folder.

    Clocks of hosts may differ by an hour; each corrects its own by the time that a new file is given. Where none can be
    written, the own clock has to do.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b" ")
            probe.flush()
            ahead = os.fstat(probe.fileno()).st_mtime - time.time()
    except OSError:
        return time.time
    return (lambda: time.time() + ahead) if abs(ahead) > ROUNDING else time.time


def moved(folder: Path) -> str | None:
    """Return a message about a store that was moved or copied since its last run, None if it was not."""
    try:
        with hurried():
            old = moved_from(folder)
    except (DataError, ExperimentError):
        return None  # opening it reports the error
    if old is None:
        return None
    return (
        f"{folder / DATABASE}: its runs are recorded under {old}, where their files are looked for; "
        "after moving or copying a project run: paribus doctor --relocate"
    )


def refuse_moved(folder: Path) -> None:
    """Refuse to write into a store that was moved.

    Raises:
        ConfigError: If its runs are recorded under another folder.
    """
    old = moved_from(folder)
    if old is not None:
        raise ConfigError(
            f"{folder / DATABASE}: its runs are recorded under {old}, so new ones would be written there; "
            "after moving or copying a project run: paribus doctor --relocate"
        )
