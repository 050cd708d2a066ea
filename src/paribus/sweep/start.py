"""The start of a sweep: which jobs are already done, which are to be run, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.running.figure_formats import lacking
from paribus.running.run import take_job
from paribus.running.workspace import discard
from paribus.sweep import outcome as outcomes
from paribus.sweep import standing as standings
from paribus.sweep.estimate import Times, kind_of, where_it_helps
from paribus.sweep.identities import Known, known_jobs
from paribus.sweep.outcome import Outcome
from paribus.sweep.standing import Standing, all_standing, runs_by_store
from paribus.tracking.kept import FAILURE_TAG
from paribus.tracking.opening import open_store

if TYPE_CHECKING:
    from paribus.config.job import Job

NAMED = 10
"""Number of jobs that are listed individually."""


@dataclass(frozen=True)
class Started:
    """The jobs of a sweep at its start.

    Attributes:
        known: The jobs, with the run that ``latest`` resolves to named.
        settled: Outcomes of those that need not be run, by number.
        seconds: How long each takes by earlier runs, by number; None if unknown.
    """

    known: tuple[Known, ...]
    settled: Mapping[int, Outcome]
    seconds: Mapping[int, float | None] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """The jobs."""
        return [each.job for each in self.known]

    @property
    def todo(self) -> tuple[int, ...]:
        """Numbers of the jobs to run; those that compare runs come last."""
        numbers = (each.number for each in self.known if each.number not in self.settled)
        return tuple(sorted(numbers, key=lambda number: (number in self.last, number)))

    def workers(self, most: int) -> int:
        """Return how many workers the jobs to run get by default.

        Args:
            most: The maximum.
        """
        first, last = (
            [self.seconds.get(number) for number in self.todo if (number in self.last) is late]
            for late in (False, True)
        )
        return where_it_helps(first, last, most)

    @property
    def last(self) -> frozenset[int]:
        """Numbers of the jobs that compare the runs of others."""
        return frozenset(each.number for each in self.known if each.asked is not None)


def refuse_swept(jobs: Sequence[Job]) -> None:
    """Refuse a sweep over settings of the sweep itself.

    Raises:
        ConfigError: If the jobs differ in one.
    """
    for name in ("workers", "sweep"):
        if any(getattr(job, name) != getattr(jobs[0], name) for job in jobs):
            raise ConfigError(f"{name}: says how all jobs of a sweep are run, so it cannot be swept over")


def start(jobs: Sequence[Job], sweep: str) -> Started:
    """Determine which jobs of a sweep need not be run: those that are finished, and those that would fail again."""
    known = tuple(known_jobs(jobs))
    runs = runs_by_store(known)
    settled: dict[int, Outcome] = {}
    stand = all_standing(known, runs, reused=True)
    for each, status in zip(known, stand, strict=True):
        outcome = _taken(each, status, sweep) or _given_up(each, status, sweep)
        if outcome is not None:
            settled[each.number] = outcome
    waiting = {each.number for each, status in zip(known, stand, strict=True) if status.state == standings.AFTER}
    times = {name: Times(found) for name, found in runs.items()}
    return Started(
        tuple(
            replace(each, identity=None) if each.asked is not None and each.number in waiting else each
            for each in known
        ),
        settled,
        {
            each.number: times[each.store].of(kind_of(each.job), each.models).seconds
            for each in known
            if each.number not in settled
        },
    )


def _taken(known: Known, status: Standing, sweep: str) -> Outcome | None:
    if status.state != standings.FINISHED or known.identity is None:
        return None
    assert status.run is not None
    taken = Outcome(outcomes.DONE, known.job.overrides, sweep, status.run.run_id, reused=True, number=known.number)
    if status.run.artifacts is not None:  # its files have been checked
        discard(known.identity)
        return taken
    result = take_job(known.job, known.identity, sweep=sweep)
    return None if result is None else replace(taken, run_id=result.run_id)


def _given_up(known: Known, status: Standing, sweep: str) -> Outcome | None:
    if status.state != standings.FAILED or status.again or status.run is None:
        return None
    return Outcome(
        outcomes.FAILED,
        known.job.overrides,
        sweep,
        run_id=status.run.run_id,
        message=f"{status.why} (in an earlier sweep, by this very code; sweep.retry=failed tries again)",
        kind=status.run.tags.get(FAILURE_TAG),
        number=known.number,
    )


def _without_figures(started: Started, reused: Sequence[Outcome]) -> list[str]:
    """Return a line about reused runs without figures in a format that their jobs name; none where all have them."""
    jobs = {each.number: each.job for each in started.known}
    found: list[tuple[str, list[str]]] = []
    for outcome in reused:
        job = jobs[outcome.number] if outcome.number is not None else None
        if job is not None and job.figures.formats and outcome.run_id is not None:
            store = open_store(job.nodes["tracking"])
            found += lacking(store, store.result(outcome.run_id), job.figures.formats)
    if not found:
        return []
    formats = list(dict.fromkeys(name for _, names in found for name in names))
    return [
        f"  without figures as {' or '.join(formats)}: {len(found)} of these runs, the first is {found[0][0][:8]}; "
        f"paribus figures RUN OUT --formats {','.join(formats)} draws those of a run into OUT"
    ]


def told(started: Started) -> list[str]:
    """Return lines to print before a sweep: the reused jobs, and how many are left out."""
    reused = [outcome for outcome in started.settled.values() if outcome.reused]
    given_up = len(started.settled) - len(reused)
    lines = []
    if reused:
        lines.append(f"{len(reused)} of {len(started.known)} jobs are done already and reused:")
        common = set(started.known[0].job.overrides).intersection(*(each.job.overrides for each in started.known))
        for outcome in reused[:NAMED]:
            words = " ".join(word for word in outcome.overrides if word not in common)
            lines.append(f"  #{outcome.number}  run {(outcome.run_id or '')[:8]}  {words}".rstrip())
        if len(reused) > NAMED:
            lines.append(f"  ... and {len(reused) - NAMED} more")
        taken = {outcome.number for outcome in reused}
        jobs = [each.job for each in started.known if each.number in taken]
        if any(job.claim.endpoint is not None or job.parent_hypothesis for job in jobs):
            lines.append("  of these runs the claim and the hypothesis are not recorded: they are taken as they are")
        lines += _without_figures(started, reused)
    if given_up:
        lines.append(f"{given_up} failed before, by this very code, and are not tried again (sweep.retry=failed does)")
    return lines
