"""What users may import: the names that packages list. Each has an example, and nothing shown to users is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from paribus.lazy import origins

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PACKAGES = [path.parent for path in sorted(SOURCE.rglob("__init__.py"))]


@cache
def tree(module: str) -> ast.Module:
    file = SOURCE.joinpath(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def listed(package: Path) -> list[str] | None:
    """Return the names in ``__all__``, None where there is none."""
    for node in tree(".".join(package.relative_to(SOURCE).parts)).body:
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    return None


def offered() -> dict[tuple[str, str], str]:
    """Return the package that offers each thing, by its module and name."""
    found = {}
    for package in PACKAGES:
        names, home = listed(package) or [], ".".join(package.relative_to(SOURCE).parts)
        where = origins((package / "__init__.py").read_text(encoding="utf-8"))
        found |= {(where[name], name): home for name in names if name in where}
        found |= {(home, name): home for name in names}
    return found


OFFERED = offered()


def test_every_room_lists_what_it_offers():
    rooms = [package for package in PACKAGES if package.parent in (SOURCE, SOURCE / "paribus")]
    assert [package.name for package in rooms if not listed(package)] == []


def test_every_offered_name_has_an_example():
    without = []
    for module, name in OFFERED:
        for node in tree(module).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                inner = [one for one in node.body if isinstance(one, ast.FunctionDef)]
                docs = [ast.get_docstring(one) or "" for one in (node, *inner)]
                if not any(">>>" in text for text in docs):
                    without.append(f"{module}.{name}")
    assert without == []


def test_no_package_offers_two_things_under_one_name():
    for package in PACKAGES:
        names = listed(package) or []
        assert len(names) == len(set(names)), package


def test_what_a_yaml_names_is_offered():
    missing = set()
    for file in (ROOT / "conf").rglob("*.yaml"):
        for target in re.findall(r"_target_: *(paribus[\w.]+)", file.read_text(encoding="utf-8")):
            module, _, name = target.rpartition(".")
            if (module, name) not in OFFERED:
                missing.add(target)
    assert missing == set()


@pytest.mark.parametrize(
    "page", sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")}), ids=lambda path: path.name
)
def test_what_a_page_imports_is_offered(page):
    imports = re.findall(r"^\s*from (paribus[\w.]*) import ([\w, ]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    asked = [(module, name.split(" as ")[0].strip()) for module, names in imports for name in names.split(",")]
    assert [one for one in asked if one not in OFFERED] == []
