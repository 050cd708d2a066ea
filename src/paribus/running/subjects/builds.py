"""Experiments on builds: a corpus, a set model with its autoencoder, a feature, a slice and constraints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paribus import seeds
from paribus.config.check import build
from paribus.config.foreign import Foreign
from paribus.errors import ConfigError, DataError, ParibusError
from paribus.results.values import plain
from paribus.running.caches import data_sets, models
from paribus.running.contents import fingerprint
from paribus.running.other_data import refuse_changed, sentence
from paribus.running.setup import basics
from paribus.subjects.builds.overlap import shared_builds
from paribus.tracking.identity import canonical, digest

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.experiments.checkpoints import Checkpoint
    from paribus.running.resolved import Resolved
    from paribus.running.source import ModelSource
    from paribus.subjects.builds.contexts import Corpus
    from paribus.subjects.builds.models.set_model import SetModel
    from paribus.tracking.interface import Store


def validate(resolved: Resolved, store: Store) -> None:
    """Load corpus and model, and look up every name of the experiment in the vocabulary.

    Raises:
        ParibusError: If something is missing or does not fit.
    """
    source = resolved.source
    if source is not None and source.planned:
        return
    found = setup(resolved, store, identity="")
    if "feature" in resolved.request.experiment.needs:
        found.reader  # noqa: B018 - looks the feature up
        found.look_up(getattr(resolved.request.experiment, "stable_tokens", ()))
    check = getattr(resolved.request.experiment, "validate", None)
    if check is not None:
        check(found)


def setup(resolved: Resolved, store: Store, *, identity: str) -> BuildSetup:
    """Load corpus and model, each once per process, and put the setup together."""
    from paribus.experiments.builds.setup import build_setup
    from paribus.subjects.builds.constraints import ConstraintsSpec
    from paribus.subjects.builds.slices import SliceSpec

    nodes = resolved.request.nodes
    corpus = load(resolved)
    refuse_changed(resolved, corpus.digest)
    arguments = basics(resolved)
    return build_setup(
        data=corpus,
        model=set_model(resolved, corpus),
        feature=nodes.get("feature") if "feature" in resolved.request.experiment.needs else None,
        slicing=nodes.get("slice") or SliceSpec(),
        constraints=nodes.get("constraints") or ConstraintsSpec(),
        seed=arguments["seed"],
        stats=arguments["stats"],
        device=arguments["device"],
        dtype=arguments["dtype"],
        batch_limit=arguments["batch_limit"],
    )


def notes(resolved: Resolved, setup: BuildSetup) -> tuple[str, ...]:
    """Return what is to be said where a trained model is measured on builds that it was not trained on.

    Builds have no held-out split: a corpus that shares some with the training is named, not refused.
    """
    source = resolved.source
    if source is None or resolved.other is None:
        return ()
    lines = []
    for node in source.trained_on:
        trained = replace(resolved, request=resolved.request.with_nodes(data=build(node, "data")))
        try:
            shared = shared_builds(load(trained), setup.corpus)
        except ParibusError as error:
            lines.append(f"What the model of {source.label} was trained on cannot be loaded any more ({error}).")
        else:
            if shared is None:
                lines.append(f"The model of {source.label} was trained in another vocabulary.")
            elif shared:
                lines.append(
                    f"{shared} of {len(setup.corpus.builds)} builds are among those that the model was trained on."
                )
    return (sentence(resolved), *dict.fromkeys(lines))


def load(resolved: Resolved) -> Corpus:
    """Return the corpus, in the vocabulary of the model where that brings one.

    Raises:
        ConfigError: If none is chosen.
        DataError: If it is no corpus of builds.
    """
    from paribus.experiments.builds.setup import load_corpus
    from paribus.subjects.builds.contexts import Corpus

    node, model = resolved.request.nodes.get("data"), resolved.request.nodes.get("model")
    if node is None:
        raise ConfigError(f"data: {resolved.request.experiment.type} needs a corpus, e.g. data=builds_generated")

    def make() -> Any:
        return node.call() if isinstance(node, Foreign) else load_corpus(node, model)

    # a model that brings its vocabulary decides on the corpus too
    reads_in = fingerprint(model) if callable(getattr(model, "vocabulary_files", None)) else None
    corpus = data_sets.get((fingerprint(node), reads_in), make)
    if not isinstance(corpus, Corpus):
        raise DataError(
            f"data: gave a {type(corpus).__name__}, but {resolved.request.experiment.type} needs "
            "paribus.subjects.builds.contexts.Corpus, e.g. data=builds_generated"
        )
    return corpus


def set_model(resolved: Resolved, corpus: Corpus) -> SetModel:
    """Return the network and its autoencoder, with trained weights where the request has them.

    Raises:
        ConfigError: If no model is chosen, or it is none of sets.
        CheckpointError: If its file is missing, unsafe or does not fit the vocabulary.
    """
    from paribus.subjects.builds.models.set_model import SetModel

    request, source = resolved.request, resolved.source
    node: Any = request.nodes.get("model")
    if node is None:
        raise ConfigError(f"model: {request.experiment.type} needs a model, e.g. model=planted")
    specials = [weapon.special for weapon in corpus.weapons.weapons]
    arguments = {"tokens": corpus.vocabulary.tokens, "specials": specials}
    generator = seeds.torch_rng(request.seed, "model")

    def make() -> Any:
        if source is not None:
            return restored(resolved, source, arguments)
        if isinstance(node, Foreign):
            return node.call(**arguments, generator=generator)
        if not hasattr(node, "build"):
            raise ConfigError(f"model: {type(node).__name__} is no model of sets")
        try:
            return node.build(**arguments, generator=generator)
        except TypeError:
            raise ConfigError(f"model: {type(node).__name__} is no model of sets; try model=planted") from None

    trained = chosen(resolved, source).key if source is not None else None
    stated = {"model": fingerprint(node), "seed": request.seed, "from": trained, **plain(arguments)}
    # a training changes its network in place, so it never gets a shared one
    shared = not isinstance(node, Foreign) and not getattr(request.experiment, "produces_model", False)
    model = models.get(digest({"stated": canonical(stated)}), make) if shared else make()
    if not isinstance(model, SetModel):
        raise ConfigError(f"model: made a {type(model).__name__}, but {request.experiment.type} needs a SetModel")
    return model


def restored(resolved: Resolved, source: ModelSource, arguments: dict[str, Any]) -> SetModel:
    """Return the model that a training run published, at the chosen checkpoint.

    Raises:
        ConfigError: If the run trained no set model.
        CheckpointError: If what it kept does not fit.
    """
    restore = getattr(source.architecture, "restore", None)
    if restore is None:
        raise ConfigError(f"model: {source.label} trained no model of sets")
    epoch = chosen(resolved, source).epoch
    model: SetModel = restore(source.epoch_state(epoch), **arguments, name=source.label)
    return model


def chosen(resolved: Resolved, source: ModelSource) -> Checkpoint:
    """Return the checkpoint that an experiment on sets works on: one, also where all are asked for."""
    choice = resolved.request.checkpoint if resolved.request.checkpoint != "all" else "peak_val"
    (found,) = source.checkpoints().select(choice)
    return found
