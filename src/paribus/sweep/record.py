"""The record of a sweep, kept at its start: what cannot be derived later from the runs of its jobs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError, DataError
from paribus.spec import path_of
from paribus.sweep.needed_training import Training
from paribus.tracking.heartbeat import here, process_alive, process_started
from paribus.tracking.identity import digest
from paribus.tracking.kept import COMMAND_TAG
from paribus.tracking.provenance import git
from paribus.tracking.spec import TrackingSpec, without_password
from paribus.tracking.sweeps import KeptSweep, keep_sweep, kept_sweeps, read_sweep

if TYPE_CHECKING:
    from paribus.sweep.start import Started

LATEST = "latest"


@dataclass(frozen=True)
class RecordedJob:
    """A job of a recorded sweep: its identity, its type, the words in which it differs, its store, its trainings.

    A comparison has no identity before its runs exist; its request is ``asked``.
    """

    identity: str | None
    experiment: str
    words: tuple[str, ...]
    store: int = 0
    study: str = ""
    asked: str | None = None
    models: tuple[Training, ...] = ()


@dataclass(frozen=True)
class Record:
    """A sweep.

    Attributes:
        sweep: Its id.
        command: The command that started it; repeated, it runs what is missing.
        folder: Its output folder.
        working_folder: Where it was started.
        host: The machine, and the space of its process numbers.
        process: Number of the entrypoint's process.
        process_started: When that process was started, to tell it from a later one of the same number.
        commit: Commit of the working folder.
        workers: How many processes share the jobs.
        models: The runs that ``latest`` resolved to.
        comparison: The experiment that is made after all jobs have ended, None without one.
        study: The study that it belongs to.
        stores: Where the runs of the jobs are kept.
        common: The words that all jobs share.
        jobs: The jobs by number.
        started: When it began, in seconds since the epoch, from the store.
    """

    sweep: str
    command: str
    folder: str
    working_folder: str
    host: str
    process: int
    process_started: str
    commit: str | None
    workers: int
    models: tuple[str, ...]
    comparison: str | None
    stores: tuple[TrackingSpec, ...]
    common: tuple[str, ...]
    jobs: tuple[RecordedJob, ...]
    study: str = ""
    started: float = field(default=0.0, compare=False)

    @property
    def is_running(self) -> bool:
        """Whether its process is running, as far as this machine can tell."""
        return self.host == here() and process_alive(self.process, self.process_started)


def record(
    started: Started, sweep: str, *, overrides: Sequence[str], config_dirs: Sequence[str], folder: Path, workers: int
) -> Record:
    """Return the record of a sweep that starts in this process."""
    jobs = started.jobs
    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs))
    stores = {known.store: known.job.nodes["tracking"] for known in started.known}
    numbers = {store: number for number, store in enumerate(stores)}
    comparison = getattr(jobs[0].experiment, "comparison", None)
    flags = [word for each in config_dirs for word in ("--config-dir", each)]
    repository = git(Path.cwd())
    return Record(
        sweep=sweep,
        command=shlex.join(["paribus", "-m", *flags, *overrides]),
        folder=str(folder),
        working_folder=str(Path.cwd()),
        host=here(),
        process=os.getpid(),
        process_started=process_started(os.getpid()),
        commit=None if repository is None else repository["commit"],
        workers=workers,
        models=tuple(sorted({str(job.nodes["model"].run) for job in jobs if hasattr(job.nodes.get("model"), "run")})),
        comparison=None if comparison is None else str(comparison.type),
        study=jobs[0].study or "",
        stores=tuple(stores.values()),
        common=tuple(word for word in jobs[0].overrides if word in common),
        jobs=tuple(
            RecordedJob(
                identity=known.identity,
                experiment=str(known.job.experiment.type),
                words=tuple(word for word in known.job.overrides if word not in common),
                store=numbers[known.store],
                study=known.job.study or "",
                asked=known.asked,
                models=known.models,
            )
            for known in started.known
        ),
    )


def _place(store: TrackingSpec, own: TrackingSpec) -> dict[str, Any]:
    """Return where the runs of some jobs are, in a form that does not depend on folder or machine.

    For the store of the sweep itself this is only the MLflow experiment: the folder may be moved, and a server may have
    another address elsewhere.
    """
    folders = [path_of(each.folder).absolute() for each in (store, own)]
    if (store.kind, store.uri) == (own.kind, own.uri) and (store.kind == "server" or folders[0] == folders[1]):
        return {"experiment": store.experiment}
    return {**asdict(store), "folder": str(folders[0]), "uri": store.uri}


def keep(made: Record, spec: TrackingSpec) -> None:
    """Keep a sweep in a store."""
    values = {name: value for name, value in asdict(made).items() if name != "started"}
    values["stores"] = [_place(store, spec) for store in made.stores]
    text = without_password(json.dumps(values, ensure_ascii=False, separators=(",", ":")))
    tags = {
        "paribus.jobs": str(len(made.jobs)),
        "mlflow.note.content": without_password(made.command),
        COMMAND_TAG: _of_command(made),
    }
    if made.commit:
        tags["mlflow.source.git.commit"] = made.commit
    keep_sweep(spec, made.sweep, text, tags)


def changed_since(made: Record, spec: TrackingSpec, todo: Collection[int]) -> str | None:
    """Return a line about jobs that are not those of the last start of the same command; None where all are.

    Args:
        made: The sweep that starts.
        spec: The store that keeps its record.
        todo: Numbers of the jobs that are measured.
    """
    command = _of_command(made)
    last = next((each for each in kept_sweeps(spec) if each.run.tags.get(COMMAND_TAG) == command), None)
    if last is None:
        return None
    pairs = enumerate(zip(made.jobs, _read(spec, last).jobs, strict=False))
    changed = [
        number
        for number, (now, then) in pairs
        if number in todo and now.identity and then.identity and now.identity != then.identity
    ]
    if not changed:
        return None
    return (
        f"{len(changed)} of {len(made.jobs)} jobs are not those of the last start of this command ({last.id}): an "
        "option, a file, your code, a model or a version has changed since; they are measured anew"
    )


def _of_command(made: Record) -> str:
    return digest({"command": without_password(made.command), "folder": made.working_folder})


def find(spec: TrackingSpec, name: str) -> Record:
    """Return a recorded sweep by its id, the beginning or the end of it, or ``latest``.

    Raises:
        ConfigError: If there is none, or several.
        DataError: If its record is not readable.
    """
    every = kept_sweeps(spec)
    if not every:
        raise ConfigError("status: no sweep was run here yet (paribus -m ... runs one)")
    if name == LATEST:
        return _read(spec, every[0])
    found = [each for each in every if each.id == name]
    found = found or [each for each in every if each.id.startswith(name) or each.id.endswith(name)]
    if len(found) == 1:
        return _read(spec, found[0])
    shown = ", ".join(each.id for each in (found or every)[:5])
    if found:
        raise ConfigError(f"status: {name}: {len(found)} sweeps are called so: {shown}")
    raise ConfigError(f"status: {name}: no such sweep; the latest are {shown}")


def _read(spec: TrackingSpec, kept: KeptSweep) -> Record:
    try:
        values = json.loads(read_sweep(spec, kept))
        jobs = tuple(_job(each) for each in values["jobs"])
        lists = {name: tuple(values[name]) for name in ("models", "common")}
        lists["stores"] = tuple(replace(spec, **place) for place in values["stores"])
        return Record(**{**values, **lists, "jobs": jobs, "started": kept.run.started})
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"sweep {kept.id}: what is kept of it cannot be read ({error})") from None


def _job(values: Mapping[str, Any]) -> RecordedJob:
    models = tuple(Training(**each) for each in values.get("models", ()))
    return RecordedJob(**{**values, "words": tuple(values["words"]), "models": models})
