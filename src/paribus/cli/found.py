"""Looks up the runs that a verb is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.cli.store import spec_with_runs
from paribus.errors import ConfigError, message_of
from paribus.tracking.opening import open_store

if TYPE_CHECKING:
    from argparse import Namespace

    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

LATEST = "latest"


def named_run(verb: str, asked: Namespace) -> tuple[Store, KeptRun]:
    """Return the store that the words of a verb name, and its run ``asked.run``.

    Raises:
        ConfigError: If a word is wrong, no run is named, or there is no such run.
    """
    if asked.run is None or "=" in asked.run:
        raise ConfigError(f"{verb}: wants a run (paribus {verb} RUN; paribus runs lists them)")
    store = open_store(spec_with_runs(verb, asked.overrides, asked.config_dir), writing=False)
    return store, found_run(verb, store, asked.run)


def filtered_runs(verb: str, store: Store, asked: Namespace, further: str = "") -> list[KeptRun]:
    """Return the runs that ``--where``, ``--study`` and ``--limit`` select.

    Args:
        verb: The verb, for messages.
        store: Where runs are kept.
        asked: The parsed words.
        further: A further condition, in MLflow's search syntax.

    Raises:
        ConfigError: If the filter is wrong.
    """
    where = " and ".join(filter(None, (asked.where, further)))
    try:
        return store.runs(where=where, limit=asked.limit, everywhere=asked.study is None)
    except ConfigError:
        raise
    except Exception as error:
        if not asked.where:
            raise
        raise ConfigError(f"{verb}: --where {asked.where!r}: {message_of(error)}") from error


def started(run: KeptRun) -> str:
    """Return when a run began, in local time."""
    return run.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def took(run: KeptRun) -> str:
    """Return how long a run took; empty while it goes on."""
    return f"{(run.ended_at - run.started_at).total_seconds():.1f} s" if run.ended_at else ""


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
