"""Looking up everything a job names before anything is run: nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.running.choosing import waiting
from paribus.running.request import from_job
from paribus.running.resolve import Resolved, resolve
from paribus.running.sequence import Sequence, planned, step_requests
from paribus.running.setup import builder, refuse_format
from paribus.tracking import local
from paribus.tracking.store import open_store

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.tracking.interface import Store
    from paribus.tracking.spec import TrackingSpec


def validate(job: Job) -> None:
    """Look up what a job names: device, store, tracked runs, data files, layers, checkpoints.

    Raises:
        ConfigError: If a name does not exist, or the device or the store cannot be used.
        DataError: If data are missing, unreadable, or empty in some part.
        CheckpointError: If a checkpoint is missing, unsafe, or does not fit the architecture.
    """
    request = from_job(job)
    validate_store(request.tracking)
    request.nodes["device"].resolve()
    if takes_tracked(job):
        store = _existing_store(request.tracking)
    elif restricts_runs(job) and _is_there(request.tracking):
        store = open_store(request.tracking, writing=False)
    else:
        store = _no_store(request.tracking)
    if isinstance(request.experiment, Sequence):
        steps = step_requests(request)
        for step in steps:
            refuse_format(step.experiment, request.nodes["device"], step=step.step)
        later = waiting(steps)
        for resolved, _ in planned(request, store):
            if resolved.request.step not in later:
                _validate(resolved, store)
        if request.experiment.comparison is not None:
            _validate(Resolved(request.for_step("comparison", request.experiment.comparison, {}), None), store)
    else:
        refuse_format(request.experiment, request.nodes["device"])
        _validate(resolve(request, store), store)


def validate_store(spec: TrackingSpec) -> None:
    """Refuse a folder that runs cannot be kept in; nothing is created.

    Raises:
        ConfigError: If an old file store lies there, or the store was moved.
    """
    if spec.kind == "local":
        folder = Path(spec.folder).expanduser().absolute()
        local.database_uri(folder)
        local.refuse_file_store(folder)
        local.refuse_moved(folder)


def takes_tracked(job: Job) -> bool:
    """Return whether a job takes its model from a kept run."""
    from paribus.models.tracked import Tracked

    return isinstance(job.nodes.get("model"), Tracked)


def restricts_runs(job: Job) -> bool:
    """Return whether a job says by name which kept runs it works on."""
    experiment = job.nodes["experiment"]
    return experiment.subject == "runs" and bool(getattr(experiment, "where", ()) or getattr(experiment, "runs", ()))


def _is_there(spec: TrackingSpec) -> bool:
    """Return whether there is a store to look into; a server is taken to be there."""
    return spec.kind == "server" or (
        spec.kind == "local" and (Path(spec.folder).expanduser().absolute() / local.DATABASE).is_file()
    )


def _validate(resolved: Resolved, store: Store) -> None:
    builder(resolved.request.experiment.subject).validate(resolved, store)


def _existing_store(spec: TrackingSpec) -> Store:
    """Open the store that a tracked model is looked up in; one that is not there is not created.

    Raises:
        ConfigError: If there is no store.
    """
    if spec.kind == "local":
        database = Path(spec.folder).expanduser().absolute() / local.DATABASE
        if not database.is_file():
            raise ConfigError(f"model=tracked: there is no run to take a model from yet: no {database}")
    return open_store(spec, writing=False)


def _no_store(spec: TrackingSpec) -> Store:
    """Return a store that is not opened, for requests that look nothing up in it (opening takes two seconds)."""
    from paribus.tracking.interface import FileStore

    return FileStore()
