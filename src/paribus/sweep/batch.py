"""The jobs that the entrypoint passes to the sweeper, and what to do when some fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from paribus.config.settings import SweepSettings
from paribus.running.failures import INTERRUPTED
from paribus.sweep import outcome as outcomes
from paribus.sweep.outcome import Outcome


@dataclass(frozen=True)
class Batch:
    """The jobs of a sweep.

    Attributes:
        words: The overrides of every job, by number, without those about Hydra itself.
        todo: Numbers of the jobs to run, in order.
        settled: Outcomes of the others: taken from earlier runs, or known to fail.
        settings: What to do after a failure.
        workers: How many processes share the jobs.
        device: Where they compute: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        places: The GPU of each slot for a process (:func:`paribus.sweep.processors.places`).
        last: Numbers of jobs that start after all others have ended, because they compare their runs.
        asked: The overrides that the sweep was asked for with, as its ``multirun.yaml`` shows them.
    """

    words: tuple[tuple[str, ...], ...]
    todo: tuple[int, ...]
    settled: tuple[Outcome, ...] = ()
    settings: SweepSettings = SweepSettings()
    workers: int = 1
    device: str = "auto"
    places: tuple[str, ...] = ()
    last: frozenset[int] = frozenset()
    asked: tuple[str, ...] = ()


@dataclass
class Policy:
    """Decides when no more jobs are started.

    Attributes:
        settings: The settings.
        stopped: Why no more are started, None as long as they are.
    """

    settings: SweepSettings
    stopped: str | None = None
    _equal: dict[str, int] = field(default_factory=dict)

    def ended(self, outcome: Outcome) -> None:
        """Record how a job ended."""
        if outcome.status not in (outcomes.FAILED, outcomes.REFUSED) or outcome.kind == INTERRUPTED:
            return
        if self.settings.on_error == "stop":
            self.stopped = self.stopped or "a job failed, and sweep.on_error=stop"
            return
        message = outcome.message or ""
        self._equal[message] = self._equal.get(message, 0) + 1
        if self.settings.equal_errors and self._equal[message] >= self.settings.equal_errors:
            count = self._equal[message]
            self.stopped = self.stopped or f"{count} jobs failed with the same message (sweep.equal_errors=0 goes on)"


def not_started(numbers: Sequence[int], words: Sequence[Sequence[str]], sweep: str | None, why: str) -> list[Outcome]:
    """Return the outcomes of jobs that were not started."""
    return [
        Outcome(outcomes.NOT_STARTED, tuple(words[number]), sweep, message=why, number=number) for number in numbers
    ]
