"""What a sweep consists of, told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paribus.config.job import Job


@dataclass(frozen=True)
class Planned:
    """One line of a plan.

    Attributes:
        number: Place in the sweep, from 0, which is also the name of its output folder.
        experiment: The experiment type.
        varied: The overrides in which it differs from other jobs of the sweep.
    """

    number: int
    experiment: str
    varied: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a request would run.

    Attributes:
        common: Overrides that all jobs share.
        jobs: One entry for each job.
    """

    common: tuple[str, ...]
    jobs: tuple[Planned, ...]


def plan(jobs: Sequence[Job]) -> Plan:
    """Return the plan of ``jobs``: what they have in common once, what varies for each."""
    if not jobs:
        return Plan((), ())
    shared = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs))
    planned = tuple(
        Planned(number, job.experiment.type, tuple(word for word in job.overrides if word not in shared))
        for number, job in enumerate(jobs)
    )
    return Plan(tuple(word for word in jobs[0].overrides if word in shared), planned)


def listing(made: Plan, *, most: int = 50) -> str:
    """Return a plan as text, one line for each job, cut after ``most`` of them."""
    count = len(made.jobs)
    lines = [f"{count} job{'' if count == 1 else 's'}: {' '.join(made.common)}"]
    if count > 1:
        width = len(str(count - 1))
        lines += [f"  {p.number:>{width}}  {p.experiment}  {' '.join(p.varied)}".rstrip() for p in made.jobs[:most]]
        if count > most:
            lines.append(f"  ... and {count - most} more")
    return "\n".join(lines)
