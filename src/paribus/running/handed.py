"""In-memory objects as parts of a request: a module in place of a model, contexts in place of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from paribus.config.check import node_of
from paribus.config.job import Job
from paribus.errors import ConfigError, size_of
from paribus.measure import Contexts
from paribus.models import handed as models
from paribus.models.handed import HandedModel
from paribus.results.values import plain
from paribus.running.request import Request
from paribus.running.sequence import Sequence
from paribus.spec import Spec
from paribus.subjects import handed as contexts_handed
from paribus.subjects.handed import HandedContexts, arrays_of, write_contexts
from paribus.tracking.file_run import FileRun

KEEP_BYTES = 256 * 2**20
"""Limit in bytes up to which weights and contexts are kept with the run, which notes anything left out."""
WEIGHTS_FILE = "handed/weights.safetensors"
CONTEXTS_FILE = "handed/contexts.npz"
KEY = "handed"


@dataclass(frozen=True)
class Handed:
    """One object of a request.

    Attributes:
        group: ``model`` or ``data``.
        spec: Its spec in the configuration.
        size: Bytes of its tensors.
        file: Where it is kept with the run.
    """

    group: str
    spec: HandedModel | HandedContexts
    size: int
    file: str

    @property
    def kept(self) -> bool:
        """Whether it is small enough to be kept."""
        return self.size <= KEEP_BYTES

    @property
    def called(self) -> str:
        """Its name in messages."""
        return f"the module {self.spec.name}" if isinstance(self.spec, HandedModel) else "the contexts"


@contextmanager
def with_objects(job: Job, model: Any, data: Any) -> Iterator[Job]:
    """Yield a job with objects in place of its model and data, which are registered while it runs.

    Raises:
        ConfigError: If they are no module and no contexts, the words name another, or the experiment trains a model.
    """
    specs: dict[str, Any] = {}
    if model is not None:
        specs["model"] = _model(job, model)
    if data is not None:
        specs["data"] = _data(job, data)
    try:
        yield _replaced(job, specs)
    finally:
        for spec in specs.values():
            (models.let_go if isinstance(spec, HandedModel) else contexts_handed.let_go)(spec)


def objects(request: Request) -> tuple[Handed, ...]:
    """Return the objects of a request."""
    found = []
    for group in ("model", "data"):
        spec = request.nodes.get(group)
        if isinstance(spec, HandedModel):
            found.append(Handed(group, spec, models.bytes_of(spec), WEIGHTS_FILE))
        elif isinstance(spec, HandedContexts):
            size = sum(array.nbytes for array in arrays_of(spec.load().contexts).values())
            found.append(Handed(group, spec, size, CONTEXTS_FILE))
    return tuple(found)


def notes(request: Request) -> tuple[str, ...]:
    """Return the notes of a result on objects."""
    spec = request.nodes.get("model")
    if not isinstance(spec, HandedModel) or not spec.untold:
        return ()
    shown = ", ".join(spec.untold[:4]) + (", ..." if len(spec.untold) > 4 else "")
    return (
        f"The module {spec.name} holds parts that no digest can tell from others ({shown}): its run is never reused.",
    )


def keep(request: Request, run: FileRun) -> dict[str, Any]:
    """Keep the objects of a request with its run if not too large; return their entry in its provenance."""
    said: dict[str, Any] = {}
    for one in objects(request):
        if one.kept:
            run.file(one.file, partial(_write, one.spec))
        said[one.group] = {
            "bytes": one.size,
            "kept": one.file if one.kept else None,
            **{
                name: getattr(one.spec, name)
                for name in ("name", "weights", "structure", "content")
                if name in vars(one.spec)
            },
        }
    return {KEY: said} if said else {}


def repeated(request: Request, words: tuple[str, ...]) -> str | None:
    """Return how to repeat a run on objects, or why that is impossible; None for a request without any."""
    given = objects(request)
    if not given:
        return None
    lost = [one for one in given if not one.kept]
    if lost:
        sizes = ", ".join(f"{one.called} ({size_of(one.size)})" for one in lost)
        return (
            f"cannot be repeated from what is kept: {sizes} took more than the {size_of(KEEP_BYTES)} up to which "
            "objects of a notebook are kept"
        )
    names = {"model": "module", "data": "contexts"}
    arguments = ", ".join(f"{one.group}={names[one.group]}" for one in given)
    places = "; ".join(f"{names[one.group]}: {one.called}, {_how(one)}" for one in given)
    return f"paribus.run({list(words)!r}, {arguments})  # {places}"


def _how(one: Handed) -> str:
    if one.group == "model":
        return f"with the weights in {one.file} of this run"
    return f"paribus.subjects.handed.read_contexts of {one.file} of this run"


def _write(spec: HandedModel | HandedContexts, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(spec, HandedModel):
        save_file(models.state_of(spec), path)
    else:
        write_contexts(spec.load().contexts, path)


def _model(job: Job, model: Any) -> HandedModel:
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model: wants a torch.nn.Module, got {type(model).__name__}; options go into the words")
    if isinstance(model, torch.jit.ScriptModule) or type(model).__name__ == "OptimizedModule":
        raise ConfigError(
            "model: it is compiled (torch.compile, torch.jit), so nothing inside it can be edited; hand over the "
            "module that was compiled"
        )
    experiment = job.nodes["experiment"]
    steps = list(experiment.steps.values()) if isinstance(experiment, Sequence) else [experiment]
    for trains in (step for step in steps if step is not None and step.produces_model and not step.takes_trained):
        raise ConfigError(
            f"model: {trains.type} trains a model from its start, which a function makes; name an option (model=NAME), "
            "also one of your own"
        )
    _refuse_named(job, "model")
    return models.handed_model(model)


def _data(job: Job, data: Any) -> HandedContexts:
    if not isinstance(data, Contexts):
        raise ConfigError(f"data: wants paribus.Contexts, got {type(data).__name__}; options go into the words")
    _refuse_named(job, "data")
    return contexts_handed.handed_contexts(data)


def _refuse_named(job: Job, group: str) -> None:
    """Refuse words about a group for which an object is given: they would have no effect."""
    for word in job.overrides:
        key = word.lstrip("+~").partition("=")[0]
        if key == group or key.startswith(f"{group}."):
            raise ConfigError(f"{word}: an object is handed over as {group}; leave one of the two out")


def _replaced(job: Job, specs: Mapping[str, Spec]) -> Job:
    if not specs:
        return job
    tree = {group: plain(node_of(spec)) for group, spec in specs.items()}
    chosen = {group: spec.name if isinstance(spec, HandedModel) else "contexts" for group, spec in specs.items()}
    return replace(
        job,
        nodes={**job.nodes, **specs},
        tree={**job.tree, **tree},
        choices={**job.choices, **chosen},
        named=job.named | set(specs),
    )
