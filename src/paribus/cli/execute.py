"""Runs validated jobs, a single one or the missing ones of a sweep, and prints a summary."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from paribus.cli.words import Words
from paribus.config import _compatibility as hydra_parts
from paribus.config.compose import Composer
from paribus.config.locate import conf_dir
from paribus.config.settings import AUTO
from paribus.errors import ConfigError, ParibusError, one_line
from paribus.subjects.as_trained import AsTrained
from paribus.sweep import on_ray, record, signals
from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Batch
from paribus.sweep.end import finish as finish_sweep
from paribus.sweep.outcome import Outcome
from paribus.sweep.processors import asked_workers, device_of, places_for, workers
from paribus.sweep.start import Started, refuse_swept, start, told
from paribus.sweep.sweeper import HERE, OURS, WORKERS
from paribus.sweep.task import Surroundings, Task, logs_may_fail, may_add
from paribus.sweep.warned import ONCE
from paribus.tracking.delivery import arrived
from paribus.tracking.opening import open_store

if TYPE_CHECKING:
    from paribus.config.job import Job

EXIT_DONE, EXIT_FAILED, EXIT_REFUSED = 0, 1, 2
SHARED = "hydra/launcher=workers"


def run(words: Words, asked: Sequence[Job], composer: Composer) -> int:
    """Launch the validated jobs that ``composer`` made, finish the sweep, and return the exit code."""
    return run_sweep(words, asked, composer) if words.multirun else run_single(words, asked[0], composer)


def run_single(words: Words, job: Job, composer: Composer) -> int:
    """Launch one validated job and return the exit code."""
    hydra = composer.hydra(_hydra_words(words.overrides, [job]))
    folder = _output_folder(hydra, multirun=False)
    surroundings = _surroundings(words, [job], None)
    _refuse_unwritable(folder, multirun=False)
    task = Task(surroundings)
    interrupted, broken = _through_hydra(task, _hydra_command(words, folder, added=surroundings.added))
    ended = outcomes.collect([folder], None) or task.ended
    if broken is not None:
        print(f"paribus: {broken}", file=sys.stderr)
    code = summed_up(ended, expected=1, interrupted=interrupted, closing=EXIT_DONE if broken is None else EXIT_FAILED)
    if code == EXIT_DONE:
        run_id = ended[0].run_id
        look = f"; paribus show {run_id[:8]} tells about the run" if run_id else ""
        print(f"Files: {os.path.relpath(folder)}{look}")
    return code


def run_sweep(words: Words, asked: Sequence[Job], composer: Composer) -> int:
    """Launch the validated jobs of a sweep that are not done yet, finish it, and return the exit code.

    Raises:
        ParibusError: If the request turns out to be invalid.
    """
    refuse_swept(asked)
    sweep = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    hydra = composer.hydra(_hydra_words(words.overrides, asked))
    folder = _output_folder(hydra, multirun=True)
    there = places_for(asked[0])
    number, own = _workers(hydra, asked[0], there)
    _refuse_unwritable(folder, multirun=True)
    if _launcher(hydra) == on_ray.RAY:
        on_ray.check(hydra.hydra.launcher.init, hydra.hydra.launcher.remote)
    interrupted, broken = False, None
    started = None
    task = Task(_surroundings(words, asked, sweep, launcher=_launcher(hydra)))
    with signals.raising():
        try:
            open_stores(asked)
            started = start(asked, sweep)
            for line in told(started):
                print(line, flush=True)
            if asked[0].workers is None and _launcher(hydra) == HERE:
                number = started.workers(asked_workers(asked[0]))
                own = (*own, *((SHARED,) if number > 1 else ()))
                if number > 1:
                    print(
                        f"workers={number}: earlier runs tell that it saves time; workers=1 keeps one process",
                        flush=True,
                    )
            _keep(started, sweep, words, folder, number)
            if _launcher(hydra) not in OURS:
                task.surroundings = replace(
                    task.surroundings, settings=asked[0].sweep, failures=folder / f".failures-{sweep}"
                )
            task.batch = _batch(started, number, there, asked=words.overrides, added=task.surroundings.added)
        except KeyboardInterrupt:
            interrupted = True
    if task.batch is not None and task.batch.todo and not interrupted:
        composed = replace(words, overrides=_hydra_words(words.overrides, asked))  # a sweep itself need not compose
        command = _hydra_command(composed, folder, added=task.surroundings.added)
        interrupted, broken = _through_hydra(task, [*command, *own])
    jobs, ended = list(asked), list(outcomes.collect(_job_folders(folder), sweep))
    if started is not None:
        jobs = started.jobs
        ended = outcomes.in_order([*started.settled.values(), *ended, *task.ended])
    if broken is not None:
        print(f"paribus: {_launcher(hydra).rsplit('.', 1)[-1]}: {broken}", file=sys.stderr)
    with signals.raising():
        closing = finish(jobs, sweep, folder, interrupted=interrupted, ended=ended)
    if broken is not None:
        closing = EXIT_FAILED
    code = summed_up(ended, expected=len(jobs), interrupted=interrupted, closing=closing)
    if folder.exists():
        logs = "" if code == EXIT_DONE else "; the log of job N, with its traceback, is N/paribus.log there"
        print(f"Files: {os.path.relpath(folder)}{logs}")
    return code


def _keep(started: Started, sweep: str, words: Words, folder: Path, workers: int) -> None:
    """Keep the record of a sweep; if the store refuses it, only ``paribus status`` is lost."""
    spec = next((job.nodes["tracking"] for job in started.jobs if job.nodes["tracking"].kind != "off"), None)
    if spec is None:
        return
    made = record.record(
        started,
        sweep,
        overrides=words.overrides,
        config_dirs=[os.path.abspath(each) for each in words.config_dirs],
        folder=folder,
        workers=workers,
    )
    try:
        changed = record.changed_since(made, spec, started.todo)
        record.keep(made, spec)
    except Exception as error:
        problem = one_line(f"{type(error).__name__}: {error}")
        print(f"paribus: the store keeps no record of this sweep, so paribus status will not know it: {problem}")
        return
    if changed is not None:
        print(changed, flush=True)
    print(f"sweep {sweep}: paribus status tells its state, the same command again does what is missing", flush=True)


def _through_hydra(task: Task, command: Sequence[str]) -> tuple[bool, str | None]:
    """Run a task through Hydra; return whether a signal came, and the error of the launcher, if any."""
    with signals.raising(), logs_may_fail():
        try:
            hydra_parts.run_main(task, command, conf_dir())
        except KeyboardInterrupt:
            return True, None
        except Exception as error:  # jobs never raise, so this is an error of the launcher, such as a killed worker
            return False, one_line(f"{type(error).__name__}: {error}")
    return False, None


def _surroundings(words: Words, asked: Sequence[Job], sweep: str | None, *, launcher: str = "") -> Surroundings:
    return Surroundings(
        sweep=sweep,
        parent=os.getpid(),
        workers_are_children="joblib" in launcher,
        config_dirs=tuple(os.path.abspath(folder) for folder in words.config_dirs),
        start=Path.cwd(),
        added=any(isinstance(job.nodes["data"], AsTrained) for job in asked),
    )


def _launcher(hydra: DictConfig) -> str:
    return str(hydra.hydra.launcher.get("_target_", ""))


def _workers(hydra: DictConfig, job: Job, there: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """Return how many processes share the jobs, and the words that select Hydra's launcher.

    Raises:
        ConfigError: If another launcher is chosen as well, or the GPUs do not have room for that many.
    """
    sweeper, chosen = "hydra/sweeper=paribus", _launcher(hydra)
    if chosen == WORKERS:
        said = hydra.hydra.launcher.n
        asked = said if said is not None else job.workers or AUTO
        return workers(asked, there=there, settings=job.sweep), (sweeper,)
    if job.workers is None or job.workers == 1:
        return 1, (sweeper,)
    if chosen != HERE:
        raise ConfigError(
            f"workers={job.workers}: the chosen hydra/launcher ({chosen.rsplit('.', 1)[-1]}) starts its own; "
            "leave one of the two out"
        )
    number = workers(job.workers, there=there, settings=job.sweep)
    return number, (sweeper, SHARED) if number > 1 else (sweeper,)


def _batch(started: Started, number: int, there: tuple[str, ...], *, asked: Sequence[str], added: bool) -> Batch:
    """Return the batch of a sweep for its sweeper."""
    words = []
    for job in started.jobs:
        own = [word for word in job.overrides if not word.lstrip("+").startswith(("hydra.", "hydra/"))]
        words.append(tuple(may_add(word) if added else word for word in own))
    first = started.jobs[0]
    return Batch(
        words=tuple(words),
        asked=tuple(word for word in asked if not word.lstrip("+").startswith(("hydra.", "hydra/"))),
        todo=started.todo,
        last=started.last,
        settled=tuple(started.settled.values()),
        settings=first.sweep,
        workers=number,
        device=device_of(first),
        places=there,
    )


def open_stores(asked: Sequence[Job]) -> None:
    """Open each tracking store once in the parent, because a new database must not be created concurrently."""
    seen = []
    for job in asked:
        spec = job.nodes["tracking"]
        if spec not in seen:
            seen.append(spec)
            open_store(spec)
            if (said := arrived(spec)) is not None:
                print(said, flush=True)


def finish(asked: Sequence[Job], sweep: str, folder: Path, *, interrupted: bool, ended: Sequence[Outcome]) -> int:
    """Finish a sweep: close runs left open, make the study's comparison."""
    try:
        finish_sweep(asked, sweep, output_dir=folder, interrupted=interrupted, ended=ended)
    except ParibusError as error:
        print(f"paribus: {one_line(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:  # the jobs' results are kept; report what is missing and go on
        print(f"paribus: at the end of the sweep: {one_line(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_DONE


def summed_up(ended: Sequence[Outcome], *, expected: int, interrupted: bool, closing: int = EXIT_DONE) -> int:
    """Print what did not finish and return the exit code.

    If every job was refused, the request was invalid (2); one failed job of several makes it a failure (1).
    """
    for line in ONCE.summary():
        print(line)
    table = outcomes.failure_table(ended, expected=expected)
    if table and expected > 1:
        print(table, file=sys.stderr)
    elif table and not interrupted:
        last = ended[0].message if ended else "the process was killed"
        print(f"paribus: {last}", file=sys.stderr)
    if interrupted:
        print("paribus: interrupted", file=sys.stderr)
        return signals.EXIT_INTERRUPTED
    if not table:
        return closing
    if len(ended) == expected and all(outcome.status == outcomes.REFUSED for outcome in ended):
        return EXIT_REFUSED
    return EXIT_FAILED


def _hydra_words(overrides: Sequence[str], asked: Sequence[Job]) -> tuple[str, ...]:
    """Return the words of the first job including those about Hydra: folders and launcher are the same for all."""
    own = tuple(word for word in overrides if word.lstrip("+").startswith(("hydra.", "hydra/")))
    return (*(word for word in asked[0].overrides if word not in own), *own)


def _output_folder(hydra: DictConfig, *, multirun: bool) -> Path:
    key = "hydra.sweep.dir" if multirun else "hydra.run.dir"
    try:
        with hydra_parts.hydra_node(hydra):
            return Path(str(OmegaConf.select(hydra, key, throw_on_missing=True))).absolute()
    except Exception as error:
        raise ConfigError(f"{key}: cannot be resolved before the jobs start: {' '.join(str(error).split())}") from error


def _refuse_unwritable(folder: Path, *, multirun: bool) -> None:
    """Refuse an output folder that cannot be written, before anything starts.

    Raises:
        ConfigError: If it cannot.
    """
    key = "hydra.sweep.dir" if multirun else "hydra.run.dir"
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            raise NotADirectoryError(f"{there} is not a folder")
        if max(len(os.fsencode(part)) for part in folder.parts) > os.pathconf(there, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{key}={folder}: cannot be written ({error.strerror or error})") from None


def _job_folders(folder: Path) -> list[Path]:
    return sorted({found.parent for found in folder.rglob(outcomes.FILE)}, key=lambda p: (len(p.name), p.name))


def _hydra_command(words: Words, folder: Path, *, added: bool) -> list[str]:
    """Return the command line for ``hydra.main``, with the output folder pinned to the one that is read afterwards."""
    key = "hydra.sweep.dir" if words.multirun else "hydra.run.dir"
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    flags = ["--multirun"] if words.multirun else []
    if words.config_dir is not None:
        flags += ["--config-dir", words.config_dir]
    overrides = [may_add(word) if added else word for word in words.overrides]
    return [*flags, *overrides, f"{key}='{quoted}'"]
