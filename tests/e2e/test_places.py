"""Places that take nothing: read-only folders, full disks, stores that are not to be written."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
from pathlib import Path

import pytest
from benchmarks.wrong_requests.trial import ask, problems
from benchmarks.wrong_requests.wrong import Wrong

from paribus.tracking import local
from paribus.tracking.relocate import relocate

ONE = (
    "experiment=family_1d_sweep", "model=planted", "feature=threshold", "experiment.family=SCU", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
)  # fmt: skip
NEW_MOUNTS, PRIVATE = 0x20000, 0x4000 | 0x40000
OVERRIDES = (1, 2, 3)
"""The capabilities by which the superuser writes where nobody may."""


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Set(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def as_anybody() -> None:
    """Give up, in this process, what lets the superuser pass by permissions."""
    if os.geteuid() != 0:
        return
    system = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(0x20080522, 0), (_Set * 2)()
    assert system.capget(ctypes.byref(header), sets) == 0
    for number in OVERRIDES:
        sets[0].effective &= ~(1 << number)
        sets[0].permitted &= ~(1 << number)
    assert system.capset(ctypes.byref(header), sets) == 0


def read_only() -> None:
    """Let the working folder be one that nobody may write to."""
    for place in (Path("."), *Path(".").rglob("*")):
        os.chmod(place, 0o555 if place.is_dir() else 0o444)
    as_anybody()
    with pytest.raises(OSError):
        Path("x").touch()


def full(kilobytes: int) -> None:
    """Let the working folder be a disk of its own with little room; without the right to, let files stay short."""
    here, system = os.getcwd(), ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and system.unshare(NEW_MOUNTS) == 0:
        assert system.mount(None, b"/", None, PRIVATE, None) == 0
        kept = Path("mlflow.db").read_bytes() if Path("mlflow.db").exists() else None
        assert system.mount(b"tmpfs", here.encode(), b"tmpfs", 0, f"size={kilobytes}k".encode()) == 0
        os.chdir(here)
        if kept is not None:
            Path("mlflow.db").write_bytes(kept)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kilobytes, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    "words",
    [ONE, (*ONE, "seed=1,2"), (*ONE, "tracking=off")],
    ids=["run", "sweep", "run without store"],
)
def test_nothing_is_begun_in_a_folder_that_cannot_be_written(words, tmp_path):
    request = Wrong(words, ("cannot be",), multirun="seed=1,2" in words)
    answer = ask(request, tmp_path, before=read_only)
    assert not problems(request, answer), answer


@pytest.mark.parametrize(
    ("words", "code"), [(("runs",), 0), (("status",), 2), (("doctor",), 1)], ids=lambda each: str(each)
)
def test_a_store_that_cannot_be_written_can_be_looked_at(words, code, tmp_path, migrated_database):
    def before() -> None:
        stored(migrated_database)
        read_only()

    answer = ask(Wrong(words), tmp_path, before=before)
    assert answer.code == code and "Traceback" not in answer.err and len(answer.err.splitlines()) <= 1, answer
    assert "cannot be kept" not in answer.err, answer


def stored(database: Path) -> None:
    """Put an empty store into the working folder."""
    shutil.copy2(database, local.DATABASE)
    relocate(Path.cwd())
    Path(f"{local.DATABASE}.before_relocate").unlink()


@pytest.mark.parametrize("room", [40, None], ids=["before the store", "in the middle"])
@pytest.mark.parametrize("multirun", [False, True], ids=["run", "sweep"])
def test_a_full_disk_is_said_in_few_lines(room, multirun, tmp_path, migrated_database):
    def before() -> None:
        if room is None:
            stored(migrated_database)
        full(room or Path(local.DATABASE).stat().st_size // 1024 + 150)

    request = Wrong((*ONE, *(("seed=1,2",) if multirun else ())), multirun=multirun)
    answer = ask(request, tmp_path, before=before)
    assert answer.code == 2 if room else answer.code == 1, answer
    assert "Traceback" not in answer.err and len(answer.err.splitlines()) <= 5, answer
    assert "No space left" in answer.err or "disk is full" in answer.err or "File too large" in answer.err, answer
