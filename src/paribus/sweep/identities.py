"""Identities of the jobs of a sweep, known before any of them starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from paribus.config.restate import value_text
from paribus.experiments.base import KEPT_RUNS
from paribus.models.tracked import LATEST, Tracked
from paribus.running.experiment import known_run
from paribus.running.identify import identify
from paribus.running.on_the_spot import all_planned, recipe
from paribus.running.request import Request, from_job
from paribus.running.resolve import from_store, models_on, resolve
from paribus.running.sequence import Sequence as Steps
from paribus.running.steps import sequence_identity, step_requests
from paribus.sweep.needed_training import Training
from paribus.tracking.interface import FileStore
from paribus.tracking.opening import open_store
from paribus.tracking.spec import has_runs

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.tracking.interface import Store
    from paribus.tracking.spec import TrackingSpec

_ASKED_ONCE = ("get", "latest_model", "result", "artifacts", "children", "download", "runs")


@dataclass(frozen=True)
class Known:
    """A job of a sweep and the identity of its run.

    Attributes:
        number: Place in the sweep, from 0, which is also the name of its output folder.
        job: The job, with the run that ``latest`` resolves to named.
        identity: Identity of its run; None if runs are not kept, and for a comparison whose runs do not exist yet.
        models: The trainings that it needs, made if missing.
        asked: For a comparison: the identity of the request, whichever runs exist.
    """

    number: int
    job: Job
    identity: str | None
    models: tuple[Training, ...] = ()
    asked: str | None = None

    @cached_property
    def store(self) -> str:
        """Key of the store that its run is kept in."""
        return repr(self.job.nodes["tracking"])


class Lookups:
    """A store with cached answers, opened at the first query; nothing is created."""

    def __init__(self, spec: TrackingSpec) -> None:
        """Do not open the store yet."""
        self._spec = spec
        self._store: Store | None = None
        self._asked: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        """Return the store's attribute ``name``."""
        if name.startswith("__"):
            raise AttributeError(name)
        if self._store is None:
            self._store = open_store(self._spec, writing=False) if has_runs(self._spec) else FileStore()
        found = getattr(self._store, name)
        if name not in _ASKED_ONCE:
            return found
        return self._asked.setdefault(name, cache(found))


def lookups(spec: TrackingSpec) -> Store:
    """Return a store for look-ups; nothing is created."""
    return cast("Store", Lookups(spec))


def known_jobs(jobs: Sequence[Job]) -> list[Known]:
    """Return the identity of each job; ``latest`` is resolved once and is the same for all.

    Raises:
        ParibusError: If a tracked model or a file that an identity covers is missing.
    """
    stores: dict[str, Store] = {}
    found = []
    for number, job in enumerate(jobs):
        spec = job.nodes["tracking"]
        store = stores.setdefault(repr(spec), lookups(spec))
        pinned_job = pinned(job, store)
        request = from_job(pinned_job, sweep="planned")
        if spec.kind == "off":
            found.append(Known(number, pinned_job, None))
        elif request.experiment.subject == KEPT_RUNS:
            resolved, known = known_run(resolve(request, store), store)
            found.append(Known(number, pinned_job, known.identity, asked=identify(resolved)))
        elif isinstance(request.experiment, Steps):
            found.append(Known(number, pinned_job, sequence_identity(request, store)))
        else:
            resolved = resolve(request, store)
            source = resolved.source
            models = _trainings(request) if source is not None and source.planned else ()
            found.append(Known(number, pinned_job, identify(resolved), models))
    return found


def _trainings(request: Request) -> tuple[Training, ...]:
    types = (str(each.experiment.type) for each in recipe(request))
    return tuple(Training(made.identity, name) for made, name in zip(all_planned(request), types, strict=True))


def pinned(job: Job, store: Store) -> Job:
    """Return the job with ``model.run=latest`` replaced by the id of that run; any other job as it is.

    Raises:
        ConfigError: If there is no such run.
    """
    node = job.nodes.get("model")
    if not isinstance(node, Tracked) or node.run != LATEST:
        return job
    subjects = {models_on(request) for request in _takers(from_job(job))}
    if len(subjects) != 1:
        return job
    run_id = from_store(node, store, subjects.pop()).run_id
    if run_id is None:
        return job
    words = [word for word in job.overrides if word.lstrip("+").partition("=")[0] != "model.run"]
    return replace(
        job,
        overrides=(*words, f"model.run={value_text(run_id)}"),
        nodes={**job.nodes, "model": Tracked(run=run_id)},
        tree={**job.tree, "model": {**job.tree["model"], "run": run_id}},
    )


def _takers(request: Request) -> list[Request]:
    """Return the experiments of a job that take the model it was given: itself, or those of its steps."""
    if not isinstance(request.experiment, Steps):
        return [request]
    found = []
    for step in step_requests(request):
        if step.experiment.produces_model:
            break
        if step.experiment.takes_trained and step.experiment.subject != KEPT_RUNS:
            found.append(step)
    return found
