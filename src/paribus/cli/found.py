"""Looks up the run that a verb is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

LATEST = "latest"


def found_run(verb: str, store: Store, name: str) -> KeptRun:
    """Return the run with an id, the only one whose id begins with it, or the latest of all.

    Args:
        verb: The verb, for messages.
        store: Where runs are kept.
        name: Id, first digits, or ``latest``.

    Raises:
        ConfigError: If there is none.
    """
    if name != LATEST:
        return store.get(name)
    found = store.runs(limit=1, everywhere=True)
    if not found:
        raise ConfigError(f"{verb}: there are no runs yet")
    return found[0]
