"""Checks of everything a job names before anything is run; nothing is written."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.experiments import plugins
from paribus.experiments.base import KEPT_RUNS
from paribus.models.tracked import Tracked
from paribus.running.choosing import waiting
from paribus.running.claims import claim_of
from paribus.running.request import Request, from_job
from paribus.running.resolve import resolve
from paribus.running.resolved import Resolved
from paribus.running.sequence import Sequence
from paribus.running.setup import asked, refuse_format
from paribus.running.steps import left_out, planned, step_requests, uncompared
from paribus.spec import path_of
from paribus.tracking import local, server
from paribus.tracking.interface import FileStore
from paribus.tracking.login import put_back
from paribus.tracking.opening import client_of, open_store
from paribus.tracking.spec import database, has_runs

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.tracking.interface import Store
    from paribus.tracking.spec import TrackingSpec

log = logging.getLogger("paribus")


def validate(job: Job, *, among: bool = False) -> None:
    """Look up what a job names: device, store, tracked runs, data files, layers, checkpoints.

    Args:
        job: The job.
        among: Whether other jobs of its sweep make runs, so that a comparison will have runs to compare.

    Raises:
        ConfigError: If a name does not exist, or the device or the store cannot be used.
        DataError: If data are missing, unreadable, or empty in some part.
        CheckpointError: If a checkpoint is missing, unsafe, or does not fit the architecture.
    """
    request = from_job(job)
    validate_store(request.tracking)
    request.nodes["device"].resolve()
    if among and _compares(job):
        request = replace(request, step="comparison")
    store = _store_of(job, request, among=among)
    if isinstance(request.experiment, Sequence):
        _validate_steps(request, request.experiment, store)
    else:
        refuse_format(request.experiment, request.nodes["device"])
        claim_of(request)
        _validate(resolve(request, store), store)


def _compares(job: Job) -> bool:
    experiment = job.nodes["experiment"]
    return experiment.subject == KEPT_RUNS and not experiment.second_run and not takes_tracked(job)


def _store_of(job: Job, request: Request, *, among: bool) -> Store:
    """Return the store that holds the runs a job names; one of nothing where it names none.

    Raises:
        ConfigError: If it names some, and there is no store yet.
    """
    if job.nodes["experiment"].second_run and not takes_tracked(job):
        lacking = f"experiment.{request.experiment.beside}: there is no run to take a model from yet"
    elif takes_tracked(job):
        lacking = "model=tracked: there is no run to take a model from yet"
    elif _compares(job) and not among:
        lacking = f"{job.experiment.type}: there are no runs to compare yet"
    else:
        return FileStore()  # not opened: that takes two seconds
    spec = request.tracking
    if spec.kind == "local" and not has_runs(spec):
        raise ConfigError(f"{lacking}: no {database(spec)}")
    return open_store(spec, writing=False)


def _validate_steps(request: Request, sequence: Sequence, store: Store) -> None:
    """Validate the steps of a sequence and its comparison, and say what is left out, and why."""
    for name, why in left_out(request).items():
        log.warning("step %s is left out: %s", name, why)
    steps = step_requests(request)
    for step in steps:
        refuse_format(step.experiment, request.nodes["device"], step=step.step)
        claim_of(step)
    later = waiting(steps)
    for resolved, _ in planned(request, store):
        if resolved.request.step not in later:
            _validate(resolved, store)
    nothing = uncompared(request)
    if nothing is not None:
        log.warning("the comparison is left out: %s", nothing)
    elif sequence.comparison is not None:
        _validate(Resolved(request.for_step("comparison", sequence.comparison, {}), None), store)


def validate_store(spec: TrackingSpec) -> None:
    """Refuse a folder in which runs cannot be kept, and a server that does not answer; nothing is created.

    Raises:
        ConfigError: If it holds an old file store, the store was moved, or the server cannot be reached.
        DataError: If the folder cannot be written, or its database is damaged.
    """
    if spec.kind == "local":
        folder = path_of(spec.folder).absolute()
        local.database_uri(folder)
        local.refuse_unwritable(folder)
        local.refuse_file_store(folder)
        local.refuse_moved(folder)
    elif spec.kind == "server":
        uri = put_back(str(spec.uri))
        server.refuse_silent(uri)
        if not uri.startswith(server.DATABASES):
            client_of(uri)  # whatever answers may be no server of MLflow's, or take no one in without a password


def takes_tracked(job: Job) -> bool:
    """Return whether a job takes its model from a kept run."""
    return isinstance(job.nodes.get("model"), Tracked)


def _validate(resolved: Resolved, store: Store) -> None:
    plugins.named(resolved.request.subject).validate(asked(resolved, store))
