"""How long jobs will take, from earlier runs of the same type."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from paribus.tracking import states

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.sweep.needed_training import Training
    from paribus.sweep.standing import Runs
    from paribus.tracking.states import RunState

Kind = tuple[str, str]
"""Experiment type and study, by which durations are estimated."""
SAVED = 30.0
"""Seconds that workers must save for a sweep to use them by default."""
LATEST = 100
"""Number of latest runs from which a duration is estimated."""


def kind_of(job: Job) -> Kind:
    """Return the key by which a job's duration is estimated."""
    return str(job.experiment.type), job.study or ""


@dataclass(frozen=True)
class Estimate:
    """How long a job takes.

    Attributes:
        seconds: The seconds, None if unknown.
        unknown: The experiment types without a finished run to estimate from.
    """

    seconds: float | None
    unknown: tuple[str, ...] = ()


class Times:
    """Durations of jobs by the runs of a store, including the trainings that they make first.

    A training counts once, for the first job that needs it.
    """

    def __init__(self, runs: Runs) -> None:
        """Read the runs."""
        self._runs = runs
        self._typical = typical_seconds(runs.all)
        self._counted: set[str] = set()

    def of(self, kind: Kind, models: Sequence[Training] = ()) -> Estimate:
        """Return how long a job of a kind takes; ``models``: its trainings, which it makes if missing."""
        needed = [(kind[0], self._typical.get(kind))]
        for model in models:
            if model.identity not in self._counted and not self._runs.has_finished(model.identity):
                self._counted.add(model.identity)
                needed.append((model.experiment, self._left_of(model, kind[1])))
        unknown = tuple(name for name, seconds in needed if seconds is None)
        return Estimate(None if unknown else sum(seconds or 0.0 for _, seconds in needed), unknown)

    def _left_of(self, model: Training, study: str) -> float | None:
        seconds, going = self._typical.get((model.experiment, study)), self._runs.running(model.identity)
        return seconds if seconds is None or going is None else left_of(seconds, going)


def left_of(seconds: float, run: RunState) -> float:
    """Return how many seconds are left of a run with this total duration."""
    return max(0.0, seconds - (datetime.now().timestamp() - run.started))


def typical_seconds(runs: Iterable[RunState]) -> dict[Kind, float]:
    """Return how long the finished runs of each kind took: the median of the latest."""
    found: defaultdict[Kind, list[float]] = defaultdict(list)
    for run in runs:
        if run.status == states.FINISHED and run.seconds is not None:
            found[run.tags.get("experiment_type", ""), run.tags.get("study", "")].append(run.seconds)
    return {kind: median(seconds[:LATEST]) for kind, seconds in found.items()}


def span_of(first: Sequence[float | None], last: Sequence[float | None] = (), workers: int = 1) -> float | None:
    """Return how long jobs take together, None if one of them is unknown.

    Jobs go to workers in order, each to the first free one, as in a sweep, so the time is at least that of the longest
    job.

    Args:
        first: The seconds of the jobs.
        last: The seconds of those that start after all others have ended.
        workers: Number of workers.

    Example:
        >>> span_of([1.0, 1.0, 6.0], [2.0], workers=2)
        9.0
        >>> span_of([1.0, None]) is None
        True
    """
    total = 0.0
    for part in (first, last):
        free = [0.0] * max(1, min(workers, len(part)))
        for seconds in part:
            if seconds is None:
                return None
            heapq.heapreplace(free, free[0] + seconds)
        total += max(free)
    return total


def where_it_helps(first: Sequence[float | None], last: Sequence[float | None], most: int) -> int:
    """Return how many workers a sweep has by default: the maximum if they save half a minute, else one.

    Args:
        first: The seconds of its jobs, None if unknown.
        last: The seconds of those that start after all others have ended.
        most: How many workers there can be.

    Example:
        >>> where_it_helps([40.0] * 3, [], most=8), where_it_helps([5.0] * 3, [], most=8), where_it_helps([None], [], 8)
        (3, 1, 1)
    """
    alone, shared = span_of(first, last), span_of(first, last, most)
    if alone is None or shared is None or alone - shared < SAVED:
        return 1
    return min(most, max(len(first), len(last)))


def about(seconds: float) -> str:
    """Return an estimated duration as text.

    Example:
        >>> about(3600), about(0.2)
        ('about 1 h', 'under 1 s')
    """
    told = span(seconds)
    return told if told.startswith("under") else f"about {told}"


def span(seconds: float) -> str:
    """Return a duration as text.

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
