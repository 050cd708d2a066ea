"""The state of a sweep, derived from the runs of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paribus.running.failures import OF_THE_JOB
from paribus.sweep import standing as standings
from paribus.sweep.estimate import Times, about, left_of, span, span_of
from paribus.sweep.record import Record
from paribus.sweep.standing import Runs, Standing, after, standing
from paribus.tracking import states
from paribus.tracking.heartbeat import here
from paribus.tracking.kept import FAILURE_TAG
from paribus.tracking.states import run_states

MOST = 40


@dataclass(frozen=True)
class Status:
    """The state of a sweep.

    Attributes:
        record: The sweep.
        jobs: The state of each of its jobs, by number.
        earlier: How many of the finished jobs are of an earlier sweep or run.
        comparison: The state of its comparison, None without one or before it starts.
        left: Seconds for the rest, by earlier runs of its types; None: unknown, or nothing is left.
    """

    record: Record
    jobs: tuple[Standing, ...]
    earlier: int
    comparison: str | None
    left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return standings.counted(job.state for job in self.jobs)

    @property
    def complete(self) -> bool:
        """Whether all its jobs are finished."""
        return all(job.state == standings.FINISHED for job in self.jobs)

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
                    "state": job_status.state,
                    "run_id": job_status.run.run_id if job_status.run else None,
                    "why": job_status.why,
                }
                for number, (job, job_status) in enumerate(zip(made.jobs, self.jobs, strict=True))
            ],
        }


def status(made: Record) -> Status:
    """Return the state of a sweep now.

    Raises:
        ParibusError: If a store cannot be read.
    """
    runs = [Runs(run_states(store), today="") for store in made.stores]
    jobs = _all_standing(made, runs)
    own = [run for found in runs for run in found.all if run.tags.get("sweep") == made.sweep]
    earlier = sum(
        job_status.state == standings.FINISHED
        and job_status.run is not None
        and job_status.run.tags.get("sweep") != made.sweep
        for job_status in jobs
    )
    compared = next((run.status for run in own if run.tags.get("experiment_type") == made.comparison), None)
    comparison = compared if made.comparison else None
    left = _left(made, jobs, runs, compared=comparison == states.FINISHED)
    return Status(made, jobs, earlier, comparison, left)


def _all_standing(made: Record, runs: Sequence[Runs]) -> tuple[Standing, ...]:
    """Return the state of each job, including waiting for the training of its model, as in a plan."""
    found = []
    trained_by: dict[str, int] = {}
    for number, job in enumerate(made.jobs):
        status = _standing(number, made, runs)
        if status.state == standings.TODO:
            status = after(job.models, runs[job.store], trained_by) or status
        for model in job.models:
            trained_by.setdefault(model.identity, number)
        found.append(status)
    return tuple(found)


def _standing(number: int, made: Record, runs: Sequence[Runs]) -> Standing:
    job = made.jobs[number]
    if job.identity is not None:
        return standing(job.identity, runs[job.store], check=False)
    own = runs[job.store].asking(job.asked, sweep=made.sweep) if job.asked is not None else ()
    if own:
        return Standing(_STATES[own[0].status], own[0], own[0].tags.get("error_message", ""))
    return Standing(standings.AFTER if job.asked is not None else standings.TODO)


_STATES = {
    states.FINISHED: standings.FINISHED,
    states.FAILED: standings.FAILED,
    states.KILLED: standings.KILLED,
    states.RUNNING: standings.RUNNING,
}


def _left(made: Record, jobs: Sequence[Standing], runs: Sequence[Runs], *, compared: bool) -> float | None:
    """Return how many seconds the rest takes; a running job counts with its remaining time.

    Jobs that failed or were killed in this sweep do not count while it runs, and failed ones do not count afterwards
    either, because the same command may not try them again.
    """
    times = [Times(found) for found in runs]
    first: list[float | None] = []
    last: list[float | None] = []
    for job, job_status in zip(made.jobs, jobs, strict=True):
        if job_status.state == standings.FINISHED or _is_through(job_status, made):
            continue
        seconds = times[job.store].of((job.experiment, job.study), job.models).seconds
        if seconds is not None and job_status.state == standings.RUNNING and job_status.run is not None:
            seconds = left_of(seconds, job_status.run)
        (first if job.asked is None else last).append(seconds)
    if made.comparison and not compared:
        last.append(times[0].of((made.comparison, made.study)).seconds)
    return span_of(first, last, made.workers) if first or last else None


def _is_through(job_status: Standing, made: Record) -> bool:
    """Return whether a job that did not finish will not be started again."""
    if job_status.run is None or job_status.run.tags.get("sweep") != made.sweep:
        return False
    return job_status.state == standings.FAILED or (job_status.state == standings.KILLED and made.is_running)


def text(whole: Status, *, most: int = MOST) -> str:
    """Return the state of a sweep in lines: counts, then every job that is not finished, cut after ``most`` of them."""
    made = whole.record
    going = _going(whole)
    began = datetime.fromtimestamp(made.started).strftime("%Y-%m-%d %H:%M:%S")
    counts = ", ".join(f"{number} {state}" for state, number in whole.counts.items())
    before = f" ({whole.earlier} of the finished ones are reused)" if whole.earlier else ""
    lines = [
        f"sweep {made.sweep}: {len(made.jobs)} jobs, started {began}, {going}",
        f"  {made.command}",
        f"  {counts}{before}",
    ]
    rest = [number for number, job in enumerate(whole.jobs) if job.state != standings.FINISHED]
    if rest and whole.left is not None:
        lines.append(f"  {about(whole.left)} for the rest, by earlier runs of the same type")
    if rest and not made.is_running:
        failed = ", sweep.retry=failed added what failed too" if any(map(_fails_again, whole.jobs)) else ""
        lines.append(f"  the same command again does what is missing{failed}")
    if made.comparison:
        lines.append(f"  {made.comparison}: {(whole.comparison or 'when all are through').lower()}")
    lines += [f"  {_line(number, whole)}" for number in rest[:most]]
    if len(rest) > most:
        lines.append(f"  ... and {len(rest) - most} more that are not finished")
    return "\n".join(lines)


def _fails_again(found: Standing) -> bool:
    """Return whether a job failed for a reason of its own, so that the same command leaves it out."""
    return found.state == standings.FAILED and found.run is not None and found.run.tags.get(FAILURE_TAG) in OF_THE_JOB


def _going(whole: Status) -> str:
    """Return whether a sweep is running, as far as this machine can tell."""
    made = whole.record
    if made.is_running:
        return f"goes on (process {made.process})"
    if made.host == here():
        return "its command has ended" if whole.complete else "its command has ended before all were through"
    if standings.RUNNING in whole.counts:
        return "goes on elsewhere (it was started on another machine or in another container)"
    return "started on another machine or in another container: none of its jobs is running"


def _line(number: int, whole: Status) -> str:
    job, found = whole.record.jobs[number], whole.jobs[number]
    run = f"{found.run.run_id[:8]}" if found.run else "-"
    since = ""
    if found.state == standings.RUNNING and found.run is not None:
        since = f"  for {span(max(0.0, datetime.now().timestamp() - found.run.started))}"
    why = f"  ({' '.join(found.why.split())[:100]})" if found.why else ""
    return f"#{number}  {found.state}{since}  {run}  {job.experiment}  {' '.join(job.words)}{why}".rstrip()
