"""The entrypoint with a stand-in for what it starts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paribus.cli.main import main

FAKES = Path(__file__).parent / "fakes"
FAKE = ["experiment=fake", "tracking=off", "--config-dir", str(FAKES / "conf")]
STARTED = """
import sys
from importlib import import_module
from stand_ins import put

def set_name(place, part):
    module, _, name = place.rpartition(".")
    setattr(import_module(module), name, part)

put(sys.modules.__setitem__, set_name)
from paribus.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""What ``start`` runs where everything has been imported already."""


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
    from stand_ins import put

    put(lambda name, module: monkeypatch.setitem(sys.modules, name, module), monkeypatch.setattr)
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
def environment(tmp_path):
    """The environment of a process with the stand-ins, which begins in the folder ``work``."""
    (tmp_path / "work").mkdir(exist_ok=True)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(FAKES), os.environ.get("PYTHONPATH")))),
        "FAKE_LOG": str(tmp_path / "log"),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def start(tmp_path, environment, prepared):
    """Start ``paribus`` with the stand-ins as a process of its own, which has imported everything already."""
    started = []

    def begin(*words: str, **more: str):
        command = [sys.executable, "-c", STARTED, *words, *FAKE]
        started.append(prepared.start(command, cwd=tmp_path / "work", env=environment | more))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def start_anew(tmp_path, environment):
    """Start ``python -m paribus`` with the stand-ins as a process of its own, which has to import what it needs."""
    started = []

    def begin(*words: str, fake: bool = True) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "paribus", *words, *(FAKE if fake else [])],
            cwd=tmp_path / "work",
            env=environment,
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
