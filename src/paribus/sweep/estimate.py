"""How long jobs will take, from earlier runs of the same type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import TYPE_CHECKING

from paribus.tracking import states

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.tracking.states import RunState

Kind = tuple[str, str]
"""Experiment type and study: what makes runs alike enough to tell each other's time."""
LATEST = 100
"""Of more earlier runs only the latest so many are asked."""


def kind_of(job: Job) -> Kind:
    """Return what a job's time is estimated from."""
    return str(job.experiment.type), job.study or ""


def typical_seconds(runs: Iterable[RunState]) -> dict[Kind, tuple[float, int]]:
    """Return the median time of the finished runs of each kind, and of how many runs it is."""
    found: dict[Kind, list[float]] = {}
    for run in runs:
        if run.status == states.FINISHED and run.seconds is not None:
            kind = (run.tags.get("experiment_type", ""), run.tags.get("study", ""))
            found.setdefault(kind, []).append(run.seconds)
    return {kind: (median(seconds[:LATEST]), len(seconds)) for kind, seconds in found.items()}


def seconds_of(job: Job, typical: Mapping[Kind, tuple[float, int]]) -> float | None:
    """Return how long a job will take, None where no run of its kind has finished yet."""
    known = typical.get(kind_of(job))
    return None if known is None else known[0]


def span(seconds: float) -> str:
    """Return a time as one reads it.

    Example:
        >>> [span(s) for s in (0.4, 47.3, 192, 7380, 300000)]
        ['under 1 s', '47 s', '3 min 12 s', '2 h 3 min', '3 d 11 h']
    """
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    for unit, below, name, small in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name} {rest} {small}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"
