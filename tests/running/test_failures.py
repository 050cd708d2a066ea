"""Of what kind a failure is, also where another error was raised from it."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from paribus.errors import CheckpointError, ConfigError, DataError, DivergedError, ExperimentError
from paribus.running import failures
from paribus.running.run import run_job
from paribus.tracking.patience import StoreError


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
        (StoreError("/data: runs cannot be kept here (Read-only file system)"), "store"),
        (CheckpointError("x"), "data"),
        (MemoryError(), "memory"),
        (OutOfMemoryError("CUDA"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (DivergedError("epoch 3: the loss became inf"), "nan"),
        (ValueError("Input X contains NaN."), "nan"),
        (ExperimentError("the column nan is not there"), "code"),
        (FloatingPointError("overflow"), "nan"),
        (KeyboardInterrupt("SIGTERM"), "interrupted"),
        (sqlite3.OperationalError("database is locked"), "store"),
        (OSError(errno.ENOSPC, "No space left on device"), "store"),
        (ExperimentError("1 of 2 steps did not finish: train FAILED: MlflowException: no"), "code"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "memory"),
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


KINDS = {
    "config": "config",
    "data": "data",
    "weights": "data",
    "numpy_memory": "memory",
    "cpu_memory": "memory",
    "cuda_memory": "memory",
    "diverged": "nan",
    "library_nan": "nan",
    "store": "store",
    "disk": "store",
    "code": "code",
    "import": "code",
    "quits": "code",
    "interrupt": "interrupted",
}


@pytest.mark.parametrize("how", KINDS)
def test_the_run_says_of_what_kind_its_failure_is_and_has_the_traceback(how, store, job, node):
    with pytest.raises(KeyboardInterrupt if how == "interrupt" else Exception):
        run_job(job(node("Fail", how=how)))
    (run,) = store.runs()
    assert run.tags["failure"] == KINDS[how]
    assert run.status == ("KILLED" if how == "interrupt" else "FAILED")
    if how != "interrupt":
        traceback = store.download(run.run_id, "traceback.txt").read_text()
        assert "toy_subject.py" in traceback and run.tags["error_message"].split(":")[-1].strip()[:20] in traceback


@pytest.mark.parametrize("how", ["cpu_memory", "disk", "data", "diverged", "quits"])
def test_a_sequence_fails_of_the_kind_of_its_step(how, store, job, node, seq):
    with pytest.raises(ExperimentError, match="1 of 2 steps did not finish"):
        run_job(job(seq(bad=node("Fail", how=how), measure="Measure")))
    assert {run.experiment_type: run.tags.get("failure") for run in store.runs()} == {
        "sequence": KINDS[how],
        "toy_fail": KINDS[how],
        "toy_measure": None,
    }
