"""Models that are trained on the spot when a request needs them, and reused by identity from then on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from paribus.config import catalogue
from paribus.config.check import node_of
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment, imported_type
from paribus.models.untrained import UNTRAINED
from paribus.running.identify import identify
from paribus.running.kept_models import planned as planned_source
from paribus.running.on_model import with_source
from paribus.running.resolved import Resolved
from paribus.running.setup import DEFAULT_DTYPE
from paribus.spec import ModelSpec, fields_of

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.source import ModelSource


def recipe(request: Request) -> tuple[Request, ...]:
    """Return the training runs that make the request's model, in order; none where it needs no training.

    A model spec says by ``trained_by`` which experiment types make its weights where no file gives them. A later
    training of the recipe takes the model of those before it.
    """
    node = request.nodes.get("model")
    types = node.trained_by if isinstance(node, ModelSpec) else ()
    values = fields_of(node)
    made = bool(values.get("weights")) or bool(values.get(UNTRAINED))
    if not types or made or "model" not in request.experiment.needs:
        return ()
    if request.experiment.type in types:
        types = types[: types.index(request.experiment.type)]
    return tuple(_training(request, name) for name in types)


def planned(request: Request) -> ModelSource | None:
    """Return the model that the recipe will make; None without a recipe."""
    made = all_planned(request)
    return made[-1] if made else None


def all_planned(request: Request) -> tuple[ModelSource, ...]:
    """Return the planned model of each training of the recipe, in order."""
    found: list[ModelSource] = []
    for training in recipe(request):
        resolved = with_source(training, found[-1]) if found else Resolved(training, None)
        found.append(planned_source(resolved.request, identify(resolved)))
    return tuple(found)


def _training(request: Request, name: str) -> Request:
    """Return the request of one training run, which is reused if it exists."""
    experiment = experiment_named(name)
    asked = request.for_step(name, experiment, node_of(experiment)).with_options_of(f"trained_by.{name}")
    # the same model for every number format that it is measured in
    device = replace(request.nodes["device"], dtype=DEFAULT_DTYPE)
    node = {**(request.tree.get("device") or {}), "dtype": DEFAULT_DTYPE}
    return replace(asked, step=None, reuse="always").changed(device=(device, node, request.choices.get("device")))


def experiment_named(name: str) -> Experiment:
    """Return the experiment of a type with its default values.

    Raises:
        ConfigError: If there is no such type.
    """
    found = imported_type(name)
    if found is None:
        found = next((option.load() for option in catalogue.options("experiment") if option.name == name), None)
    if found is not None:
        return found()
    raise ConfigError(f"model: is trained by {name!r}, which is no experiment type")
