"""What docstrings, comments and pages refer to by a dotted name of Paribus is there."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?(?:[^`<]*<)?(paribus[\w.]*)>?`")
CODE = re.compile(r"``?(paribus(?:\.\w+)+)(?:\(\))?``?(?!\w)")
NO_NAMES = {"paribus.log"}  # a file


@cache
def is_there(name: str) -> bool:
    """Whether a dotted name means a module, or something in one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            fields = getattr(thing, "__dataclass_fields__", {}) | getattr(thing, "__annotations__", {})
            if not hasattr(thing, part):
                return part in fields and part == parts[-1]
            thing = getattr(thing, part)
        return True
    return False


def places():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    pages = [page for page in pages if page.parent.name != "api"]
    for file in [*sorted((ROOT / "src").rglob("*.py")), *sorted(pages)]:
        text = file.read_text(encoding="utf-8")
        names = {*ROLE.findall(text), *(CODE.findall(text) if file.suffix == ".md" else ())} - NO_NAMES
        if names:
            yield pytest.param(names, id=str(file.relative_to(ROOT)))


@pytest.mark.parametrize("names", list(places()))
def test_what_is_referred_to_is_there(names):
    missing = sorted(name for name in names if not is_there(name))
    assert not missing
