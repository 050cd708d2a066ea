"""From the words of a sweep to the words of each of its jobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

MOST_JOBS = 100_000
"""Maximum number of jobs of a sweep: ten times what is planned in a quarter of a minute."""


def expand(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """Return the overrides of every job of a sweep: the product of all choices and ranges, the last varying fastest.

    This is what Hydra's basic sweeper does; a later override of the same key replaces an earlier one.

    Raises:
        ConfigError: If a sweep is not over a finite list of values, is over none, or has more than
            :data:`MOST_JOBS` jobs.
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
        _refuse_long_range(override)
        try:
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        except ValueError as error:  # a range with a step of 0
            raise ConfigError(f"{override.input_line}: is no list of values ({error})") from None
        if not values[key]:
            raise ConfigError(f"{override.input_line}: is a sweep over nothing, so there is no job to run")
    n_jobs = math.prod(map(len, values.values()))
    if n_jobs > MOST_JOBS:
        raise ConfigError(f"the sweep has {n_jobs:,} jobs, at most {MOST_JOBS:,} are possible; make several of it")
    return list(itertools.product(*values.values()))


def _refuse_long_range(override: Override) -> None:
    """Raise a :class:`ConfigError` for a range of too many values, before they are counted out."""
    swept = override.value()
    if not override.is_range_sweep() or not all(isinstance(end, int | float) for end in _ends(swept)):
        return
    start, stop, step = map(float, _ends(swept))
    if step and not (stop - start) / step <= MOST_JOBS:
        raise ConfigError(
            f"{override.input_line}: has more than {MOST_JOBS:,} values, and a sweep at most as many jobs"
        )


def _ends(swept: Any) -> tuple[Any, Any, Any]:
    return swept.start, swept.stop, swept.step
