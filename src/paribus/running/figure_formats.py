"""The figures of a run that is reused: in which formats asked for now it does not keep them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.tracking.interface import Store

log = logging.getLogger("paribus")


def say_of_reused(request: Request, store: Store, found: Result) -> None:
    """Warn of figures that a reused run does not keep in a format that the request names."""
    for run_id, formats in lacking(store, found, request.figures.formats or ()):
        log.warning(
            "run %s, which is reused, keeps no figures as %s; paribus figures %s OUT --formats %s draws them into OUT",
            run_id[:8],
            " and ".join(formats),
            run_id[:8],
            ",".join(formats),
        )


def lacking(store: Store, result: Result, formats: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield a finished run, and each step of a sequence, that lacks figures, with the formats that it lacks them in.

    Args:
        store: Where runs are kept.
        result: The run's result.
        formats: The formats that are asked for.
    """
    if not formats:
        return
    steps = result.tables.get("steps")
    if result.figures and result.run_id is not None:
        kept = {PurePath(path).name for path in store.artifacts(result.run_id, "figures")}
        missing = [name for name in formats if any(f"{figure.name}.{name}" not in kept for figure in result.figures)]
        if missing:
            yield result.run_id, missing
    elif steps is not None and "run_id" in steps.frame:
        for run_id in filter(None, dict.fromkeys(steps.frame["run_id"].dropna())):
            yield from lacking(store, store.result(run_id), formats)
