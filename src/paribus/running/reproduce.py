"""Reproduction of a kept run: what has changed since, the exact request, and a comparison of every number."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from paribus.config.check import TARGET
from paribus.config.compose import jobs
from paribus.config.restate import differences
from paribus.config.settings import FigureSettings
from paribus.errors import ConfigError, DataError
from paribus.results.difference import Compared, Tolerance, compare
from paribus.results.io import read
from paribus.results.nested import changes
from paribus.results.values import plain
from paribus.running import inputs
from paribus.running.handed import with_objects
from paribus.running.request import from_job
from paribus.running.run import run_request
from paribus.running.sequence import Sequence
from paribus.tracking import changes as surroundings
from paribus.tracking.file_run import FINISHED, FileRun
from paribus.tracking.interface import FileStore
from paribus.tracking.provenance import git, provenance

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

AGAIN = ("experiment", "stats", "device", "seed", "checkpoint")
"""What of a kept configuration is asked for again exactly, whatever the options of today say; a group, where it still
names the same class."""
WHERE_NEEDED = ("data", "model", "feature", "slice", "constraints", "training")
"""The same, of experiments that work with it."""
READING = ("runs", "get", "latest_model", "children", "artifacts", "download", "result", "complete")
"""The operations of a store that change nothing."""


@dataclass(frozen=True)
class Surroundings:
    """What has changed since a run was made; each line names one change.

    Attributes:
        code: Of the code: commits, files with their first changed line, modules.
        packages: Of installed packages.
        data: Of files that the run read.
        machine: Of the machine and its arithmetic.
        config: Of the options: values that now differ, and were reset for the repetition.
    """

    code: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reproduced:
    """A reproduced run.

    Attributes:
        run_id: The kept run.
        command: The words that were run again.
        changed: What is no longer as it was.
        compared: Every table and metric, by step of a sequence.
        seconds: How long it took.
        folder: Where the new files are.
    """

    run_id: str
    command: str
    changed: Surroundings
    compared: tuple[Compared, ...]
    seconds: float
    folder: str = ""

    def counts(self) -> Mapping[str, int]:
        """Return how many tables and metrics have each verdict."""
        return Counter(one.verdict for one in self.compared)


class Beside(FileStore):
    """A store that reads kept runs and writes new ones to a folder, so that nothing kept is changed."""

    def __init__(self, kept: Store) -> None:
        """Read what ``kept`` keeps."""
        for name in READING:
            setattr(self, name, getattr(kept, name))

    def start(
        self, name: str, *, folder: Path, tags: Mapping[str, str] | None = None, parent: str | None = None
    ) -> FileRun:
        """Begin a run that only writes files."""
        return FileRun(folder)


def reproduce(
    store: Store,
    run: KeptRun,
    folder: Path,
    *,
    tolerance: Tolerance | None = None,
    threads: int | None = None,
    model: Any = None,
    data: Any = None,
    config_dir: str | None = None,
    moved: Mapping[str, str] | None = None,
    changed_files: bool = False,
) -> Reproduced:
    """Repeat a run from its kept configuration, outside the store, and compare every table and metric.

    Args:
        store: Where it is kept; nothing is written there.
        run: A finished run.
        folder: Where the new files go.
        tolerance: Tolerance of the comparison.
        threads: Threads to calculate with; by default as many as the run had.
        model: The module of a run on an object, given again.
        data: The contexts of such a run.
        config_dir: Folder of the user's options, in place of the recorded one.
        moved: Folders by the folder that replaces each.
        changed_files: Whether to continue where files that it read have changed.

    Raises:
        ConfigError: If it cannot be repeated from what is kept.
        DataError: If its files are incomplete, or one that it read has changed.
        ExperimentError: If it fails now.
    """
    if run.status != FINISHED:
        raise ConfigError(f"run {run.run_id[:8]}: is {run.status}; only a finished run has numbers to compare with")
    before = store.complete(run.run_id)
    words, recorded = words_of(before, given=model is not None or data is not None)
    config_dirs = tuple(_place_of(path, before, config_dir, moved or {}) for path in recorded)
    known = inputs.kept(before, store)
    if not changed_files and (others := inputs.files_since(known)):
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise DataError(
            f"run {run.run_id[:8]}: {others[0]}{more}, so it cannot be reproduced; put it back, or see what comes "
            "of it with --changed-files"
        )
    job, config = exactly(words, config_dirs, before)
    changed = (*inputs.changed_since(known), *inputs.declared_since(known), *_of_trainings(before, store))
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or int(before.provenance.get("threads") or threads_before))
    start = time.perf_counter()
    try:
        with with_objects(job, model, data) as whole:
            # no figures: numbers are compared
            request = dataclasses.replace(
                from_job(whole), figures=FigureSettings(formats=[]), changed_data=bool(inputs.files_since(known))
            )
            after = run_request(request, Beside(store), folder)
    finally:
        torch.set_num_threads(threads_before)
    seconds = time.perf_counter() - start
    pairs = list(_pairs(before, after, store, folder))
    now = _in_work_trees({**provenance(), **pairs[-1][2].provenance}, moved or {})
    old = {**before.provenance, **pairs[-1][1].provenance}
    modules = [str(each) for each in changes(old.get("code") or {}, now.get("code") or {})]
    digests = [str(each) for each in changes(_digests(old), _digests(now))]
    return Reproduced(
        run_id=run.run_id,
        command=shlex.join(["paribus", *(word for path in config_dirs for word in ("--config-dir", path)), *words]),
        changed=Surroundings(
            code=(*surroundings.code(old, now), *modules),
            packages=tuple(surroundings.packages(old, now)),
            data=(*changed, *digests),
            machine=tuple(surroundings.machine(old, now)),
            config=(
                *(f"--config-dir: {a} -> {b}" for a, b in zip(recorded, config_dirs, strict=True) if a != b),
                *config,
            ),
        ),
        compared=tuple(
            Compared(f"{step}: {one.name}" if step else one.name, one.verdict, one.largest, one.where)
            for step, first, second in pairs
            for one in compare(first, second, tolerance)
        ),
        seconds=seconds,
        folder=str(folder),
    )


def _of_trainings(before: Result, store: Store) -> Iterator[str]:
    """Yield what the trainings of a run's models read that is not as it was; of one that is gone nothing is known."""
    for what, made in inputs.trainings(before.provenance).items():
        with suppress(DataError, ConfigError):
            for line in inputs.files_since(inputs.kept(store.result(made), store)):
                yield f"{what} (run {made[:8]}): {line}"


def words_of(result: Result, *, given: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that repeat a run, and the folders of options that they need.

    Raises:
        ConfigError: If no words repeat it.
    """
    line = str(result.provenance.get("repeat") or "")
    called = f"run {(result.run_id or '')[:8]}"
    if line.startswith("paribus.run("):
        if not given:
            raise ConfigError(
                f"{called}: was made on objects of a notebook, which no command can hand over; in Python: "
                "paribus.running.reproduce.reproduce(store, run, folder, model=..., data=...). It was: "
                f"{line}"
            )
        return tuple(result.provenance.get("overrides") or ()), ()
    if line.startswith("cannot be repeated"):
        raise ConfigError(f"{called}: {line}")
    words = shlex.split(line)[1:]
    if not words:
        raise ConfigError(f"{called}: its provenance does not say how to repeat it")
    if words[0] == "--config-dir":
        return tuple(words[2:]), (words[1],)
    return tuple(words), ()


def _place_of(path: str, before: Result, given: str | None, moved: Mapping[str, str]) -> str:
    """Return where a recorded folder of options is now: as given, in a work tree, or beside where it is run now.

    Raises:
        ConfigError: If it is not there.
    """
    if given is not None:
        return os.path.abspath(given)
    found = Path(path)
    for top, place in moved.items():
        if found.is_relative_to(top):
            return str(Path(place) / found.relative_to(top))
    if found.is_dir():
        return path
    then = str(before.provenance.get("working_folder") or "")
    here = Path.cwd() / found.relative_to(then) if then and found.is_relative_to(then) else None
    if here is not None and here.is_dir():
        return str(here)
    raise ConfigError(
        f"run {(before.run_id or '')[:8]}: was made with --config-dir {path}, which is not there; if the folder was "
        f"moved: paribus reproduce {(before.run_id or '')[:8]} --config-dir WHERE_IT_IS"
    )


def exactly(words: tuple[str, ...], config_dirs: tuple[str, ...], kept: Result) -> tuple[Job, tuple[str, ...]]:
    """Return the job that words compose now, with the kept configuration where options have changed.

    Returns:
        The job, and what was reset.
    """
    (job,) = jobs(words, config_dirs=config_dirs)
    tree = plain(job.tree)
    back: list[str] = []
    said: list[str] = []
    needed = set(kept.provenance.get("needs") or ())
    if kept.provenance.get("model_run"):
        needed -= {"training"}  # that of the model, which is taken as it is
    for group in (*AGAIN, *(name for name in WHERE_NEEDED if name in needed)):
        old, new = kept.config.get(group), tree.get(group)
        if old is None or new is None or (isinstance(old, Mapping) and old.get(TARGET) != new.get(TARGET)):
            continue
        said += [str(each) for each in changes(old, new, group)]
        back += differences(new, old, group)
    if back:
        (job,) = jobs((*words, *back), config_dirs=config_dirs)
    return job, tuple(said)


def _pairs(before: Result, after: Result, store: Store, folder: Path) -> Iterator[tuple[str, Result, Result]]:
    """Yield the compared pairs: the run, the steps of a sequence, or the step for which the sequence was repeated."""
    if before.experiment_type == after.experiment_type == Sequence.type:
        for row in before.tables["steps"].frame.to_dict("records"):
            if row["status"] == FINISHED:
                yield str(row["step"]), store.result(str(row["run_id"])), _read(folder, str(row["step"]))
        yield "", before, after
    elif after.experiment_type == Sequence.type:
        yield "", before, _read(folder, str(before.provenance.get("step")))
    else:
        yield "", before, after


def _read(folder: Path, step: str) -> Result:
    try:
        return read(folder / step)
    except (OSError, DataError) as error:
        raise DataError(f"step {step} left no result when it was run again ({error})") from None


def _in_work_trees(now: dict[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """Return a provenance with the repositories that the code was actually taken from."""
    for key in ("git", "paribus_git"):
        if (place := moved.get((now.get(key) or {}).get("top", ""))) is not None:
            now = {**now, key: git(Path(place))}
    return now


def _digests(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: provenance[name] for name in ("data_digest", "model_digest") if name in provenance}
