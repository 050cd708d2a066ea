"""From ``model=tracked`` and ``data=as_trained`` to the run they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from paribus.config.check import TARGET, build
from paribus.errors import ConfigError
from paribus.features.latent import Latent
from paribus.models.tracked import LATEST, Tracked
from paribus.models.untrained import unasked
from paribus.running import on_the_spot, other_data
from paribus.running import source as sources
from paribus.running.source import ModelSource
from paribus.subjects.as_trained import AsTrained

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.tracking.interface import Store


@dataclass(frozen=True)
class Resolved:
    """A request whose model and data are known.

    Attributes:
        request: The request, with the specs of the run it takes its model from.
        source: The trained model, None where the model is built anew or read from a file.
        asked: The request as it was before, where the model is to be trained on the spot.
        given: Results of the steps before, for a report about them.
        runs: Of a comparison: ids of the runs that stand for all that it is made from.
        other: What is measured on, where it is not what the model was trained on: another data set, or its own changed.
    """

    request: Request
    source: ModelSource | None
    asked: Request | None = None
    given: tuple[Result, ...] = ()
    other: str | None = None
    runs: tuple[str, ...] = ()


def trains(experiment: Experiment) -> bool:
    """Return whether an experiment produces a model."""
    return experiment.produces_model


def takes(experiment: Experiment) -> bool:
    """Return whether an experiment works on a model that was trained before, if there is one."""
    return experiment.takes_trained


def resolve(request: Request, store: Store, source: ModelSource | None = None) -> Resolved:
    """Return the request with what ``tracked`` and ``as_trained`` stand for.

    Args:
        request: The request.
        store: Where runs are kept.
        source: The model of the step before, in a sequence; an experiment that trains anew does not take it.

    Raises:
        ConfigError: If there is no such run, or data are to be as trained and nothing says what was trained.
    """
    node = request.nodes.get("model")
    experiment = request.experiment
    asked = None
    if not takes(experiment):
        if isinstance(node, Tracked):
            raise ConfigError(
                f"model=tracked: {experiment.type} trains a model, it does not take one; choose an architecture"
            )
        source = None
    elif isinstance(node, Tracked) and source is None:
        source = from_store(node, store, experiment.subject)
    elif source is None and on_the_spot.recipe(request) and isinstance(request.nodes.get("data"), AsTrained):
        raise ConfigError("data=as_trained: the model is trained where it is needed; say on what with data=NAME")
    elif source is None and (source := on_the_spot.planned(request)) is not None:
        asked = request
    if source is None:
        if isinstance(request.nodes.get("data"), AsTrained):
            raise ConfigError("data=as_trained: only a tracked model was trained on something; use model=tracked")
        refuse_untrained(request)
        return Resolved(without_training(request), None)
    return replace(with_source(request, source), asked=asked)


def refuse_untrained(request: Request) -> None:
    """Check that an experiment that examines a model is not given one with random weights unasked.

    Raises:
        ConfigError: If it is.
    """
    experiment, node = request.experiment, request.nodes.get("model")
    if "model" not in experiment.needs or not takes(experiment):
        return
    feature = request.nodes.get("feature")
    parts = unasked(node, sae=feature is None or isinstance(feature, Latent))
    if not parts:
        return
    place = parts[0]
    option = request.choices.get("model") or type(node).__name__
    file = f"{place}.weights=FILE" if place == "model" else f"{place}.path=FILE"
    raise ConfigError(
        f"{place}: {option} has random weights here, and {experiment.type} examines what was learned; take a model "
        f"that a run trained (model=tracked), name a file ({file}), or ask for chance ({place}.untrained=true)"
    )


def without_training(request: Request) -> Request:
    """Return a request that trains nothing and takes no trained model without the training that stood in its defaults.

    A training that its words name stays: it says how weights from a file were made.
    """
    if trains(request.experiment) or "training" in request.named:
        return request
    return request.changed(training=(None, None, None))


def with_source(request: Request, source: ModelSource) -> Resolved:
    """Return the request on a trained model: with its architecture and training, and its data where they are asked.

    Its configuration says the same, and names the run instead of ``latest``.
    """
    changes = {
        "model": (source.architecture, request.tree.get("model"), request.choices.get("model")),
        "training": (source.training, source.tree.get("training"), source.options.get("training")),
    }
    if isinstance(request.nodes.get("model"), Tracked) and source.run_id is not None:
        changes["model"] = (source.architecture, tracked_node(source.run_id), request.choices.get("model"))
    own = request.nodes.get("data")
    if isinstance(own, AsTrained):
        changes["data"] = (*_own_data(own, source), source.options.get("data"))
    changed = request.changed(**changes)
    return Resolved(changed, source, other=None if source.planned else other_data.named(changed, source))


def _own_data(asked: AsTrained, source: ModelSource) -> tuple[Any, Any]:
    """Return spec and configuration node of the data that a model was trained on, with the changes asked for.

    Raises:
        ConfigError: If it is not known what it was trained on, or a change does not fit that data set.
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
        what = other_data.label(source.data, source.options.get("data"))
        raise ConfigError(f"{error} (the model of {source.label} was trained on {what})") from error


def tracked_node(run_id: str) -> dict[str, Any]:
    """Return the configuration node of the model that a run trained."""
    return {TARGET: f"{Tracked.__module__}.{Tracked.__qualname__}", "run": run_id}


def from_store(node: Tracked, store: Store, subject: str) -> ModelSource:
    """Return the model that ``tracked`` stands for; the latest one is the latest of the subject.

    Raises:
        ConfigError: If there is no such run.
    """
    if node.run != LATEST:
        return sources.from_run(store, store.get(node.run))
    run = store.latest_model(subject)
    if run is None:
        raise ConfigError(
            f"model.run=latest: no finished training run on {subject} in this study's MLflow experiment yet; train a "
            "model first (such as paribus experiment=train_classifier), name a run (model.run=ID), or set "
            "tracking.experiment=STUDY"
        )
    return sources.from_run(store, run)
