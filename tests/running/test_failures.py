"""Of what kind a failure is, also where another error was raised from it."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from paribus.errors import CheckpointError, ConfigError, DataError, ExperimentError
from paribus.running import failures


class OutOfMemoryError(RuntimeError):
    """As torch has it."""


def _from(error):
    try:
        raise ExperimentError("it stopped") from error
    except ExperimentError as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("x"), "config"),
        (DataError("x"), "data"),
        (CheckpointError("x"), "data"),
        (MemoryError(), "memory"),
        (OutOfMemoryError("CUDA"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (ExperimentError("epoch 3: the loss is not finite"), "nan"),
        (FloatingPointError("overflow"), "nan"),
        (KeyboardInterrupt("SIGTERM"), "interrupted"),
        (sqlite3.OperationalError("database is locked"), "store"),
        (OSError(errno.ENOSPC, "No space left on device"), "store"),
        (ExperimentError("1 of 2 steps did not finish: train FAILED: MlflowException: no"), "store"),
        (OSError(errno.ENOENT, "No such file"), "code"),
        (ZeroDivisionError("banana"), "code"),
    ],
)
def test_kinds(error, kind):
    assert failures.kind(error) == kind
    if kind != "interrupted":
        assert failures.kind(_from(error)) == kind


def test_a_circle_of_causes_ends():
    error = ValueError("x")
    error.__cause__ = error
    assert failures.kind(error) == "code"
