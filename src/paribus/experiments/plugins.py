"""The register of subjects: those of Paribus, those registered in this process, and those of installed packages."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from paribus.config.installed import CONF, GROUP
from paribus.errors import ConfigError, nearest
from paribus.experiments.networks import NetworkSubject
from paribus.experiments.subject import SubjectPlugin
from paribus.subjects.kind import Kind

OWN = {
    "images": "paribus.subjects.images.kind:IMAGES",
    "arrays": "paribus.subjects.handed:ARRAYS",
    "tables": "paribus.subjects.tables.kind:TABLES",
    "tokens": "paribus.subjects.tokens.kind:TOKENS",
    "builds": "paribus.experiments.builds.plugin:BUILDS",
    "results": "paribus.experiments.reports.plugin:RESULTS",
    "runs": "paribus.compare.plugin:RUNS",
}
"""Where the subjects of Paribus are; each is imported when it is needed."""
_registered: dict[str, SubjectPlugin] = {}
_known: dict[str, SubjectPlugin] = {}


def register(subject: SubjectPlugin | Kind) -> SubjectPlugin:
    """Make a subject from outside known under its name, in this process; return it as a plug-in.

    Raises:
        ConfigError: If Paribus itself has a subject of that name.

    Example:
        >>> from paribus.experiments.base import Setup
        >>> from paribus.stats.spec import StatsSpec
        >>> class Coins(SubjectPlugin):
        ...     name = "coins_of_an_example"
        ...     def setup(self, asked):
        ...         return Setup(seed=asked.seed, stats=StatsSpec())
        >>> register(Coins()) is outside("coins_of_an_example")
        True
    """
    made = _plugin(subject)
    if made.name in OWN:
        raise ConfigError(f"{made.name!r}: is a subject of Paribus itself; choose another name")
    _registered[made.name] = made
    return made


def outside(name: str) -> SubjectPlugin | None:
    """Return a subject from outside, None where Paribus itself has it or nobody does."""
    if name not in OWN and name not in _registered:
        for found in entry_points(group=GROUP, name=name):
            register(found.load())
    return _registered.get(name)


def named(name: str) -> SubjectPlugin:
    """Return a subject by its name.

    Raises:
        ConfigError: If there is none.
    """
    found = outside(name)
    if found is not None:
        return found
    if name not in OWN:
        raise ConfigError(f"experiment.subject: there is no subject {name!r}; {nearest(name, names())}")
    if name not in _known:
        module, _, attribute = OWN[name].partition(":")
        _known[name] = _plugin(getattr(importlib.import_module(module), attribute))
    return _known[name]


def names() -> tuple[str, ...]:
    """Return the names of all subjects, sorted."""
    others = (found.name for found in entry_points(group=GROUP) if found.name != CONF)
    return tuple(sorted({*OWN, *_registered, *others}))


def _plugin(subject: Any) -> SubjectPlugin:
    if isinstance(subject, type) and issubclass(subject, SubjectPlugin):
        subject = subject()
    if isinstance(subject, Kind):
        return NetworkSubject(subject)
    if not isinstance(subject, SubjectPlugin):
        raise ConfigError(f"{subject!r}: is no subject; it must be a SubjectPlugin or a Kind")
    return subject
