"""What a sweep consists of and the state of its jobs, said before it starts."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from paribus.sweep import standing as standings
from paribus.sweep.estimate import seconds_of, span, typical_seconds
from paribus.sweep.standing import Runs, Standing, all_standing
from paribus.tracking.states import run_states

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.sweep.identities import Known

MOST = 50
_OF_A_SWEEP = ("workers", "sweep.", "hydra.", "hydra/", "dry_run", "reuse")
"""Words that say how jobs are run together; no job by itself has them."""


@dataclass(frozen=True)
class Planned:
    """One line of a plan.

    Attributes:
        number: Place in the sweep, from 0, which is also the name of its output folder.
        experiment: The experiment type.
        varied: The overrides in which it differs from other jobs of the sweep.
        state: Its state, None where that was not asked.
        why: What there is to say about that.
        identity: Identity of its run, None where it is made from the runs of others.
        run_id: The run that the state is read from.
        again: Whether the sweep would run it.
        seconds: How long it will take, by earlier runs of its type.
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


@dataclass(frozen=True)
class Plan:
    """What a request would run.

    Attributes:
        common: Overrides that all jobs share.
        jobs: One entry for each job.
        varies: How many values each key has that differs between jobs.
        comparison: Experiment that is made when all jobs are through, None where there is none.
        workers: How many processes would share the jobs.
    """

    common: tuple[str, ...]
    jobs: tuple[Planned, ...]
    varies: Mapping[str, int]
    comparison: str | None = None
    workers: int = 1

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        found = Counter(job.state for job in self.jobs if job.state is not None)
        return {state: found[state] for state in standings.STATES if state in found}

    @property
    def seconds(self) -> float | None:
        """How long the jobs that are to be run will take, None where that is not known of one of them."""
        asked = [job.seconds for job in self.jobs if job.again]
        if not asked or any(seconds is None for seconds in asked):
            return None
        known = [seconds for seconds in asked if seconds is not None]
        return max(sum(known) / self.workers, *known)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        return {
            "jobs": [asdict(job) for job in self.jobs],
            "common": list(self.common),
            "varies": dict(self.varies),
            "counts": self.counts,
            "to_run": sum(job.again for job in self.jobs),
            "comparison": self.comparison,
            "workers": self.workers,
            "seconds": self.seconds,
        }


def plan(jobs: Sequence[Job], *, workers: int = 1) -> Plan:
    """Return the plan of ``jobs``: what they have in common once, what varies for each."""
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


def plan_with_states(known: Sequence[Known], *, reused: bool, workers: int = 1) -> Plan:
    """Return the plan of jobs with the state of each and how long it will take.

    Args:
        known: The jobs with their identities.
        reused: Whether finished runs are taken by ``reuse=auto``, as in a sweep.
        workers: How many processes share the jobs.
    """
    specs = {repr(each.job.nodes["tracking"]): each.job.nodes["tracking"] for each in known}
    runs = {name: Runs(run_states(spec)) for name, spec in specs.items()}
    typical = {name: typical_seconds(found.all) for name, found in runs.items()}
    bare = plan([each.job for each in known], workers=workers)
    found = all_standing(known, runs, reused=reused)
    times = [seconds_of(each.job, typical[repr(each.job.nodes["tracking"])]) for each in known]
    made = tuple(_with(*each) for each in zip(bare.jobs, known, found, times, strict=True))
    return Plan(bare.common, made, bare.varies, bare.comparison, bare.workers)


def _with(planned: Planned, known: Known, stands: Standing, seconds: float | None) -> Planned:
    return Planned(
        planned.number,
        planned.experiment,
        planned.varied,
        state=stands.state,
        why=stands.why,
        identity=known.identity,
        run_id=stands.run.run_id if stands.run is not None else None,
        again=stands.again,
        seconds=seconds,
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
    """Return what there is to say of all jobs together; nothing where their states were not asked."""
    lines = []
    if made.varies:
        lines.append(f"varies: {', '.join(f'{key} ({number})' for key, number in made.varies.items())}")
    if made.counts:
        lines.append(", ".join(f"{number} {state}" for state, number in made.counts.items()))
        lines.append(_time(made))
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
        types = sorted({job.experiment for job in todo if job.seconds is None})
        return f"{len(todo)} to run{shared}; how long is not known: no run of {', '.join(types)} has finished here yet"
    return f"{len(todo)} to run{shared}: about {span(made.seconds)}, by earlier runs of the same type"


def _line(job: Planned, width: int, made: Plan) -> str:
    stands = made.counts
    state = f"  {job.state or '':<{max(map(len, stands))}}" if stands else ""
    run = f"  {(job.run_id or '')[:8]:<8}" if any(each.run_id for each in made.jobs[:MOST]) else ""
    why = f"  ({_cut(job.why)})" if job.why else ""
    return f"{job.number:>{width}}{state}{run}  {job.experiment}  {' '.join(job.varied)}{why}"


def _cut(text: str, most: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def command(job: Job) -> str:
    """Return the line that runs one job of a sweep by itself, for a shell; done already, it is found and reused."""
    flags = ["--config-dir", job.config_dirs[0]] if job.config_dirs else []
    words = [word for word in job.overrides if not word.lstrip("+").startswith(_OF_A_SWEEP)]
    paths = [word for word in job.overrides if word.lstrip("+").startswith("hydra.searchpath=")]
    reuse = [f"reuse={job.reuse if job.reuse != 'auto' else 'always'}"]
    return shlex.join(["paribus", *flags, *words, *paths, *reuse])
