"""Requests on the model that a run trained: with its architecture, its training and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paribus.config.check import build, node_of
from paribus.errors import ConfigError
from paribus.experiments.asked import label
from paribus.models.tracked import Tracked
from paribus.running import other_data
from paribus.running.resolved import Resolved
from paribus.subjects.as_trained import AsTrained

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.source import ModelSource


def without_training(request: Request) -> Request:
    """Return a request that trains nothing and takes no trained model, without the default training.

    A training named by its words stays: it describes how weights from a file were made.
    """
    if request.experiment.produces_model or "training" in request.named:
        return request
    return request.changed(training=(None, None, None))


def with_source(request: Request, source: ModelSource) -> Resolved:
    """Return the request on a trained model: with its architecture and training, and its data for ``as_trained``.

    Its configuration says the same, and names the run instead of ``latest``.
    """
    changes = {
        "model": (source.architecture, request.tree.get("model"), request.choices.get("model")),
        "training": (source.training, source.tree.get("training"), source.options.get("training")),
    }
    if isinstance(request.nodes.get("model"), Tracked) and source.run_id is not None:
        changes["model"] = (source.architecture, node_of(Tracked(run=source.run_id)), request.choices.get("model"))
    own = request.nodes.get("data")
    if isinstance(own, AsTrained):
        changes["data"] = (*_own_data(own, source), source.options.get("data"))
    changed = request.changed(**changes)
    other = None if source.planned else other_data.named(changed, source)
    if request.changed_data and not source.planned:
        other = other or other_data.AS_THEY_ARE
    return Resolved(changed, source, other=other)


def _own_data(asked: AsTrained, source: ModelSource) -> tuple[Any, Any]:
    """Return spec and configuration node of the data that a model was trained on, with the requested changes.

    Raises:
        ConfigError: If its training data are unknown, or a change does not fit that data set.
    """
    node = source.tree.get("data")
    if node is None:
        raise ConfigError(f"data: nothing says what the model of {source.label} was trained on; name data (data=NAME)")
    if not asked.changes:
        return source.data, node
    changed = asked.over(node)
    try:
        return build(changed, "data"), changed
    except ConfigError as error:
        what = label(source.data, source.options.get("data"))
        raise ConfigError(f"{error} (the model of {source.label} was trained on {what})") from error
