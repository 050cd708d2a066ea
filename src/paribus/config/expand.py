"""From the words of a sweep to the words of each of its jobs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def expand(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """Return the overrides of every job of a sweep: the product of all choices and ranges, the last varying fastest.

    This is what Hydra's basic sweeper does; a later override of the same key replaces an earlier one.

    Raises:
        ConfigError: If a sweep is not over a finite list of values, or is over none.
    """
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
            continue
        if not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line}: an interval has no list of values; use choices (a,b) or range(0,1,0.1)"
            )
        try:
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        except ValueError as error:  # a range with a step of 0
            raise ConfigError(f"{override.input_line}: is no list of values ({error})") from None
        if not values[key]:
            raise ConfigError(f"{override.input_line}: is a sweep over nothing, so there is no job to run")
    return list(itertools.product(*values.values()))
