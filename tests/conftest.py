"""Shared fixtures: a working folder of its own for every test that asks, and a store that is already migrated."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PARIBUS_CACHE", "off")

import pytest
from filelock import FileLock


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected: thousands of modules and cases are made, and all of them stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated ``mlflow.db`` per test session, made once for all its processes; tests copy it."""
    root = _shared(tmp_path_factory)
    folder = root / "migrated"
    folder.mkdir(exist_ok=True)
    with FileLock(root / "migrated.lock"):
        from paribus.tracking import local

        if not (folder / local.DATABASE).exists():
            local.prepare(folder)
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start processes that have imported everything already (:file:`prepared.py`), once for all of a session."""
    address = _shared(tmp_path_factory) / "prepared"
    one = _module("prepared", "prepared.py").Prepared(tmp_path_factory.mktemp("prepared"), address)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def open_log_streams() -> None:
    """Drop log handlers that a test before left behind: writing to its closed output or its folder is an error."""
    for logger in (logging.getLogger(), logging.getLogger("paribus")):
        for handler in logger.handlers[:]:
            file = getattr(handler, "baseFilename", None)
            gone = file is not None and not Path(file).parent.is_dir()
            if gone or getattr(getattr(handler, "stream", None), "closed", False):
                logger.removeHandler(handler)


@pytest.fixture(scope="module", autouse=True)
def short_collections() -> None:
    """Keep the garbage collector from walking over every imported module again and again.

    A full collection in a process that has imported everything takes a second, and some of what is tested asks for
    many (``multipletests``, batches after memory ran out). What stands at the start of a test file stays out of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def plain_figures() -> Iterator[None]:
    """Draw figures, but write them as empty files: for tests of what becomes of a figure."""
    with pytest.MonkeyPatch.context() as patch:
        _write_no_pictures(patch)
        yield


@pytest.fixture(scope="module")
def undrawn_figures() -> Iterator[None]:
    """Draw nothing and write empty files: for tests that make many runs and look at numbers only.

    A figure that cannot be drawn fails no run, so that drawing it there would tell nothing.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paribus.running.keeping.draw", lambda figure, frames, about="": None)
        _write_no_pictures(patch)
        yield


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, which is the current one during the test."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tracked_workdir(workdir: Path, migrated_database: Path) -> Path:
    """A working folder with an embedded store that needs no migration any more (saves two seconds)."""
    from paribus.tracking import local
    from paribus.tracking.relocate import relocate

    shutil.copy2(migrated_database, workdir / local.DATABASE)
    relocate(workdir)
    (workdir / f"{local.DATABASE}.before_relocate").unlink(missing_ok=True)
    return workdir


class OwnPackage:
    """A package of a user in a folder of its own; after a change, everything is imported again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.folder = name, folder / name
        self.folder.mkdir(parents=True)
        self.write("__init__", "")

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(textwrap.dedent(text))

    def change(self, file: str, before: str, after: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert before in text, f"{file} has no {before!r}"
        path.write_text(text.replace(before, after))

    def anew(self) -> None:
        """Forget what was imported and everything that was known of it, as at the start of a process."""
        from paribus.config import opened, own_code
        from paribus.running import caches

        for name in [name for name in sys.modules if name == self.name or name.startswith(f"{self.name}.")]:
            del sys.modules[name]
            own_code._loaded.pop(name, None)
        opened._hidden.clear()
        importlib.invalidate_caches()
        caches.clear()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return ``own(name)``: an empty package that can be imported."""
    made = []
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two changes within one second would share a .pyc

    def make(name: str = "own_things") -> OwnPackage:
        made.append(OwnPackage(tmp_path / "own", name))
        return made[-1]

    yield make
    for package in made:
        package.anew()


@pytest.fixture(scope="session")
def rules() -> ModuleType:
    """Return the module :file:`contract/intervals.py`: what every interval and every p of a result must keep."""
    return _module("rules", "contract/intervals.py")


@pytest.fixture(scope="session")
def planted_hospitals() -> ModuleType:
    """Return the module :file:`planted/hospitals.py`: a table of four hospitals whose truth is known."""
    return _module("planted_hospitals", "planted/hospitals.py")


@pytest.fixture(scope="session")
def planted_letters() -> ModuleType:
    """Return the module :file:`planted/letters.py`: letters of four hospitals whose truth is known."""
    return _module("planted_letters", "planted/letters.py")


@pytest.fixture(scope="session")
def tiny_encoder() -> ModuleType:
    """Return the module :file:`planted/tiny_encoder.py`: a text encoder with random weights in a folder."""
    return _module("tiny_encoder", "planted/tiny_encoder.py")


@pytest.fixture(scope="session")
def needs_text() -> None:
    """Skip where the packages of the extra ``text`` are missing; in CI that is a failure."""
    missing = [name for name in ("transformers", "tokenizers") if importlib.util.find_spec(name) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{', '.join(missing)}: missing; make install-text")


def _write_no_pictures(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("paribus.figures.save.png_bytes", lambda figure: b"\x89PNG\r\n\x1a\n")
    patch.setattr("paribus.figures.save.pdf_bytes", lambda figure: b"%PDF-1.4")


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder that all processes of a session have in common."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root


def _module(name: str, place: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
