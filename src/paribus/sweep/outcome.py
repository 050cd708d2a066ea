"""The outcome of a job, kept as ``outcome.json`` in its output folder so that it works with any launcher."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paribus.results.files import write_text

FILE = "outcome.json"
MOST = 40
"""Number of failed jobs that are listed; further ones are only counted."""
DONE, FAILED, REFUSED, INTERRUPTED, NOT_STARTED, BUSY = (
    "done", "failed", "refused", "interrupted", "not started", "busy",
)  # fmt: skip
"""The states of an outcome: finished; an experiment failed; the request was wrong after all; stopped by a signal; left
out after failures; another process is at it, so come back."""

_WORDS = {DONE: "FINISHED", FAILED: "FAILED", INTERRUPTED: "KILLED"}


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: ``done``, ``failed``, ``refused``, ``interrupted``, ``not started`` or ``busy``.
        overrides: The words that made the job.
        sweep: Identifier of the sweep it belongs to, None for a single run.
        run_id: The tracked run, where there is one.
        message: What went wrong, in one line.
        duration_seconds: Wall time of the job.
        reused: Whether it took an earlier run instead of measuring.
        kind: Kind of the failure (:mod:`paribus.running.failures`).
        number: Number of the job in its sweep.

    Example:
        >>> Outcome("FINISHED", ("seed=1",), duration_seconds=2.0).reused
        False
    """

    status: str
    overrides: tuple[str, ...]
    sweep: str | None = None
    run_id: str | None = None
    message: str | None = None
    duration_seconds: float | None = None
    reused: bool = False
    kind: str | None = None
    number: int | None = None

    def write(self, folder: Path) -> None:
        """Write ``outcome.json`` into ``folder`` atomically."""
        write_text(folder / FILE, json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False))


def read(folder: Path) -> Outcome | None:
    """Return the outcome kept in ``folder``, or None where there is no readable one."""
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Outcome(**{**kept, "overrides": tuple(kept["overrides"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def collect(folders: Iterable[Path], sweep: str | None) -> list[Outcome]:
    """Return the outcomes in ``folders`` that belong to ``sweep``; those of an earlier sweep there are left out."""
    found = (read(folder) for folder in folders)
    return [outcome for outcome in found if outcome is not None and outcome.sweep == sweep]


def in_order(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return one outcome for each job, the first that is given, in the order of the jobs' numbers.

    ``busy`` is ignored for a job that has another outcome.
    """
    found: dict[object, Outcome] = {}
    for outcome in outcomes:
        key = outcome.overrides if outcome.number is None else outcome.number
        if key not in found or found[key].status == BUSY:
            found[key] = outcome
    return sorted(found.values(), key=lambda outcome: -1 if outcome.number is None else outcome.number)


def missing(expected: int, outcomes: Sequence[Outcome]) -> int:
    """Return how many jobs left no outcome: their process was killed, or they were never started."""
    return max(0, expected - len(outcomes))


def counts(outcomes: Sequence[Outcome], *, expected: int) -> str:
    """Return how the jobs of a sweep ended, in one line, such as ``3 jobs: 1 FAILED, 1 FINISHED, 1 reused``.

    Example:
        >>> counts([], expected=3)
        '3 jobs: 3 without an outcome'
    """
    words = [
        "reused" if each.status == DONE and each.reused else _WORDS.get(each.status, each.status) for each in outcomes
    ]
    parts = [f"{count} {word}" for word, count in sorted(Counter(words).items())]
    lost = missing(expected, outcomes)
    parts += [f"{lost} without an outcome"] if lost else []
    return f"{expected} job{'' if expected == 1 else 's'}: {', '.join(parts)}"


def failure_table(outcomes: Sequence[Outcome], *, expected: int) -> str:
    """Return the failures of a sweep as text, one line for each job that did not finish; empty if none."""
    bad = [outcome for outcome in outcomes if outcome.status != DONE]
    lost = missing(expected, outcomes)
    if not bad and not lost:
        return ""
    lines = [f"{len(bad) + lost} of {expected} jobs did not finish:"]
    common = set(outcomes[0].overrides).intersection(*(o.overrides for o in outcomes)) if len(outcomes) > 1 else set()
    shown = [outcome for outcome in bad if outcome.status != NOT_STARTED]
    labels = [f"{outcome.status} ({outcome.kind})" if outcome.kind else outcome.status for outcome in shown]
    width = max([11, *map(len, labels[:MOST])])
    for label, outcome in list(zip(labels, shown, strict=True))[:MOST]:
        words = " ".join(word for word in outcome.overrides if word not in common) or " ".join(outcome.overrides)
        run = f" (run {outcome.run_id})" if outcome.run_id else ""
        lines.append(f"  {label:<{width}}  {words}: {outcome.message or 'no message'}{run}")
    if len(shown) > MOST:
        kinds = Counter(label for label in labels[MOST:])
        lines.append(f"  and {', '.join(f'{number} more {label}' for label, number in sorted(kinds.items()))}")
    left_out = [outcome for outcome in bad if outcome.status == NOT_STARTED]
    if left_out:
        lines.append(f"  {len(left_out)} not started: {left_out[0].message}")
    if lost:
        lines.append(f"  {lost} left no outcome: never started, or the process was killed")
    return "\n".join(lines)
