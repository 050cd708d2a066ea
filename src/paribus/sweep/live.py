"""Progress of a sweep: a bar in a terminal, or occasional lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Batch
from paribus.sweep.estimate import about
from paribus.sweep.outcome import Outcome

LINE_SECONDS = 30.0
"""Minimum seconds between lines in a log; there is always a last line."""
BAR = "{n_fmt} of {total_fmt} jobs{postfix} |{bar}|"
"""A bar says what a line says, in a narrow terminal the first of it; it gets the width that is left."""


class Live:
    """Counts the jobs of a sweep as they end and reports progress."""

    def __init__(self, batch: Batch, *, workers: int = 1) -> None:
        """Count the jobs that were settled before."""
        self._batch = batch
        self._workers = workers
        self._words = _differing(batch)
        self.total = len(batch.words)
        self.reused = sum(outcome.reused for outcome in batch.settled)
        self.done = 0
        self.failed = sum(not outcome.reused for outcome in batch.settled)
        self.killed = 0
        self.running = 0
        self._seconds: list[float] = []
        self._bar: Any = None
        self._said = time.monotonic()
        self._heard: set[str] = set()

    def __enter__(self) -> Self:
        """Show the bar, in a terminal."""
        print(f"{len(self._batch.todo)} jobs for {self._workers} worker{'s' if self._workers > 1 else ''}", flush=True)
        if sys.stderr.isatty():
            self._bar = tqdm(total=self.total, initial=self.ended, dynamic_ncols=True, bar_format=BAR)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Report the final counts."""
        if self._bar is not None:
            self._bar.close()
        else:
            print(self.line(ended=True), flush=True)

    @property
    def ended(self) -> int:
        """How many jobs have ended: reused, done, failed or killed."""
        return self.reused + self.done + self.failed + self.killed

    def told(self, number: int | None, outcome: Outcome | None, running: int) -> None:
        """Record that a job was started or has ended."""
        self.running = running
        if outcome is not None:
            self.note(outcome)
        if self._bar is not None:
            self._bar.n = self.ended
            self._bar.set_postfix_str(", ".join(part for part in (self.counts(), self.left()) if part), refresh=True)
        elif self.running and time.monotonic() - self._said > LINE_SECONDS and (outcome is None or self._at_last):
            self._said = time.monotonic()
            print(self.line(), flush=True)

    @property
    def _at_last(self) -> bool:
        """Whether no job is left to start; before that a line waits until every worker has its next job."""
        return self.total - self.ended <= self.running

    def heard(self, text: str) -> None:
        """Show what a worker says, once, however many say it; each says it in its own log, too."""
        if text not in self._heard:
            self._heard.add(text)
            tqdm.write(text, file=sys.stderr if self._bar is not None else sys.stdout)
            sys.stdout.flush()

    def note(self, outcome: Outcome) -> None:
        """Count a job that has ended."""
        if outcome.status == outcomes.DONE:
            self.reused += outcome.reused
            self.done += not outcome.reused
        elif outcome.status == outcomes.INTERRUPTED:
            self.killed += 1
        else:
            self.failed += 1
        if outcome.duration_seconds is not None and not outcome.reused:
            self._seconds.append(outcome.duration_seconds)

    def counts(self) -> str:
        """Return how many are done, reused, running and failed, without zeros."""
        named = (("done", self.done), ("reused", self.reused), ("running", self.running), ("failed", self.failed),
                 ("killed", self.killed))  # fmt: skip
        return ", ".join(f"{number} {name}" for name, number in named if number)

    def left(self) -> str:
        """Return how long the rest takes, from the jobs so far; empty without any."""
        rest = self.total - self.ended
        if not self._seconds or not rest:
            return ""
        rounds = max(rest / self._workers, 1.0)  # the last job is not shared
        return f"{about(rounds * sum(self._seconds) / len(self._seconds))} left"

    def line(self, *, ended: bool = False) -> str:
        """Return the progress of the sweep in one line; where it has ended, perhaps early, no time is left."""
        parts = (f"{self.ended} of {self.total} jobs", self.counts(), "" if ended else self.left())
        return "  ".join(part for part in parts if part)

    def heading(self, number: int) -> str:
        """Return the line before a job that runs here."""
        left = self.left()
        far = f" ({self.ended} of {self.total} through{', ' + left if left else ''})" if self.total > 1 else ""
        return f"\t#{number} : {' '.join(self._words[number])}{far}"


def _differing(batch: Batch) -> tuple[tuple[str, ...], ...]:
    """Return for every job the words in which it differs from others; for a single job all."""
    if len(batch.words) < 2:
        return batch.words
    common = set(batch.words[0]).intersection(*batch.words)
    return tuple(tuple(word for word in words if word not in common) for words in batch.words)
