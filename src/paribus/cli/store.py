"""The store that a verb reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paribus.config.compose import Composer
from paribus.errors import ConfigError
from paribus.tracking.local import moved
from paribus.tracking.spec import database, has_runs

if TYPE_CHECKING:
    from paribus.tracking.spec import TrackingSpec


def tracking_spec(overrides: Sequence[str], config_dir: str | None) -> TrackingSpec:
    """Return the tracking settings of ``overrides``, for reading that store; warn if it was moved.

    Raises:
        ConfigError: If a word is no override of the ``tracking`` group, or is invalid.
    """
    spec = stated_spec(overrides, config_dir)
    if spec.kind == "local" and has_runs(spec) and (said := moved(database(spec).parent)) is not None:
        print(f"paribus: {said}", file=sys.stderr)
    return spec


def spec_with_runs(verb: str, overrides: Sequence[str], config_dir: str | None) -> TrackingSpec:
    """Return the same as :func:`tracking_spec`, of a store that has runs.

    Raises:
        ConfigError: If a word is wrong, or there are no runs yet.
    """
    spec = tracking_spec(overrides, config_dir)
    if not has_runs(spec):
        raise ConfigError(f"{verb}: there are no runs yet: no {database(spec)}")
    return spec


def stated_spec(overrides: Sequence[str], config_dir: str | None) -> TrackingSpec:
    """Return the tracking settings of ``overrides`` (by default the store in the working folder).

    Raises:
        ConfigError: If a word is no override of the ``tracking`` group, or is invalid.
    """
    for word in overrides:
        if not word.lstrip("+").startswith(("tracking=", "tracking.")):
            raise ConfigError(
                f"{word}: only the store can be chosen here, such as tracking=server or tracking.folder=DIR"
            )
    spec: TrackingSpec = Composer(() if config_dir is None else (config_dir,)).node("tracking", overrides)
    return spec
