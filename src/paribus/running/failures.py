"""Kinds of failures, by what a user would have to change."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator

from paribus.errors import CheckpointError, ConfigError, DataError, DivergedError
from paribus.tracking.patience import StoreError

CONFIG, DATA, MEMORY, NAN, CODE, INTERRUPTED, STORE, WORKER = (
    "config", "data", "memory", "nan", "code", "interrupted", "store", "worker killed",
)  # fmt: skip
OF_THE_JOB = frozenset({CONFIG, DATA, NAN, CODE})
"""Failures that recur when the same job is run by the same code."""
_NAN = re.compile(r"\bnans?\b|\binf(inity)?\b|not finite|non-?finite", re.IGNORECASE)
"""Messages of libraries about non-finite numbers; errors of Paribus are recognised by class alone."""
_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|ALLOC_FAILED", re.I)
_OF_THE_STORE = ("mlflow", "sqlalchemy", "requests", "urllib3", "filelock")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def kind(error: BaseException) -> str:
    """Return the kind of an error, from its chain of causes.

    Example:
        >>> kind(ValueError("the loss is not finite")), kind(KeyError("x")), kind(MemoryError())
        ('nan', 'code', 'memory')
    """
    found = (_kind(one) for one in _chain(error))
    return next((each for each in found if each is not None), CODE)


def _kind(error: BaseException) -> str | None:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, ConfigError):
        return CONFIG
    if isinstance(error, StoreError):
        return STORE
    if isinstance(error, DataError | CheckpointError):
        return DATA
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _MEMORY.search(str(error)):
        return MEMORY
    if isinstance(error, DivergedError | FloatingPointError):
        return NAN
    module = type(error).__module__.partition(".")[0]
    if module in _OF_THE_STORE or isinstance(error, sqlite3.Error):
        return STORE
    if isinstance(error, OSError) and error.errno in _DISK:
        return STORE
    return NAN if isinstance(error, ValueError | ArithmeticError) and _NAN.search(str(error)) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__
