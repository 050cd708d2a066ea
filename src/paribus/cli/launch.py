"""From a checked command line to finished jobs: compose, validate, launch, sum up."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.cli import signals
from paribus.cli.task import Surroundings, make_task, may_add, one_line
from paribus.cli.words import Words
from paribus.config import _compatibility as hydra_parts
from paribus.config.compose import Composer, jobs
from paribus.config.locate import conf_dir
from paribus.config.refusal import refused
from paribus.errors import ConfigError, ParibusError
from paribus.subjects.as_trained import AsTrained
from paribus.sweep import outcome as outcomes
from paribus.sweep.outcome import Outcome
from paribus.sweep.plan import listing, plan

if TYPE_CHECKING:
    from paribus.config.job import Job

EXIT_DONE, EXIT_FAILED, EXIT_REFUSED = 0, 1, 2


def launch(words: Words) -> int:
    """Run what ``words`` ask for and return the exit code.

    Every job is composed, checked and validated before the first one starts; until then nothing is written.

    Raises:
        ParibusError: If the request is wrong.
    """
    if words.passed_on:
        return show(words)
    asked = jobs(words.overrides, multirun=words.multirun, config_dirs=words.config_dirs)
    validate(asked)
    if any(job.dry_run for job in asked):
        print(listing(plan(asked)))
        print("Valid. Nothing was run (dry_run=true).")
        return EXIT_DONE
    return run(words, asked)


def show(words: Words) -> int:
    """Let Hydra show what it is asked to show (``--cfg``, ``--info``, ...)."""

    def nothing(_config: object) -> None:
        """Never called: nothing is run."""

    with refused(Composer(words.config_dirs), words.overrides):
        hydra_parts.run_main(nothing, words.passed_on, conf_dir())
    return EXIT_DONE


def validate(asked: Sequence[Job]) -> None:
    """Look up what every job names: files, checkpoints, vocabularies; nothing is written.

    Jobs that differ in their seeds alone name the same things, so of them the first is looked up.

    Raises:
        ParibusError: If a name or a file is wrong; the message says in which job of several.
    """
    from paribus.running.validate import validate as validate_job

    seen: set[str] = set()
    for number, job in enumerate(asked, start=1):
        named = repr((_without_seeds(job.tree), sorted(job.named)))
        if named in seen:
            continue
        seen.add(named)
        try:
            validate_job(job)
        except ParibusError as error:
            if len(asked) == 1:
                raise
            raise type(error)(f"{error} [job {number} of {len(asked)}: {' '.join(job.overrides)}]") from error


def _without_seeds(node: Any) -> Any:
    """Return a configuration without the values of all seeds in it."""
    if isinstance(node, dict):
        return {key: _without_seeds(value) for key, value in node.items() if key != "seed"}
    return [_without_seeds(value) for value in node] if isinstance(node, list) else node


def run(words: Words, asked: Sequence[Job]) -> int:
    """Launch validated jobs, do what a sweep needs at its end, and return the exit code."""
    sweep = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}" if words.multirun else None
    hydra = Composer(words.config_dirs).hydra(_hydra_words(words.overrides, asked))
    folder = _output_folder(hydra, multirun=words.multirun)
    launcher = str(hydra.hydra.launcher.get("_target_", ""))
    surroundings = Surroundings(
        sweep=sweep,
        parent=os.getpid(),
        workers_are_children="joblib" in launcher,
        config_dirs=tuple(os.path.abspath(folder) for folder in words.config_dirs),
        start=Path.cwd(),
        added=any(isinstance(job.nodes["data"], AsTrained) for job in asked),
    )
    if surroundings.added:
        words = replace(words, overrides=tuple(may_add(word) for word in words.overrides))
    _refuse_unwritable(folder, multirun=words.multirun)
    if words.multirun:
        open_stores(asked)
    interrupted = False
    broken = None
    with signals.raising():
        try:
            hydra_parts.run_main(make_task(surroundings), _hydra_command(words, folder), conf_dir())
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:  # jobs never raise, so this is the launcher: a worker that was killed, for example
            broken = one_line(f"{type(error).__name__}: {error}")
            print(f"paribus: {launcher.rsplit('.', 1)[-1]}: {broken}", file=sys.stderr)
    ended = outcomes.collect(_job_folders(folder, multirun=words.multirun), sweep)
    closing = EXIT_DONE
    if sweep is not None:
        with signals.raising():
            closing = finish(asked, sweep, folder, interrupted=interrupted, ended=ended)
    if broken is not None:
        closing = EXIT_FAILED
    code = summed_up(ended, expected=len(asked), interrupted=interrupted, closing=closing)
    if code == EXIT_DONE:
        print(_where(ended, folder, multirun=words.multirun))
    return code


def open_stores(asked: Sequence[Job]) -> None:
    """Open each tracking store once, here in the parent: a fresh database does not survive several first users."""
    from paribus.tracking.store import open_store

    seen = []
    for job in asked:
        spec = job.nodes["tracking"]
        if spec not in seen:
            seen.append(spec)
            open_store(spec)


def finish(asked: Sequence[Job], sweep: str, folder: Path, *, interrupted: bool, ended: Sequence[Outcome]) -> int:
    """Do what belongs to the end of a sweep (runs left open are closed, a study's comparison is made)."""
    from paribus.sweep.end import finish as finish_sweep

    try:
        finish_sweep(asked, sweep, output_dir=folder, interrupted=interrupted, ended=ended)
    except ParibusError as error:
        print(f"paribus: {one_line(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:  # the jobs' own results are kept; say what is missing and go on to the failure table
        print(f"paribus: at the end of the sweep: {one_line(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_DONE


def summed_up(ended: Sequence[Outcome], *, expected: int, interrupted: bool, closing: int = EXIT_DONE) -> int:
    """Print what did not finish and return the exit code.

    A request whose every job was refused after all was wrong (2); one failed job of several makes it a failure (1).
    """
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


def _where(ended: Sequence[Outcome], folder: Path, *, multirun: bool) -> str:
    """Return the line that says where the results are."""
    run_id = None if multirun else ended[0].run_id
    look = f"; paribus show {run_id[:8]} tells about the run" if run_id else ""
    return f"Files: {os.path.relpath(folder)}{look}"


def _hydra_words(overrides: Sequence[str], asked: Sequence[Job]) -> tuple[str, ...]:
    """Return the words of the first job with those about Hydra: its folders and its launcher are the same for all."""
    own = tuple(word for word in overrides if word.lstrip("+").startswith(("hydra.", "hydra/")))
    return (*(word for word in asked[0].overrides if word not in own), *own)


def _output_folder(hydra: object, *, multirun: bool) -> Path:
    from omegaconf import DictConfig, OmegaConf

    assert isinstance(hydra, DictConfig)
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
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(f"{there} is not a folder")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{key}={folder}: cannot be written ({error.strerror or error})") from None


def _job_folders(folder: Path, *, multirun: bool) -> list[Path]:
    if not multirun:
        return [folder]
    return sorted({found.parent for found in folder.rglob(outcomes.FILE)}, key=lambda p: (len(p.name), p.name))


def _hydra_command(words: Words, folder: Path) -> list[str]:
    """Return the command line for ``hydra.main``, with the output folder pinned to the one that is read afterwards."""
    key = "hydra.sweep.dir" if words.multirun else "hydra.run.dir"
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    flags = ["--multirun"] if words.multirun else []
    if words.config_dir is not None:
        flags += ["--config-dir", words.config_dir]
    return [*flags, *words.overrides, f"{key}='{quoted}'"]
