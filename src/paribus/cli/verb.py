"""The verbs of the program: one file each in ``cli/verbs``, named like the verb."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol

from paribus.cli import verbs
from paribus.errors import ConfigError, nearest


class Verb(Protocol):
    """What a file in ``cli/verbs`` provides."""

    SUMMARY: str
    """One line for ``paribus --help``."""
    USAGE: str
    """How it is called, and what it does, for ``paribus VERB --help``."""

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
    known = names()
    if name not in known:
        raise ConfigError(f"{name}: there is no such verb; {nearest(name, known)} (an experiment: experiment=NAME)")
    found: Verb = importlib.import_module(f"{verbs.__name__}.{name}")
    return found
