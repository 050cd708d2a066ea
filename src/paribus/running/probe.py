"""Estimates how long a job takes by starting it: short work is done, of a long loop two steps are timed."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from paribus.experiments import plugins
from paribus.experiments.base import KEPT_RUNS, perform
from paribus.experiments.recording import MemoryRecorder
from paribus.running.experiment import inside, trained
from paribus.running.on_the_spot import recipe
from paribus.running.resolve import resolve
from paribus.running.resolved import Resolved
from paribus.running.sequence import Sequence
from paribus.running.setup import asked
from paribus.running.steps import step_requests

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.tracking.interface import Store

STEPS = 2
"""Steps of a loop that are timed before extrapolating."""
PATIENCE = 20.0
"""Seconds that a probe takes at most if steps are short: a loop that would take longer is left."""


@dataclass(frozen=True)
class Probe:
    """The estimate of a job's duration.

    Attributes:
        experiment: Its type.
        seconds: How long it will take, None if unknown.
        measured: What was measured, in words.
        left_out: What was not, in words: the time is at least that long.

    Example:
        >>> Probe("dose", 12.0, ("ended after 12.0 s",)).text()
        'ended after 12.0 s'
    """

    experiment: str
    seconds: float | None
    measured: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """Return what was measured, and what was not."""
        without = f"; not in it: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{', '.join(self.measured) or 'nothing could be measured'}{without}"


class Enough(BaseException):
    """A loop was timed for long enough; no ``Exception``, so that handlers of errors do not catch it."""

    def __init__(self, seconds: float | None, said: str) -> None:
        """Store how long the work takes with that loop, and how that was estimated."""
        super().__init__(said)
        self.seconds, self.said = seconds, said


@dataclass
class _Loop:
    """A loop in progress."""

    description: str
    total: int
    began: float
    done: int = 0

    def seconds(self, now: float, inner: float | None) -> float:
        """Return the duration of the whole loop; ``inner`` is that of the current step, if longer."""
        if self.done and inner is None:
            return (now - self.began) / self.done * self.total
        return max(inner or 0.0, (now - self.began) / max(1, self.done)) * self.total


@dataclass(kw_only=True)
class ProbeRecorder(MemoryRecorder):
    """Keeps everything in memory, and leaves a loop that would take too long.

    Attributes:
        began: When the work began, on the clock of ``time.perf_counter``.
    """

    began: float = field(default_factory=time.perf_counter)
    _loops: list[_Loop] = field(default_factory=list)

    def progress(self, items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        """Iterate; after two steps the duration of the loop is estimated.

        Raises:
            Enough: If it takes longer than a probe may.
        """
        number = total if total is not None else len(items) if isinstance(items, Sized) else None
        if number is None:
            yield from items
            return
        loop = _Loop(description or "loop", number, time.perf_counter())
        self._loops.append(loop)
        for item in items:
            yield item
            loop.done += 1
            if STEPS <= loop.done < loop.total:
                self._judge()
        self._loops.remove(loop)

    def _judge(self) -> None:
        now = time.perf_counter()
        inner: float | None = None
        for loop in reversed(self._loops):
            inner = loop.seconds(now, inner)
        outer, last = self._loops[0], self._loops[-1]
        whole = outer.began - self.began + (inner or 0.0)
        if whole > PATIENCE:
            steps = f"{last.done} of {last.total} steps of {last.description!r} took {now - last.began:.2f} s"
            raise Enough(whole, steps)


def probe(request: Request, store: Store) -> Probe:
    """Start the work of a request in memory and a temporary folder, and return how long it will take.

    Nothing is kept of it: no run, no checkpoint. A request whose model is not trained yet shows how long the training
    takes; a sequence, how long those of its steps take that need no model of another.

    Args:
        request: The request; whether its runs exist does not matter.
        store: Where a trained model may be found.
    """
    requests = step_requests(request) if isinstance(request.experiment, Sequence) else [request]
    seconds: float | None = 0.0
    measured: list[str] = []
    left_out: list[str] = []
    trains = False
    for one in requests:
        name = one.step or one.experiment.type
        if one.experiment.subject == KEPT_RUNS or (trains and one.experiment.takes_trained):
            left_out.append(name)
            continue
        trains = trains or one.experiment.produces_model
        took, said, without = _of_one(one, store)
        measured.append(f"{name}: {said}" if len(requests) > 1 else said)
        left_out += without
        seconds = None if seconds is None or took is None else seconds + took
    return Probe(str(request.experiment.type), seconds, tuple(measured), tuple(left_out))


def _of_one(request: Request, store: Store) -> tuple[float | None, str, list[str]]:
    """Return how long one experiment takes, how that was estimated, and what it leaves out."""
    resolved = resolve(request, store)
    if resolved.source is None or not resolved.source.planned:
        return (*_timed(lambda: _work(resolved, store)), [])
    if store.finished(resolved.source.identity):
        return (*_timed(lambda: _work(trained(resolved, store, Path("unused")), store)), [])
    training = recipe(resolved.asked or request)[0]
    took, said = _timed(lambda: _work(Resolved(training, None), store))
    rest = [f"{request.experiment.type} on the model that it trains"]
    return took, f"the training of its model ({training.experiment.type}): {said}", rest


def _work(resolved: Resolved, store: Store) -> None:
    with tempfile.TemporaryDirectory(prefix="paribus_probe_") as folder:
        began = time.perf_counter()
        request = replace(resolved.request, inside=Path(folder) if resolved.request.inside else None)
        plugin, wanted = plugins.named(request.subject), asked(resolved, store)
        setup = plugin.setup(wanted)
        with inside(request, setup):
            perform(request.experiment, setup, ProbeRecorder(began=began), subject=request.subject)


def _timed(work: Callable[[], None]) -> tuple[float | None, str]:
    began = time.perf_counter()
    try:
        with _not_for_ever():
            work()
    except Enough as found:
        return found.seconds, found.said
    took = time.perf_counter() - began
    return took, f"ended after {took:.1f} s"


@contextlib.contextmanager
def _not_for_ever() -> Iterator[None]:
    """Leave work that is in no loop of known length for three times as long as a probe takes."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise Enough(None, f"after {3 * PATIENCE:.0f} s no loop was far enough to tell its length")

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, 3 * PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
