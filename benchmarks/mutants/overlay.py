"""Copies of the checkout in which a change is made and tests are run, so that the work tree is never edited.

A copy is a folder like the checkout (``src``, ``conf``, ``tests`` and what else the tests read). Tests run in forks of
this process, which has imported everything heavy but nothing of Paribus; so a change costs seconds, not the ten that
importing torch and pandas takes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PARTS = (
    *("src", "conf", "tests", "docs", "benchmarks"),
    *("pyproject.toml", "constraints.txt", "README.md", "Makefile", "CHANGELOG.md"),
)


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended.

    Attributes:
        code: pytest's exit code (0 passed, 1 failed, 2 to 5 something else), or None: out of time.
        seconds: How long it took.
        output: What was printed.
    """

    code: int | None
    seconds: float
    output: str


class Overlay:
    """One copy.

    Args:
        root: The checkout.
        folder: Where the copy is made.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__", ".hypothesis", "*.pyc")
        for part in PARTS:
            if (root / part).is_dir():
                shutil.copytree(root / part, folder / part, ignore=ignore)
            elif (root / part).exists():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / part, folder / part)

    def write(self, path: str, content: bytes) -> None:
        """Write a source file of the copy (its path from the top), and forget what was compiled of it."""
        place = self.folder / path
        place.write_bytes(content)
        for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*.pyc"):
            compiled.unlink()

    def start(self, tests: Sequence[str], *, plugins: Callable[[], list[Any]] = list, changed: bool = True) -> Fork:
        """Start tests in a fork of this process.

        Args:
            tests: Test files or single tests.
            plugins: Makes further pytest plugins, inside the fork.
            changed: Whether a source file was changed; then nothing that is compiled is kept.
        """
        log = self.folder / "log.txt"
        began = time.monotonic()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            _inside(self.folder, log, list(tests), plugins, changed)
        return Fork(pid, began, log)


class Fork:
    """Tests that are running."""

    def __init__(self, pid: int, began: float, log: Path) -> None:
        self._pid = pid
        self._began = began
        self._log = log

    def ended(self, limit: float) -> Outcome | None:
        """Return how they ended, or None while they run; beyond ``limit`` seconds they are killed."""
        done, status = os.waitpid(self._pid, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not done and seconds < limit:
            return None
        self._end_group()
        if not done:
            os.waitpid(self._pid, 0)
            return Outcome(None, seconds, self._text())
        return Outcome(os.waitstatus_to_exitcode(status), seconds, self._text())

    def end(self) -> None:
        """End them now."""
        self._end_group()
        os.waitpid(self._pid, 0)

    def _end_group(self) -> None:
        """End what the tests started and left, too."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def _text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def _inside(folder: Path, log: Path, tests: list[str], plugins: Callable[[], list[Any]], changed: bool) -> None:
    """Run tests in the fork; never returns."""
    code = 3
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(folder)
        scratch = folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        sys.path[:] = [str(folder), str(folder / "src"), *(p for p in sys.path if p not in ("", str(Path.cwd())))]
        os.environ["PYTHONPATH"] = str(folder / "src")
        sys.dont_write_bytecode = changed
        if changed:
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        import pytest

        _quick_hypothesis()
        words = ["-x"] if changed else []
        words += ["-q", "-p", "no:cacheprovider", "--basetemp", str(scratch), "--tb=short", "--rootdir", str(folder)]
        code = int(pytest.main([*words, *tests], plugins=plugins()))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _quick_hypothesis() -> None:
    """The same examples every time, none kept, and no time spent on making a failing one small."""
    import hypothesis

    hypothesis.settings.register_profile(
        "mutants",
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")


def preload() -> None:
    """Import what tests import and is slow, in one thread, before any fork."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import hypothesis.strategies
    import matplotlib.figure
    import mlflow.tracking
    import numpy as np
    import pandas as pd
    import pyarrow.parquet
    import pytest
    import scipy.stats
    import sklearn.linear_model
    import statsmodels.api
    import torch

    assert not any(name == "paribus" or name.startswith("paribus.") for name in sys.modules)
    _ = (hypothesis, matplotlib, mlflow, np, pd, pyarrow, pytest, scipy, sklearn, statsmodels, torch)
