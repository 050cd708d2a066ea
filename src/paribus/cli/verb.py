"""The verbs of the program: one file each in ``cli/verbs``, named like the verb."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from paribus.cli import verbs
from paribus.errors import ConfigError, nearest


class Verb(Protocol):
    """What a file in ``cli/verbs`` provides."""

    SUMMARY: str
    """One line for ``paribus --help``, as a plain string, because it is read without importing the file."""
    USAGE: str
    """Usage and description for ``paribus VERB --help``; read in the same way."""

    def run(self, arguments: Sequence[str]) -> int:
        """Do it and return the exit code."""


def names() -> list[str]:
    """Return the names of all verbs, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(verbs.__path__) if not module.name.startswith("_"))


def find(name: str) -> Verb:
    """Return the verb called ``name``.

    Raises:
        ConfigError: If there is none.
    """
    found: Verb = importlib.import_module(f"{verbs.__name__}.{_known(name)}")
    return found


def summaries() -> dict[str, str]:
    """Return the one line of every verb."""
    return {name: _stated(name, "SUMMARY") for name in names()}


def usage(name: str) -> str:
    """Return the usage and description of a verb.

    Raises:
        ConfigError: If there is no such verb.
    """
    return _stated(_known(name), "USAGE").strip()


def _known(name: str) -> str:
    known = names()
    if name not in known:
        raise ConfigError(f"{name}: there is no such verb; {nearest(name, known)} (an experiment: experiment=NAME)")
    return name


def _stated(name: str, constant: str) -> str:
    """Return a constant of the file of a verb, read from its source, so that the help imports nothing of the verbs."""
    file = Path(verbs.__path__[0]) / f"{name}.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == constant:
            return str(ast.literal_eval(node.value))
    raise ValueError(f"{file}: states no {constant}")
