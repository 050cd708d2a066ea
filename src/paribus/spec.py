"""Declaring the configuration of a thing: frozen dataclasses whose fields state range, choices and relevance."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.errors import ConfigError, nearest

ALWAYS_STATED = object()
"""The ``unstated`` of a field that has been there from the start: no value of it stays out of the identity."""


def field(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Sequence[str] | None = None,
    science: bool = True,
    unstated: Any = ALWAYS_STATED,
) -> Any:
    """Declare a field of a :class:`Spec`.

    Args:
        default: Default value; a list, dict or set is copied for every instance. Omit for a required field.
        help: One line for the generated reference.
        low: Smallest allowed value (inclusive). For a sequence: of each element.
        high: Largest allowed value (inclusive).
        above: Exclusive lower bound.
        below: Exclusive upper bound.
        choices: The allowed strings. For a sequence: of each element.
        science: Whether the value can change a result, and so belongs to the run's identity.
        unstated: For a field that is added to a type later: the value that does what was done before there was the
            field. With it the field stays out of the identity, so that runs made before are found again; with any
            other value it belongs to it. It need not be the default.
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "above": above,
        "below": below,
        "choices": tuple(choices) if choices else None,
        "science": science,
        "unstated": unstated,
    }
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Spec:
    """Base of every configurable thing; a subclass is the schema of the YAML node that names it in ``_target_``.

    Field types are limited to what a YAML node can hold: ``int, float, str, bool, list[...], dict[str, ...]``,
    ``Any`` and their optional forms. Checks that need several fields go into a ``check`` method of the subclass.

    Raises:
        ConfigError: If a field lies outside its declared range or choices.
    """

    def __post_init__(self) -> None:
        """Check every declared range, then the subclass's own rules."""
        for declared in dataclasses.fields(self):
            check_value(f"{type(self).__name__}.{declared.name}", getattr(self, declared.name), declared.metadata)
        self.check()

    def check(self) -> None:
        """Check rules that involve several fields; raise :class:`ConfigError` when one is broken."""


def check_value(where: str, value: Any, metadata: Mapping[str, Any]) -> None:
    """Check one value (or each element of a list) against the declaration of its field."""
    if value is None:
        return
    if isinstance(value, list | tuple):
        for element in value:
            check_value(where, element, metadata)
        return
    choices = metadata.get("choices")
    if choices is not None and value not in choices:
        raise ConfigError(f"{where}: no such choice {value!r}; {nearest(str(value), choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if math.isnan(value):
        raise ConfigError(f"{where}: must be a number, got nan")
    bounds = (
        ("at least", metadata.get("low"), operator.ge),
        ("at most", metadata.get("high"), operator.le),
        ("more than", metadata.get("above"), operator.gt),
        ("less than", metadata.get("below"), operator.lt),
    )
    for words, bound, holds in bounds:
        if bound is not None and not holds(value, bound):
            raise ConfigError(f"{where}: must be {words} {bound:g}, got {value!r}")
