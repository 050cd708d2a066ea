"""From ``model=tracked`` and ``data=as_trained`` to the run they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.models.tracked import LATEST, Tracked
from paribus.running import source as sources
from paribus.running.source import ModelSource
from paribus.subjects.as_trained import AsTrained

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.tracking.interface import Store


@dataclass(frozen=True)
class Resolved:
    """A request whose model and data are known.

    Attributes:
        request: The request, with the specs of the run it takes its model from.
        source: The trained model, None where the model is built anew or read from a file.
    """

    request: Request
    source: ModelSource | None


def resolve(request: Request, store: Store, source: ModelSource | None = None) -> Resolved:
    """Return the request with what ``tracked`` and ``as_trained`` stand for.

    Args:
        request: The request.
        store: Where runs are kept.
        source: The model of the step before, in a sequence; an experiment that trains does not take it.

    Raises:
        ConfigError: If there is no such run, or data are to be as trained and nothing says what was trained.
    """
    node = request.nodes.get("model")
    trains = bool(getattr(request.experiment, "produces_model", False))
    if isinstance(node, Tracked):
        if trains:
            raise ConfigError(
                f"model=tracked: {request.experiment.type} trains a model, it does not take one; choose an architecture"
            )
        source = from_store(node, store)
    elif trains:
        source = None
    data = request.nodes.get("data")
    if isinstance(data, AsTrained):
        if source is None:
            raise ConfigError("data=as_trained: only a tracked model was trained on something; use model=tracked")
        data = source.data
    if source is None:
        return Resolved(request.with_nodes(data=data), None)
    return Resolved(request.with_nodes(data=data, model=source.architecture, training=source.training), source)


def from_store(node: Tracked, store: Store) -> ModelSource:
    """Return the model that ``tracked`` stands for.

    Raises:
        ConfigError: If there is no such run.
    """
    if node.run != LATEST:
        return sources.from_run(store, store.get(node.run))
    run = store.latest_model()
    if run is None:
        raise ConfigError(
            "model.run=latest: no finished training run in this study's MLflow experiment yet; train a model first "
            "(paribus experiment=train_classifier), name a run (model.run=ID), or set tracking.experiment=STUDY"
        )
    return sources.from_run(store, run)
