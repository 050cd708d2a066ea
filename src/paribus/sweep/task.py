"""One job of ``hydra.main``: its outcome is always written, and only signals are raised."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from paribus.config.composers import composer_of
from paribus.config.settings import SweepSettings
from paribus.errors import ExperimentError, ParibusError, one_line
from paribus.running import failures, summary
from paribus.running.life import Busy
from paribus.running.run import run_job
from paribus.sweep import outcome as outcomes
from paribus.sweep import signals
from paribus.sweep.batch import Policy
from paribus.sweep.loader import JOB
from paribus.sweep.outcome import Outcome
from paribus.sweep.warned import show_once
from paribus.tracking.patience import StoreError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from paribus.config.job import Job
    from paribus.sweep.batch import Batch

log = logging.getLogger("paribus")


@dataclass(frozen=True)
class Surroundings:
    """What a job needs to know about its request; sent to worker processes.

    Attributes:
        sweep: Identifier of the sweep, None for a single run.
        parent: Process id of the entrypoint.
        workers_are_children: Whether worker processes are started by the entrypoint itself and must not outlive it.
        config_dirs: The user's folders of options, absolute.
        start: The folder that the program was started in, to which all relative paths of a request refer.
        added: Whether words that set values of ``data`` were passed to Hydra with permission to add them
            (:func:`paribus.cli.execute.run`).
        waits: Whether a job waits while another process is executing the same one; else it ends as ``busy``.
        settings: What to do after a failure.
        failures: File in which failed jobs are noted for later ones, in sweeps whose launcher starts all jobs at once.
    """

    sweep: str | None
    parent: int
    workers_are_children: bool
    config_dirs: tuple[str, ...]
    start: Path
    added: bool = False
    waits: bool = True
    settings: SweepSettings = SweepSettings()
    failures: Path | None = None


class Task:
    """The job function for ``hydra.main``; sent to worker processes without the list of all jobs.

    Attributes:
        surroundings: What each job needs to know.
        batch: The jobs of the sweep, for the sweeper; None for a single run, and in a worker.
        ended: Outcomes of the jobs that have ended in the sweeper.
    """

    def __init__(self, surroundings: Surroundings, batch: Batch | None = None) -> None:
        """Store what the jobs need."""
        self.surroundings = surroundings
        self.batch = batch
        self.ended: list[Outcome] = []

    def __call__(self, config: DictConfig) -> None:
        """Run a job."""
        ended = run_here(config, self.surroundings)
        if self.surroundings.sweep is None:
            self.ended.append(ended)  # its file may have found no room

    def __reduce__(self) -> tuple[type[Task], tuple[Surroundings]]:
        """Pickle without the list of jobs."""
        return Task, (self.surroundings,)


def run_here(config: DictConfig, surroundings: Surroundings) -> Outcome:
    """Run the job that Hydra composed, in this process, and write its outcome into its output folder.

    With ``hydra.job.chdir=true`` Hydra has changed to the job's folder. Paths to store, data and model files refer to
    the original folder, so the job changes back, and only the experiment itself works in the job's folder.

    Raises:
        Interrupted: If a signal ended it; its outcome is still written.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    words = tuple(_as_written(word) if surroundings.added else word for word in hydra.overrides.task)
    number = int(hydra.job.env_set.get(JOB, hydra.job.num)) if surroundings.sweep is not None else None
    in_worker = os.getpid() != surroundings.parent
    watch = None
    if in_worker and surroundings.workers_are_children:
        watch = signals.watch_parent(surroundings.parent)
    inside = folder if hydra.job.chdir else None
    show_once()
    stopped = failed_before(surroundings)
    if stopped is not None:
        left = Outcome(outcomes.NOT_STARTED, words, surroundings.sweep, message=stopped, number=number)
        _write(left, folder)
        return left
    with signals.raising(), contextlib.chdir(surroundings.start), logs_may_fail():
        try:
            hydra_words = tuple(hydra.overrides.hydra)
            ended = attempt(
                lambda: _job(config, words, hydra.runtime.choices, surroundings, hydra_words),
                surroundings.sweep,
                folder,
                inside=inside,
                waits=surroundings.waits,
            )
        except KeyboardInterrupt as error:
            _write(replace(_stopped(error, words, surroundings.sweep), number=number), folder)
            if watch is not None and watch.orphaned:
                os._exit(signals.EXIT_INTERRUPTED)
            raise
    ended = replace(ended, overrides=words, number=number)
    with logs_may_fail():
        _write(ended, folder)
        note_failure(ended, surroundings)
    return ended


@contextlib.contextmanager
def logs_may_fail() -> Iterator[None]:
    """Let a log file that cannot be written (a full disk) lose lines without tracebacks in the terminal."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def failed_before(surroundings: Surroundings) -> str | None:
    """Return why no more jobs are started, from the notes of failed jobs in the sweep's folder; None: continue.

    Third-party launchers start all jobs at once, so each job checks for itself.
    """
    if surroundings.failures is None:
        return None
    policy = Policy(surroundings.settings)
    with contextlib.suppress(OSError):
        for line in surroundings.failures.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a line that another job is just writing
                status, kind, message = json.loads(line)
                policy.ended(Outcome(status, (), message=message, kind=kind))
    return policy.stopped


def note_failure(ended: Outcome, surroundings: Surroundings) -> None:
    """Note that a job failed, for those that start later, in one write."""
    if surroundings.failures is None or ended.status in (outcomes.DONE, outcomes.BUSY):
        return
    line = json.dumps([ended.status, ended.kind, ended.message]) + "\n"
    with contextlib.suppress(OSError), surroundings.failures.open("a", encoding="utf-8") as file:
        file.write(line)


def _stopped(error: KeyboardInterrupt, words: tuple[str, ...], sweep: str | None) -> Outcome:
    """Return the outcome of a job that a signal found; it may have come when the run was finished already."""
    run_id = getattr(error, "run_id", None)
    if getattr(error, "finished", False):
        return Outcome(outcomes.DONE, words, sweep, run_id=run_id)
    return Outcome(outcomes.INTERRUPTED, words, sweep, run_id=run_id, message="interrupted", kind=failures.INTERRUPTED)


def _write(outcome: Outcome, folder: Path) -> None:
    """Write an outcome; where that cannot be done, a full disk for example, the job counts as one that left none."""
    try:
        outcome.write(folder)
    except OSError as error:
        log.error("%s: the job's outcome could not be written (%s)", folder, error.strerror or error)


def may_add(word: str) -> str:
    """Return a word that sets a value of ``data`` as one that Hydra takes also where its own data have no such key."""
    return f"++{word}" if word.startswith("data.") else f"+{word}" if word.startswith("+data.") else word


def _as_written(word: str) -> str:
    return word.removeprefix("++") if word.startswith("++data.") else word


def _job(
    config: DictConfig,
    words: Sequence[str],
    choices: Any,
    surroundings: Surroundings,
    hydra_words: Sequence[str],
) -> Job:
    composer = composer_of(surroundings.config_dirs, hydra_words)
    return composer.from_config(config, words, choices, hydra_words)


def attempt(
    make: Callable[[], Job], sweep: str | None, folder: Path, *, inside: Path | None = None, waits: bool = True
) -> Outcome:
    """Run a job and return how it ended; only a signal is raised.

    Args:
        make: Makes the job.
        sweep: Identifier of the sweep, None for a single run.
        folder: The job's output folder; a traceback is kept there as ``traceback.txt`` and in the job's log.
        inside: The folder that the experiment works in; None: where the program was started.
        waits: Whether to wait while another process is at the same job; else the outcome is ``busy``.
    """
    started = time.monotonic()
    ended = Outcome(outcomes.DONE, (), sweep)
    try:
        result = run_job(make(), sweep=sweep, output_dir=folder, inside=inside, waits=waits)
        ended = replace(ended, run_id=result.run_id, reused=result.reused)
        if sweep is None and result.success:
            print(summary.conclusions(result, folder))
        if not result.success:
            ended = replace(ended, status=outcomes.FAILED, message=result.error_message or "failed")
    except Busy as error:
        return replace(ended, status=outcomes.BUSY, message=one_line(str(error)))
    except ParibusError as error:
        _keep_traceback(folder)
        right = isinstance(error, ExperimentError | StoreError)  # the store was there when the request was checked
        status = outcomes.FAILED if right else outcomes.REFUSED
        ended = _failed(ended, error, status, one_line(str(error)))
    except (Exception, SystemExit) as error:  # sys.exit() in foreign code ends its job, not the sweep
        _keep_traceback(folder)
        ended = _failed(ended, error, outcomes.FAILED, one_line(f"{type(error).__name__}: {error}"))
    if ended.status != outcomes.DONE:
        log.error("%s (details in %s)", ended.message, folder)
    return replace(ended, duration_seconds=time.monotonic() - started)


def _failed(ended: Outcome, error: BaseException, status: str, message: str) -> Outcome:
    run_id, kind = getattr(error, "run_id", None), failures.kind(error)
    return replace(ended, status=status, message=message, run_id=run_id, kind=kind)


def _keep_traceback(folder: Path) -> None:
    text = traceback.format_exc()
    with contextlib.suppress(OSError):  # it is a copy of what the log says; a full disk must not hide the error itself
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "traceback.txt").write_text(text, encoding="utf-8")
    for handler in logging.getLogger().handlers:  # the job's own log, not the terminal
        if isinstance(handler, logging.FileHandler):
            handler.handle(logging.LogRecord(log.name, logging.ERROR, __file__, 0, "%s", (text.rstrip(),), None))
