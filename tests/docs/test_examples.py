"""Every example in a docstring is run, and shows what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import paribus


def modules_with_examples():
    from pathlib import Path

    root = Path(paribus.__file__).parent
    for found in pkgutil.walk_packages(paribus.__path__, "paribus."):
        path = root.joinpath(*found.name.split(".")[1:])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file() and ">>> " in source.read_text(encoding="utf-8"):
            yield found.name


MODULES = sorted(modules_with_examples())


def test_there_are_examples():
    assert MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed, f"{found.failed} examples of {name} do not show what they say"
