"""The entrypoint with a stand-in for what it starts."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import paribus.cli.execute
import paribus.cli.notebook  # before its parts are stood in for: what imports them late would keep the stand-ins
import paribus.cli.verbs.spec
import paribus.sweep.start  # noqa: F401
from paribus.cli.main import main

FAKES = Path(__file__).parent / "fakes"
STAND_INS = {"running.run": "fake_run_job", "running.validate": "fake_validate", "sweep.end": "fake_sweep_end"}
FAKE = ["experiment=fake", "tracking=off", "--config-dir", str(FAKES / "conf")]


class Program:
    """``paribus experiment=fake ...`` in this process, in an empty folder."""

    def __init__(self, folder: Path, log: Path, capfd) -> None:
        self.folder = folder
        self._log = log
        self._capfd = capfd
        self.out = self.err = ""

    def __call__(self, *words: str, fake: bool = True) -> int:
        self._capfd.readouterr()
        code = main([*words, *(FAKE if fake else [])])
        self.out, self.err = self._capfd.readouterr()
        return code

    def log(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def left_behind(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def program(tmp_path, monkeypatch, capfd):
    monkeypatch.syspath_prepend(str(FAKES))
    for name, stand_in in STAND_INS.items():
        spec = importlib.util.spec_from_file_location(f"paribus.{name}", FAKES / f"{stand_in}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, f"paribus.{name}", module)
    monkeypatch.setattr("paribus.sweep.task.run_job", sys.modules["paribus.running.run"].run_job)
    monkeypatch.setattr("paribus.cli.notebook.run_job", sys.modules["paribus.running.run"].run_job)
    monkeypatch.setattr("paribus.cli.notebook.validate", sys.modules["paribus.running.validate"].validate)
    monkeypatch.setattr("paribus.cli.execute.finish_sweep", sys.modules["paribus.sweep.end"].finish)
    folder, log = tmp_path / "work", tmp_path / "log"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FAKE_LOG", str(log))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Program(folder, log, capfd)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def start(tmp_path):
    """Start ``python -m paribus`` with the stand-ins as a process of its own."""
    started = []
    (tmp_path / "work").mkdir(exist_ok=True)

    def begin(*words: str, fake: bool = True, **environment: str) -> subprocess.Popen:
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(FAKES), os.environ.get("PYTHONPATH")))),
            "FAKE_LOG": str(tmp_path / "log"),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "paribus", *words, *(FAKE if fake else [])],
            cwd=tmp_path / "work",
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
