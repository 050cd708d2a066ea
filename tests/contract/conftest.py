"""Rules that results of every experiment are held against; packages from outside, changed and imported anew."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path

import pytest


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
def rules():
    """Return the module :file:`intervals.py`."""
    spec = importlib.util.spec_from_file_location("contract_intervals", Path(__file__).with_name("intervals.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
