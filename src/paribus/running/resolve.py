"""Resolves ``model=tracked`` and ``data=as_trained`` to the run they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paribus.config import catalogue
from paribus.errors import ConfigError
from paribus.experiments.base import ANY
from paribus.features.latent import Latent
from paribus.models.tracked import LATEST, Tracked
from paribus.models.untrained import unasked
from paribus.running import kept_models, on_the_spot
from paribus.running.on_model import with_source, without_training
from paribus.running.resolved import Resolved
from paribus.subjects.as_trained import AsTrained
from paribus.tracking.kept import TRAINED

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.source import ModelSource
    from paribus.tracking.interface import Store

PREVIOUS = "previous"
"""Value in place of the id of a second model's run: the training run before that of the model."""


def resolve(request: Request, store: Store, source: ModelSource | None = None) -> Resolved:
    """Return the request with ``tracked`` and ``as_trained`` resolved, and with the second model if it takes two.

    Args:
        request: The request.
        store: Where runs are kept.
        source: The model of the step before, in a sequence; an experiment that trains anew does not take it.

    Raises:
        ConfigError: If there is no such run, or ``data=as_trained`` without a trained model.
    """
    found = _on_first(request, store, source)
    return _beside(found, store) if request.experiment.second_run else found


def _beside(found: Resolved, store: Store) -> Resolved:
    """Return a resolved request with a second trained model, on the data of the first.

    Raises:
        ConfigError: If there is no such run, or it trained no model.
    """
    request, experiment = found.request, found.request.experiment
    where = f"experiment.{experiment.beside}"
    asked = experiment.second_run
    if asked == LATEST:
        raise ConfigError(
            f"{where}=latest: name the run of the second model by its id (paribus runs lists them), or say previous: "
            "the training run before that of the model"
        )
    node = Tracked(run=_before(found, store, where) if asked == PREVIOUS else asked)
    try:
        source = from_store(node, store, models_on(request))
    except ConfigError as error:
        raise ConfigError(f"{where}={node.run}: {str(error).removeprefix(f'model.run={node.run[:8]}: ')}") from None
    tree = {**request.tree.get("experiment", {}), experiment.beside: source.run_id}
    named = replace(experiment, **{experiment.beside: source.run_id})
    request = replace(request.changed(experiment=(named, tree, request.choices.get("experiment"))), experiment=named)
    on_second = with_source(request.with_nodes(model=node), source)
    return replace(found, request=request, beside=on_second)


def _before(found: Resolved, store: Store, where: str) -> str:
    """Return the id of the latest finished training run on the same subject that was started before the model's own.

    Raises:
        ConfigError: If the model is of no kept run, or there is none before it.
    """
    source = found.source
    if source is None or source.run_id is None:
        raise ConfigError(f"{where}=previous: is the training run before that of the model; take model=tracked")
    kept = store.runs(where=TRAINED)
    own = store.get(source.run_id)
    others = [run for run in kept if run.tags.get("subject") == own.tags.get("subject")]
    places = [place for place, run in enumerate(others) if run.run_id == own.run_id]
    if not places or places[0] + 1 == len(others):
        raise ConfigError(f"{where}=previous: no training run of this study was finished before {source.label}")
    return others[places[0] + 1].run_id


def _on_first(request: Request, store: Store, source: ModelSource | None) -> Resolved:
    """Return the request with ``tracked`` and ``as_trained`` resolved.

    Args:
        request: The request.
        store: Where runs are kept.
        source: The model of the step before, in a sequence; an experiment that trains anew does not take it.

    Raises:
        ConfigError: If there is no such run, or ``data=as_trained`` without a trained model.
    """
    node = request.nodes.get("model")
    experiment = request.experiment
    asked = None
    if not experiment.takes_trained:
        if isinstance(node, Tracked):
            raise ConfigError(
                f"model=tracked: {experiment.type} trains a model, it does not take one; choose an architecture"
            )
        source = None
    elif isinstance(node, Tracked) and source is None:
        source = from_store(node, store, models_on(request))
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
    """Check that an experiment that examines a model does not get one with random weights unintentionally.

    Raises:
        ConfigError: If it is.
    """
    experiment, node = request.experiment, request.nodes.get("model")
    if "model" not in experiment.needs or not experiment.takes_trained:
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


def models_on(request: Request) -> tuple[str | None, ...]:
    """Return the subjects on whose models an experiment works, in the order of search; None: any."""
    subject = request.subject
    if subject == ANY:
        return (None,)
    unsaid = request.nodes.get("data") is None or isinstance(request.nodes.get("data"), AsTrained)
    return (subject, None) if unsaid and ANY in request.experiment.subjects else (subject,)


def from_store(node: Tracked, store: Store, subjects: Sequence[str | None]) -> ModelSource:
    """Return the model of ``tracked``; ``latest`` is the latest of the first subject that has any.

    Raises:
        ConfigError: If there is no such run.
    """
    if node.run != LATEST:
        return kept_models.from_run(store, store.get(node.run))
    run = next((found for one in subjects if (found := store.latest_model(one)) is not None), None)
    if run is None:
        raise ConfigError(f"model.run=latest: {_no_model(store, subjects)}")
    return kept_models.from_run(store, run)


def _no_model(store: Store, subjects: Sequence[str | None]) -> str:
    """Return what a study lacks, and where the model may be: in another study, or yet to be trained."""
    about = f" on {subjects[0]}" if len(subjects) == 1 and subjects[0] else ""
    trained = store.runs(where=TRAINED, everywhere=True)
    study = next((run.experiment for run in trained if None in subjects or run.tags.get("subject") in subjects), None)
    elsewhere = "STUDY" if study is None else f"{study}, which has the latest of this store"
    types = (option.load() for option in catalogue.options("experiment") if option.name.startswith("train_"))
    trainers = (one for one in types if one.produces_model and not one.takes_model)
    first = next((one.type for one in trainers if one.subject in subjects), "train_classifier")
    return (
        f"no finished training run{about} in this study's MLflow experiment yet; train a model first (such as paribus "
        f"experiment={first}), name a run (model.run=ID), or set tracking.experiment={elsewhere}"
    )
