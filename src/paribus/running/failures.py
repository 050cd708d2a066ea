"""Of what kind a failure is: what a user would have to change."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator

from paribus.errors import CheckpointError, ConfigError, DataError

CONFIG, DATA, MEMORY, NAN, CODE, INTERRUPTED, STORE, WORKER = (
    "config", "data", "memory", "nan", "code", "interrupted", "store", "worker killed",
)  # fmt: skip
OF_THE_JOB = frozenset({CONFIG, DATA, NAN, CODE})
"""Failures that come again when the same job is run by the same code."""
_NAN = re.compile(r"\bnan\b|not finite|non-?finite|\bdiverged\b", re.IGNORECASE)
_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
_STORE = re.compile(r"\bMlflowException\b|\bsqlite3\.|\bsqlalchemy\.")
_OF_THE_STORE = ("mlflow", "sqlalchemy", "requests", "urllib3")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def kind(error: BaseException) -> str:
    """Return of what kind an error is, also where another one was raised from it.

    Example:
        >>> kind(ValueError("the loss is not finite")), kind(KeyError("x")), kind(MemoryError())
        ('nan', 'code', 'memory')
    """
    chain = list(_chain(error))
    for one in chain:
        found = _kind(one)
        if found is not None:
            return found
    said = " ".join(str(one) for one in chain)  # of a step of a sequence that failed, there is only what it said
    return STORE if _STORE.search(said) else NAN if _NAN.search(said) else CODE


def _kind(error: BaseException) -> str | None:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, ConfigError):
        return CONFIG
    if isinstance(error, DataError | CheckpointError):
        return DATA
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _MEMORY.search(str(error)):
        return MEMORY
    if isinstance(error, FloatingPointError):
        return NAN
    module = type(error).__module__.partition(".")[0]
    if module in _OF_THE_STORE or isinstance(error, sqlite3.Error):
        return STORE
    return STORE if isinstance(error, OSError) and error.errno in _DISK else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__
