"""Every example in a docstring is run and shows what it says; every name a package offers has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import paribus
from paribus import lazy
from paribus.config import catalogue

ROOT = Path(paribus.__file__).parent


def sources():
    for found in pkgutil.walk_packages(paribus.__path__, "paribus."):
        path = ROOT.joinpath(*found.name.split(".")[1:])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file():
            yield found.name, source


MODULES = sorted(name for name, source in sources() if ">>> " in source.read_text(encoding="utf-8"))
PACKAGES = [
    "paribus",
    *sorted(
        name for name, path in sources() if path.name == "__init__.py" and "\n__all__ = " in path.read_text("utf-8")
    ),
]


def test_there_are_examples():
    assert MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed, f"{found.failed} examples of {name} do not show what they say"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_offers_is_there_and_shown(package):
    """Names resolve, to the thing their ``TYPE_CHECKING`` import says; each is documented and has an example."""
    room = importlib.import_module(package)
    names = [name for name in room.__all__ if name != "__version__"]
    assert room.__all__ == sorted(set(room.__all__))
    assert set(names) <= set(dir(room))
    inner = {found.name for found in pkgutil.iter_modules(room.__path__)}
    assert not inner & set(names), "a module of that name would take its place"
    where = lazy.origins(Path(room.__file__).read_text(encoding="utf-8"))
    for name in names:
        thing = getattr(room, name)
        if name in where:
            assert thing is getattr(importlib.import_module(where[name]), name)
        assert inspect.getdoc(thing), f"{package}.{name} has no docstring"
        if not inspect.ismodule(thing):
            assert ">>> " in documentation(thing), f"{package}.{name} has no example"


def test_every_option_of_a_configuration_shows_its_class():
    """The classes that options name, experiment types among them, have an example that is run."""
    named = {
        option.load()
        for group in catalogue.groups()
        for option in catalogue.options(group)
        if option.target and option.target.startswith("paribus.")
    }
    assert len(named) > 80
    assert [cls.__name__ for cls in named if ">>> " not in documentation(cls)] == []


def test_every_room_offers_names():
    rooms = {f"paribus.{path.parent.name}" for path in ROOT.glob("*/__init__.py")}
    assert rooms <= set(PACKAGES)


def documentation(thing: object) -> str:
    """Return the docstring of a function, or those of a class and its methods."""
    if not inspect.isclass(thing):
        return inspect.getdoc(thing) or ""
    own = [thing, *(member for member in vars(thing).values() if inspect.isroutine(member))]
    return "\n".join(inspect.getdoc(each) or "" for each in own)


def test_a_name_that_is_not_offered_is_refused():
    with pytest.raises(AttributeError, match="module 'paribus' has no attribute 'nothing'"):
        _ = paribus.nothing
    with pytest.raises(ImportError):
        exec("from paribus.engine import nothing")


def test_importing_a_package_loads_nothing_heavy():
    rooms = ", ".join(PACKAGES)
    code = (
        f"import sys, {rooms}; print([m for m in ('torch', 'numpy', 'pandas', 'mlflow', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
