"""Code from outside belongs to the identity by what it does: every option of the catalogue, derived and wrapped."""

from __future__ import annotations

import dataclasses
import types

import pytest

from paribus.config import catalogue
from paribus.config.check import build
from paribus.config.own_code import code_of
from paribus.running.contents import contents, fingerprint
from paribus.spec import Spec

OPTIONS = {f"{o.group}={o.name}": o for g in catalogue.groups() for o in catalogue.options(g) if o.target}
CLASSES = {option.target: name for name, option in OPTIONS.items()}

MODULE = '''
"""A module of one's own."""
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
from {place} import {name}
from {package}.helper import scale
from .stars import *
if TYPE_CHECKING:
    from {package} import hints

@dataclass(frozen=True)
class Mine({name}):
    """What is mine."""
    type = "mine"

    def measure(self, x):
        """Measure."""
        from {package} import lazy
        # a remark
        return scale(x) + lazy.OFFSET + shift(x)

def factory(width: int = 2):
    """Make it."""
    return Mine, width
'''
HELPER = '''
"""Helps."""
from {package}.deep.constants import FACTOR
def scale(x):
    """Scale it."""
    return FACTOR * x
'''
LATER = "what a function imports when it is called"
MATTERS = {
    "its own body": ("mine.py", "lazy.OFFSET + shift(x)", "lazy.OFFSET - shift(x)"),
    "a helper": ("helper.py", "FACTOR * x", "FACTOR * x + 0"),
    "a constant that the helper imports": ("deep/constants.py", "FACTOR = 2.0", "FACTOR = 2.5"),
    "a package on the way": ("deep/__init__.py", "", "SIDE = 1"),
    LATER: ("lazy.py", "OFFSET = 1", "OFFSET = 2"),
    "what is imported by a star": ("stars.py", "return x", "return -x"),
    "a default value": ("mine.py", "width: int = 2", "width: int = 3"),
}
DOES_NOT = {
    "its docstring": ("mine.py", '"""What is mine."""', '"""Quite another text,\n    in two lines."""'),
    "a method's docstring": ("mine.py", '"""Measure."""', '"""Measure it all."""'),
    "a missing docstring": ("mine.py", '    """Make it."""\n', ""),
    "a comment": ("mine.py", "# a remark", "# another one"),
    "blank lines": ("mine.py", "def factory", "\n\n\ndef factory"),
    "layout": ("mine.py", "return Mine, width", "return (\n        Mine,   width\n    )"),
    "the helper's docstring": ("helper.py", '"""Scale it."""', '"""Other words."""'),
    "a module for type checkers": ("hints.py", "HINT = 1", "HINT = 2"),
    "a module that nobody imports": ("unused.py", "x = 1", "x = 2"),
}


def package(own, target: str):
    """Return a package with a class that derives from the one at ``target``."""
    made = own("own_things")
    place, _, name = target.rpartition(".")
    for folder in ("deep",):
        (made.folder / folder).mkdir()
        made.write(f"{folder}/__init__", "")
    made.write("deep/constants", "FACTOR = 2.0\n")
    made.write("helper", HELPER.format(package=made.name))
    made.write("lazy", "OFFSET = 1\n")
    made.write("stars", "def shift(x):\n    return x\n")
    made.write("hints", "HINT = 1\n")
    made.write("unused", "x = 1\n")
    made.write("mine", MODULE.format(place=place, name=name, package=made.name))
    return made


def known(made) -> str:
    """Return the digest of the code of the derived class, as a process that starts now sees it."""
    import importlib

    made.anew()
    return contents_of(importlib.import_module(f"{made.name}.mine").Mine)


def contents_of(cls) -> str:
    found = code_of([cls])
    assert f"module {cls.__module__}" in found
    return repr(sorted(found.items()))


@pytest.mark.parametrize("target", sorted(CLASSES), ids=lambda target: CLASSES[target])
def test_a_class_derived_from_any_option_is_known_by_what_it_does(target, own):
    made = package(own, target)
    first = known(made)
    for change in DOES_NOT.values():
        _changed(made, *change)
    assert known(made) == first
    seen = {first}
    for what in ("its own body", "a constant that the helper imports"):
        _changed(made, *MATTERS[what])
        now = known(made)
        assert now not in seen, f"{what} was not seen"
        seen.add(now)


def _changed(made, file, before, after):
    if before:
        made.change(file, before, after)
    else:
        (made.folder / file).write_text(after)


@pytest.mark.parametrize("group", ["data", "model", "feature"])
@pytest.mark.parametrize("what", MATTERS)
def test_a_function_of_any_group_is_known_by_what_it_does(group, what, own):
    made = package(own, "paribus.spec.Spec")
    node = {"_target_": f"{made.name}.mine.factory"}
    first = fingerprint(build(node, group))
    _changed(made, *MATTERS[what])
    if what != LATER:
        assert fingerprint(build(node, group)) == first, "what is loaded is what runs, until it is imported anew"
    made.anew()
    assert fingerprint(build(node, group)) != first


@pytest.mark.parametrize("what", DOES_NOT)
def test_a_function_stays_itself_whatever_is_said_about_it(what, own):
    made = package(own, "paribus.spec.Spec")
    node = {"_target_": f"{made.name}.mine.factory"}
    first = fingerprint(build(node, "data"))
    _changed(made, *DOES_NOT[what])
    made.anew()
    assert fingerprint(build(node, "data")) == first


def test_a_class_in_another_module_with_the_same_name_is_another(own):
    made = package(own, "paribus.spec.Spec")
    made.write("twin", (made.folder / "mine.py").read_text())
    one, two = (build({"_target_": f"{made.name}.{module}.factory"}, "data") for module in ("mine", "twin"))
    assert fingerprint(one) != fingerprint(two)


RECORDS = [
    ("yaml/__init__.py,sha256=other,1", False),
    ("../../bin/tool,sha256=x,1", True),
    ("PyYAML-1.dist-info/INSTALLER,sha256=y,2", True),
    ("yaml/__pycache__/a.pyc,,", True),
]


@pytest.mark.parametrize(("row", "same"), RECORDS)
def test_an_installed_distribution_counts_by_the_files_it_brought(row, same, own, monkeypatch):
    import importlib.metadata

    from paribus.config import own_code

    made = own("own_things")
    made.write("mine", "import yaml\ndef make():\n    return yaml\n")

    def code():
        own_code._distribution.cache_clear()
        own_code._loaded.clear()
        return contents(build({"_target_": "own_things.mine.make"}, "data")).code

    first = code()
    assert set(first) == {"module own_things", "module own_things.mine", "distribution pyyaml"}
    kind = type(importlib.metadata.distribution("pyyaml"))  # a backport may have put itself in the place of Python's
    original = kind.read_text
    with monkeypatch.context() as patched:
        patched.setattr(
            kind,
            "read_text",
            lambda self, name: f"{original(self, name)}{row}\n" if name == "RECORD" else original(self, name),
        )
        assert (code() == first) is same
    assert code() == first


def test_an_own_module_with_the_name_of_one_of_pythons_is_own(own):
    made = own("own_things")
    made.write("statistics", "def make():\n    return 1\n")
    first = fingerprint(build({"_target_": "own_things.statistics.make"}, "data"))
    made.change("statistics.py", "return 1", "return 2")
    made.anew()
    assert fingerprint(build({"_target_": "own_things.statistics.make"}, "data")) != first


NOTEBOOK = '''
LIMIT = {limit}
def helper(x):
    """{words}"""
    return x + {step}
def make():
    return helper(LIMIT)
'''


@pytest.mark.parametrize(
    ("change", "same"), [({"limit": 2}, False), ({"step": 2}, False), ({"words": "other"}, True), ({}, True)]
)
def test_what_is_typed_into_a_notebook_is_known_by_what_it_does(change, same, monkeypatch):
    import linecache
    import sys

    def cell(number, **values):
        text = NOTEBOOK.format(**{"limit": 1, "step": 1, "words": "Help.", **values})
        name = f"<cell {number}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        module = types.ModuleType("notebook_cells")
        monkeypatch.setitem(sys.modules, "notebook_cells", module)
        exec(compile(text, name, "exec"), module.__dict__)
        return code_of([module.make])

    assert (cell(1) == cell(2, **change)) is same


def test_a_path_that_a_parameter_announces_counts_by_content(own, tmp_path):
    made = own("own_things")
    made.write("mine", "from pathlib import Path\ndef make(table: Path | str, name: str = 'x'):\n    return table\n")
    here, there = tmp_path / "a.csv", tmp_path / "b.csv"
    here.write_text("1,2\n")
    there.write_text("1,2\n")

    def node(path, **more):
        return build({"_target_": "own_things.mine.make", "table": str(path), **more}, "data")

    first = fingerprint(node(here))
    assert fingerprint(node(there)) == first
    there.write_text("1,3\n")
    assert fingerprint(node(there)) != first
    assert fingerprint(node(here, name=str(here))) != fingerprint(node(here, name=str(there)))


def test_a_spec_from_outside_gets_its_files_and_its_code_counted(tmp_path, own):
    made = own("own_things")
    made.write(
        "mine",
        """
        from dataclasses import dataclass
        from paribus.spec import Spec, field
        @dataclass(frozen=True)
        class Table(Spec):
            path: str = field(file=True, help="A file.")
            def load(self):
                return open(self.path).read()
        """,
    )
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    target = "own_things.mine.Table"
    one, two = (build({"_target_": target, "path": str(tmp_path / name)}, "data") for name in "ab")
    assert isinstance(one, Spec) and dataclasses.is_dataclass(one)
    assert fingerprint(one) == fingerprint(two)
    (tmp_path / "b").write_text("2")
    assert fingerprint(one) != fingerprint(two)
    assert set(contents(one).code) == {"module own_things", "module own_things.mine"}
