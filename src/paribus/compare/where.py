"""Restricting a comparison to runs with given parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paribus.errors import ConfigError
from paribus.experiments.setup_runs import CollectedRun


def check_where(owner: str, where: Sequence[str]) -> None:
    """Check that every condition reads ``name=value``.

    Raises:
        ConfigError: If one does not.
    """
    for condition in where:
        name, equals, value = condition.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ConfigError(
                f"{owner}.where: each entry must be name=value, e.g. data.strength=0.9, got {condition!r}"
            )


def fits(run: CollectedRun, where: Sequence[str]) -> bool:
    """Return whether a run has every value asked for; numbers are compared as numbers, however they were logged."""
    from paribus.compare.collect import value_of

    wanted = (condition.partition("=") for condition in where)
    return all(_same(value_of(run, name.strip()), value.strip()) for name, _, value in wanted)


def _same(found: Any, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except (TypeError, ValueError):
        return str(found).lower() == wanted.lower()
