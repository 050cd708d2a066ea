"""Folder for a run's large objects while it runs; it survives a kill, and is deleted when the run finishes."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from paribus.errors import CheckpointError
from paribus.results.files import replacing
from paribus.tracking.heartbeat import process_alive

ROOT = Path("multirun") / ".work"
SUFFIX = ".pt"
INPUTS = "inputs"
log = logging.getLogger("paribus")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class FileWorkspace:
    """Tensors and plain values as files in a folder named by the run's identity, each written in one step."""

    def __init__(self, identity: str, publish: Callable[[Path], None], *, root: Path = ROOT) -> None:
        """Take the folder of ``identity``, or another one while a live process uses that.

        Args:
            identity: Identity of the run; the same run started again finds what was kept.
            publish: Makes a file an artifact of the run.
            root: Where the folders of all runs are.
        """
        self._publish = publish
        root = root.absolute()  # the experiment may change the working folder
        self.folder = root / identity
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(root / f"{identity}.lock")
        self._alone = True
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._alone = False
            self.folder = root / f"{identity}-{os.getpid()}"
            self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep tensors and plain values under ``name``; an older one is replaced when the new one is complete."""
        with replacing(self._path(name), durable=True) as partial:
            torch.save(state, partial)

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the content kept under ``name``, or None.

        Raises:
            CheckpointError: If the file is damaged or holds anything but tensors and plain values.
        """
        path = self._path(name)
        return read_state(path) if path.is_file() else None

    def made_from(self, inputs: str) -> None:
        """Forget what an earlier attempt kept, where that read other files than this one does.

        Args:
            inputs: A digest of what this attempt read besides what its identity knows.
        """
        mark = self.folder / INPUTS
        if self.names() and (mark.read_text(encoding="utf-8") if mark.is_file() else inputs) != inputs:
            log.warning("%s: files it read have changed since it was stopped; it begins anew", self.folder.name[:8])
            for kept in self.folder.glob(f"*{SUFFIX}"):
                kept.unlink()
        mark.write_text(inputs, encoding="utf-8")

    def names(self) -> tuple[str, ...]:
        """Return the names kept so far, sorted."""
        return tuple(sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}")))

    def publish(self, name: str) -> None:
        """Make ``name`` an artifact of the run, under ``checkpoints/``.

        Raises:
            KeyError: If nothing is kept under that name.
        """
        path = self._path(name)
        if not path.is_file():
            raise KeyError(f"nothing is kept under {name!r}; kept: {', '.join(self.names()) or 'nothing'}")
        self._publish(path)

    def remove(self) -> None:
        """Delete everything: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._alone:
            _sweep_up(self.folder)
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Release the folder to other processes."""
        self._lock.release()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a checkpoint must be named by letters, digits and _.-, got {name!r}")
        return self.folder / f"{name}{SUFFIX}"


def discard(identity: str, *, root: Path = ROOT) -> None:
    """Delete the files of a killed run of this identity, which has finished since.

    Nothing is deleted while a live process works there.
    """
    if not (root / identity).is_dir():
        return
    left = FileWorkspace(identity, lambda path: None, root=root)
    left.remove()


def orphans(is_finished: Callable[[str], bool], *, root: Path = ROOT) -> list[Path]:
    """Return the folders that are no longer needed: those of finished runs, and second folders of dead processes.

    The folder of a killed run is no orphan: the same run resumes from it.

    Args:
        is_finished: Returns whether the store has a finished run of an identity.
        root: Where the folders of all runs are.
    """
    found = []
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        identity, _, pid = folder.name.partition("-")
        if pid.isdigit():
            if not process_alive(int(pid)):
                found.append(folder)
        elif is_finished(identity) and not _is_held(root / f"{identity}.lock"):
            found.append(folder)
    return found


def _is_held(lock: Path) -> bool:
    """Return whether a living process works in the folder of a lock."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _sweep_up(folder: Path) -> None:
    """Delete other folders of the same identity whose processes have ended."""
    for beside in folder.parent.glob(f"{folder.name}-*"):
        number = beside.name.removeprefix(f"{folder.name}-")
        if number.isdigit() and not process_alive(int(number)):
            shutil.rmtree(beside, ignore_errors=True)


def read_state(path: Path) -> dict[str, Any]:
    """Read a file that a workspace wrote, without executing code in it.

    Raises:
        CheckpointError: If it is missing, damaged, or holds anything but tensors and plain values.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path}: not a readable checkpoint ({' '.join(str(error).split())[:160]})") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, not named tensors")
    return state
