"""The state of a sweep, asked from any shell: derived from the runs of its jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paribus.errors import ConfigError
from paribus.sweep import standing as standings
from paribus.sweep.estimate import span, typical_seconds
from paribus.sweep.record import Record
from paribus.sweep.standing import Runs, Standing, standing
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states

MOST = 40


@dataclass(frozen=True)
class Status:
    """The state of a sweep.

    Attributes:
        record: The sweep.
        jobs: The state of each of its jobs, by number.
        earlier: How many of the finished ones are of an earlier sweep or run.
        comparison: The state of its comparison, None where there is none or it has not begun.
        left: Seconds that the rest takes, by earlier runs of its types; None where that is not known.
    """

    record: Record
    jobs: tuple[Standing, ...]
    earlier: int
    comparison: str | None
    left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        found = Counter(job.state for job in self.jobs)
        return {state: found[state] for state in standings.STATES if state in found}

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        made = self.record
        return {
            "sweep": made.sweep,
            "running": made.is_running,
            "command": made.command,
            "folder": made.folder,
            "started": made.started,
            "counts": self.counts,
            "reused": self.earlier,
            "comparison": {"experiment": made.comparison, "status": self.comparison} if made.comparison else None,
            "seconds_left": self.left,
            "jobs": [
                {
                    "number": number,
                    "experiment": job.experiment,
                    "words": list(job.words),
                    "identity": job.identity,
                    "state": stands.state,
                    "run_id": stands.run.run_id if stands.run else None,
                    "why": stands.why,
                }
                for number, (job, stands) in enumerate(zip(made.jobs, self.jobs, strict=True))
            ],
        }


def status(made: Record) -> Status:
    """Return the state of a sweep now.

    Raises:
        ParibusError: If a store cannot be read.
    """
    runs = [Runs(run_states(_spec(place)), today="") for place in made.stores]
    jobs = tuple(_standing(number, made, runs) for number in range(len(made.jobs)))
    own = [run for found in runs for run in found.all if run.tags.get("sweep") == made.sweep]
    earlier = sum(
        stands.state == standings.FINISHED and stands.run is not None and stands.run.tags.get("sweep") != made.sweep
        for stands in jobs
    )
    compared = next((run.status for run in own if run.tags.get("experiment_type") == made.comparison), None)
    return Status(made, jobs, earlier, compared if made.comparison else None, _left(made, jobs, runs))


def _spec(place: Mapping[str, Any]) -> TrackingSpec:
    try:
        return TrackingSpec(**place)
    except TypeError as error:
        raise ConfigError(f"status: where the runs of this sweep are kept cannot be read ({error})") from None


def _standing(number: int, made: Record, runs: Sequence[Runs]) -> Standing:
    job = made.jobs[number]
    if job.identity is not None:
        return standing(job.identity, runs[job.store], check=False)
    wanted = set(job.words)
    for run in runs[job.store].all:
        if run.tags.get("sweep") == made.sweep and run.tags.get("experiment_type") == job.experiment and not wanted:
            return Standing(_STATES.get(run.status, standings.RUNNING), run)
    return Standing(standings.AFTER, why="made from the runs of others")


_STATES = {"FINISHED": standings.FINISHED, "FAILED": standings.FAILED, "KILLED": standings.KILLED}


def _left(made: Record, jobs: Sequence[Standing], runs: Sequence[Runs]) -> float | None:
    typical = [typical_seconds(found.all) for found in runs]
    rest = [
        typical[job.store].get((job.experiment, job.study))
        for job, stands in zip(made.jobs, jobs, strict=True)
        if stands.state != standings.FINISHED
    ]
    if any(known is None for known in rest):
        return None
    return sum(known[0] for known in rest if known is not None) / max(1, made.workers)


def text(stands: Status, *, most: int = MOST) -> str:
    """Return the state of a sweep in lines: counts, then every job that is not finished, cut after ``most`` of them."""
    made = stands.record
    going = f"running (process {made.process})" if made.is_running else "not running here"
    began = datetime.fromtimestamp(made.started).strftime("%Y-%m-%d %H:%M:%S")
    counts = ", ".join(f"{number} {state}" for state, number in stands.counts.items())
    before = f" ({stands.earlier} of the finished ones are reused)" if stands.earlier else ""
    lines = [
        f"sweep {made.sweep}: {len(made.jobs)} jobs, started {began}, {going}",
        f"  {made.command}",
        f"  {counts}{before}",
    ]
    rest = [number for number, job in enumerate(stands.jobs) if job.state != standings.FINISHED]
    if rest and stands.left is not None:
        lines.append(f"  about {span(stands.left)} for the rest, by earlier runs of the same type")
    if rest and not made.is_running:
        lines.append("  the same command again does what is missing")
    if made.comparison:
        lines.append(f"  {made.comparison}: {(stands.comparison or 'when all are through').lower()}")
    lines += [f"  {_line(number, stands)}" for number in rest[:most]]
    if len(rest) > most:
        lines.append(f"  ... and {len(rest) - most} more that are not finished")
    return "\n".join(lines)


def _line(number: int, stands: Status) -> str:
    job, found = stands.record.jobs[number], stands.jobs[number]
    run = f"{found.run.run_id[:8]}" if found.run else "-"
    since = ""
    if found.state == standings.RUNNING and found.run is not None:
        since = f"  for {span(max(0.0, datetime.now().timestamp() - found.run.started))}"
    why = f"  ({' '.join(found.why.split())[:100]})" if found.why else ""
    return f"#{number}  {found.state}{since}  {run}  {job.experiment}  {' '.join(job.words)}{why}".rstrip()
