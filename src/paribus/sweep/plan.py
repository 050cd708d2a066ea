"""The plan of a sweep and the state of its jobs, shown before it starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from paribus.running.probe import Probe, probe
from paribus.running.request import from_job
from paribus.sweep import standing as standings
from paribus.sweep.estimate import Estimate, Times, about, kind_of, span, span_of, where_it_helps
from paribus.sweep.identities import lookups
from paribus.sweep.standing import Standing, all_standing, runs_by_store

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.sweep.identities import Known

MOST = 50
_OF_A_SWEEP = ("workers", "sweep.", "hydra.", "hydra/", "dry_run", "reuse")
"""Words about how the jobs of a sweep are run together; no single job has them."""


@dataclass(frozen=True)
class Planned:
    """One line of a plan.

    Attributes:
        number: Place in the sweep, from 0, which is also the name of its output folder.
        experiment: The experiment type.
        varied: The overrides in which it differs from other jobs of the sweep.
        state: Its state, None if not looked up.
        why: The reason for that state.
        identity: Identity of its run, None if it is made from the runs of others.
        run_id: The run that the state is read from.
        again: Whether the sweep would run it.
        seconds: How long it will take, by earlier runs of its type or by a probe, with the trainings that it makes.
        unknown: The experiment types without a finished run to estimate from.
        last: Whether it starts after all others have ended.
    """

    number: int
    experiment: str
    varied: tuple[str, ...]
    state: str | None = None
    why: str = ""
    identity: str | None = None
    run_id: str | None = None
    again: bool = True
    seconds: float | None = None
    unknown: tuple[str, ...] = ()
    last: bool = False


@dataclass(frozen=True)
class Plan:
    """What a request would run.

    Attributes:
        common: Overrides that all jobs share.
        jobs: One entry for each job.
        varies: How many values each key has that differs between jobs.
        comparison: Experiment that is made after all jobs have ended, None without one.
        workers: How many processes would share the jobs.
        comparison_seconds: How long that comparison will take, None if unknown.
        probes: Probes of jobs of a kind that has never finished.
    """

    common: tuple[str, ...]
    jobs: tuple[Planned, ...]
    varies: Mapping[str, int]
    comparison: str | None = None
    workers: int = 1
    comparison_seconds: float | None = None
    probes: tuple[Probe, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return standings.counted(job.state for job in self.jobs)

    @property
    def seconds(self) -> float | None:
        """How long the jobs to run will take, None if one of them is unknown."""
        first = [job.seconds for job in self.jobs if job.again and not job.last]
        last = [job.seconds for job in self.jobs if job.again and job.last]
        if not first and not last:
            return None
        if self.comparison is not None and self.comparison_seconds is not None:
            last.append(self.comparison_seconds)
        return span_of(first, last, self.workers)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        to_run = sum(job.again for job in self.jobs)
        return {**asdict(self), "counts": self.counts, "to_run": to_run, "seconds": self.seconds}


def plan(jobs: Sequence[Job], *, workers: int = 1) -> Plan:
    """Return the plan of ``jobs``: common overrides once, varied ones for each job."""
    if not jobs:
        return Plan((), (), {})
    shared = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs))
    planned = tuple(
        Planned(number, job.experiment.type, tuple(word for word in job.overrides if word not in shared))
        for number, job in enumerate(jobs)
    )
    comparison = getattr(jobs[0].experiment, "comparison", None)
    return Plan(
        common=tuple(word for word in jobs[0].overrides if word in shared),
        jobs=planned,
        varies=_varies(planned),
        comparison=None if comparison is None else str(comparison.type),
        workers=max(1, min(workers, len(jobs))),
    )


def plan_with_states(
    known: Sequence[Known], *, reused: bool, workers: int = 1, unasked: bool = False, probes: bool = False
) -> Plan:
    """Return the plan of jobs with the state and estimated duration of each.

    Args:
        known: The jobs with their identities.
        reused: Whether ``reuse=auto`` takes finished runs, as in a sweep.
        workers: How many processes share the jobs.
        unasked: Whether no number of workers was given, so that they are used only if it helps.
        probes: Whether one job of each kind that has never finished is started to estimate its duration.
    """
    runs = runs_by_store(known)
    by_store = {name: Times(found) for name, found in runs.items()}
    bare = plan([each.job for each in known], workers=workers)
    found = all_standing(known, runs, reused=reused)
    times = [
        by_store[each.store].of(kind_of(each.job), each.models if status.again else ())
        for each, status in zip(known, found, strict=True)
    ]
    measured: dict[Any, Probe] = {}
    for place, (each, status) in enumerate(zip(known, found, strict=True)):
        if not probes or times[place].seconds is not None or not status.again or each.asked is not None:
            continue
        kind = (kind_of(each.job), each.job.choices.get("model"))
        if kind not in measured:
            measured[kind] = probe(from_job(each.job), lookups(each.job.nodes["tracking"]))
        times[place] = replace(times[place], seconds=measured[kind].seconds)
    made = tuple(
        _with(planned, each, status, time)
        for planned, each, status, time in zip(bare.jobs, known, found, times, strict=True)
    )
    if unasked:
        todo = [job for job in made if job.again]
        first, last = ([job.seconds for job in todo if job.last is late] for late in (False, True))
        bare = replace(bare, workers=where_it_helps(first, last, bare.workers))
    compared = None
    if bare.comparison is not None:
        compared = by_store[known[0].store].of((bare.comparison, known[0].job.study or "")).seconds
    return replace(bare, jobs=made, comparison_seconds=compared, probes=tuple(measured.values()))


def _with(planned: Planned, known: Known, status: Standing, time: Estimate) -> Planned:
    return replace(
        planned,
        state=status.state,
        why=status.why,
        identity=None if status.state == standings.AFTER and known.asked is not None else known.identity,
        run_id=status.run.run_id if status.run is not None else None,
        again=status.again,
        seconds=time.seconds,
        unknown=time.unknown,
        last=known.asked is not None,
    )


def _varies(jobs: Sequence[Planned]) -> dict[str, int]:
    values: dict[str, set[str]] = {}
    for job in jobs:
        for word in job.varied:
            key, _, value = word.partition("=")
            values.setdefault(key, set()).add(value)
    return {key: len(found) for key, found in values.items()}


def listing(made: Plan, *, most: int = MOST) -> str:
    """Return a plan as text, one line for each job, cut after ``most`` of them."""
    count = len(made.jobs)
    lines = [f"{count} job{'' if count == 1 else 's'}: {' '.join(made.common)}"]
    lines += [f"  {line}" for line in summary(made)]
    if count > 1:
        lines += [f"  {_line(job, len(str(count - 1)), made)}".rstrip() for job in made.jobs[:most]]
        if count > most:
            lines.append(f"  ... and {count - most} more")
    return "\n".join(lines)


def summary(made: Plan) -> list[str]:
    """Return lines about all jobs together; none if their states were not looked up."""
    lines = []
    if made.varies:
        lines.append(f"varies: {', '.join(f'{key} ({number})' for key, number in made.varies.items())}")
    if made.counts:
        lines.append(", ".join(f"{number} {state}" for state, number in made.counts.items()))
        lines.append(_time(made))
        lines += [f"probe: {each.experiment}: {each.text()}" for each in made.probes]
        idle = sum(job.state == standings.FAILED and not job.again for job in made.jobs)
        if idle:
            lines.append(
                f"{idle} failed with this very code and would again: sweep.retry=failed tries them all the same"
            )
    if made.comparison:
        lines.append(f"{made.comparison} when all are through")
    return lines


def _time(made: Plan) -> str:
    todo = [job for job in made.jobs if job.again]
    if not todo:
        return "nothing to run"
    shared = f" with {made.workers} workers" if made.workers > 1 else ""
    if made.seconds is None:
        types = sorted({name for job in todo if job.seconds is None for name in job.unknown})
        return (
            f"{len(todo)} to run{shared}; how long is not known: no run of {', '.join(types)} has finished here yet"
            f"{'' if made.probes else ' (--probe begins one of each, to see)'}"
        )
    by = "by probes and earlier runs of the same type" if made.probes else "by earlier runs of the same type"
    without = f", without {made.comparison}" if made.comparison and made.comparison_seconds is None else ""
    least = any(each.left_out for each in made.probes)
    told = f"at least {span(made.seconds)}" if least else about(made.seconds)
    return f"{len(todo)} to run{shared}: {told}, {by}{without}"


def _line(job: Planned, width: int, made: Plan) -> str:
    counts = made.counts
    state = f"  {job.state or '':<{max(map(len, counts))}}" if counts else ""
    run = f"  {(job.run_id or '')[:8]:<8}" if any(each.run_id for each in made.jobs[:MOST]) else ""
    why = f"  ({_cut(job.why)})" if job.why else ""
    return f"{job.number:>{width}}{state}{run}  {job.experiment}  {' '.join(job.varied)}{why}"


def _cut(text: str, most: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def command(job: Job) -> str:
    """Return the shell command that runs one job of a sweep by itself; if already done, its run is reused."""
    flags = ["--config-dir", job.config_dirs[0]] if job.config_dirs else []
    words = [word for word in job.overrides if not word.lstrip("+").startswith(_OF_A_SWEEP)]
    paths = [word for word in job.overrides if word.lstrip("+").startswith("hydra.searchpath=")]
    reuse = [f"reuse={job.reuse if job.reuse != 'auto' else 'always'}"]
    return shlex.join(["paribus", *flags, *words, *paths, *reuse])
