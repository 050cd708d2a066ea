"""Experiments on builds: a corpus, a set model with its autoencoder, a feature, a slice and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from paribus import seeds
from paribus.config.check import build
from paribus.config.foreign import Foreign
from paribus.errors import ConfigError, DataError, ParibusError
from paribus.experiments.asked import Asked, Trained
from paribus.experiments.builds.any_network import network_setup
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.loading import build_setup, load_corpus
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.networks import made_outside
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.subject import SubjectPlugin
from paribus.measure.steady import refuse_unsteady
from paribus.models.autoencoders import sae_from_state
from paribus.models.handed import HandedModel
from paribus.models.loading import fit_state, start_from
from paribus.results.values import plain
from paribus.spec import BuildsNetwork, DataSpec
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Corpus
from paribus.subjects.builds.models.set_model import BringsVocabulary, Restores, SetModel
from paribus.subjects.builds.overlap import shared_builds
from paribus.subjects.builds.slices import SliceSpec
from paribus.tracking.identity import canonical, digest


class Builds(SubjectPlugin):
    """Sets experiments on builds up."""

    name = "builds"

    def validate(self, asked: Asked) -> None:
        """Load corpus and model, and look up every name of the experiment in the vocabulary.

        Raises:
            ParibusError: If something is missing or does not fit.
        """
        asked.experiment.suits(self.name)
        if asked.trained is not None and asked.trained.planned:
            return
        found = self._builds(asked)
        experiment = asked.experiment
        if isinstance(asked.nodes["model"], (Foreign, HandedModel)):
            refuse_unsteady(found.executor)
            found.executor.subject.refuse_network(found.executor)
        if "feature" in experiment.needs:
            if found.feature is not None or "feature" not in experiment.may_lack:
                found.reader  # noqa: B018 - looks the feature up
            found.look_up(experiment.stable_tokens if isinstance(experiment, BuildExperiment) else ())
        experiment.validate(found if experiment.subject == self.name else self._alone(asked, found))

    def setup(self, asked: Asked) -> BuildSetup | NetworkSetup:
        """Load corpus and model, each once per process, and put the setup together.

        An experiment that knows no builds gets the contexts of the slice and the network alone.
        """
        found = self._builds(asked)
        return found if asked.experiment.subject == self.name else self._alone(asked, found)

    def _alone(self, asked: Asked, found: BuildSetup) -> NetworkSetup:
        """Return the contexts of the slice and the network alone, with a second network where one is asked for."""
        made = network_setup(found)
        return made if asked.beside is None else replace(made, beside=network_setup(self._builds(asked.beside)))

    def _builds(self, asked: Asked) -> BuildSetup:
        nodes = asked.nodes
        corpus = load(asked)
        asked.refuse_changed(corpus.digest)
        return build_setup(
            data=corpus,
            model=set_model(asked, corpus),
            feature=nodes.get("feature") if "feature" in asked.experiment.needs else None,
            slicing=nodes.get("slice") or SliceSpec(),
            constraints=nodes.get("constraints") or ConstraintsSpec(),
            **asked.basics,
        )

    def notes(self, asked: Asked, setup: BuildSetup | NetworkSetup) -> tuple[str, ...]:
        """Return what is to be said where a trained model is measured on builds that it was not trained on.

        Builds have no held-out split: a corpus that shares some with the training is named, not refused.
        """
        source = asked.trained
        if source is None or asked.other is None:
            return ()
        corpus = load(asked)
        lines = []
        for node in source.trained_on:
            trained = replace(asked, nodes={**asked.nodes, "data": build(node, "data")})
            try:
                shared = shared_builds(load(trained), corpus)
            except ParibusError as error:
                lines.append(f"What the model of {source.label} was trained on cannot be loaded any more ({error}).")
            else:
                if shared is None:
                    lines.append(f"The model of {source.label} was trained in another vocabulary.")
                elif shared:
                    lines.append(
                        f"{shared} of {len(corpus.builds)} builds are among those that the model was trained on."
                    )
        return (*asked.measured_elsewhere(), *dict.fromkeys(lines))


BUILDS = Builds()


def load(asked: Asked) -> Corpus:
    """Return the corpus, in the vocabulary of the model where that brings one.

    Raises:
        ConfigError: If none is chosen.
        DataError: If it is no corpus of builds.
    """
    node, model = asked.nodes.get("data"), asked.nodes.get("model")
    if node is None:
        raise ConfigError(f"data: {asked.experiment.type} needs a corpus, e.g. data=builds_generated")
    if isinstance(node, DataSpec) and node.subject != Builds.name:
        raise DataError(
            f"data: {asked.called} gives {node.subject}, but {asked.experiment.type} works on builds here, e.g. "
            "data=builds_generated"
        )

    def make() -> Any:
        return node.call() if isinstance(node, Foreign) else load_corpus(node, model)

    # a model that brings its vocabulary decides on the corpus too
    reads_in = asked.shared.key(model) if isinstance(model, BringsVocabulary) else None
    corpus = asked.shared.data((asked.shared.key(node), reads_in), make)
    if not isinstance(corpus, Corpus):
        raise DataError(
            f"data: gave a {type(corpus).__name__}, but {asked.experiment.type} needs "
            "paribus.subjects.builds.contexts.Corpus, e.g. data=builds_generated"
        )
    return corpus


def set_model(asked: Asked, corpus: Corpus) -> SetModel:
    """Return the network and its autoencoder, with trained weights where the request has them.

    Raises:
        ConfigError: If no model is chosen, or it is none of sets.
        CheckpointError: If its file is missing, unsafe or does not fit the vocabulary.
    """
    source = asked.trained
    node: Any = asked.nodes.get("model")
    if node is None:
        raise ConfigError(f"model: {asked.experiment.type} needs a model, e.g. model=planted")
    specials = [weapon.special for weapon in corpus.weapons.weapons]
    arguments = {"tokens": corpus.vocabulary.tokens, "specials": specials}
    generator = seeds.torch_rng(asked.seed, "model")

    def make() -> Any:
        if source is not None:
            return restored(asked, source, arguments)
        if isinstance(node, Foreign):
            made = outside(node, arguments, asked.seed)
            start_from(made.network, node.weights, node.leave_out)
            return made
        if isinstance(node, HandedModel):
            return SetModel(node.build(), name=node.name)
        if not isinstance(node, BuildsNetwork):
            raise ConfigError(f"model: {type(node).__name__} is no model of sets")
        try:
            return node.build(**arguments, generator=generator)
        except TypeError:
            raise ConfigError(f"model: {type(node).__name__} is no model of sets; try model=planted") from None

    trained = chosen(asked, source).key if source is not None else None
    stated = {"model": asked.shared.key(node), "seed": asked.seed, "from": trained, **plain(arguments)}
    # a training changes its network in place, so it never gets a shared one
    shared = not isinstance(node, (Foreign, HandedModel)) and not asked.experiment.produces_model
    model = asked.shared.model(digest({"stated": canonical(stated)}), make) if shared else make()
    if not isinstance(model, SetModel):
        raise ConfigError(f"model: made a {type(model).__name__}, but {asked.experiment.type} needs a SetModel")
    return model


def outside(node: Foreign, arguments: dict[str, Any], seed: int) -> SetModel:
    """Return what a user's function makes: a network, or one with an autoencoder beside it.

    Raises:
        ConfigError: If it makes neither.
    """
    made = made_outside(node, arguments, seeds.torch_rng(seed, "model"), seed, Builds.name)
    if isinstance(made, SetModel):
        return made
    if isinstance(made, nn.Module):
        return SetModel(made, name=node.target)
    raise ConfigError(f"model: {node.target} made a {type(made).__name__}; builds need a torch.nn.Module or a SetModel")


def restored(asked: Asked, source: Trained, arguments: dict[str, Any]) -> SetModel:
    """Return the model that a training run published, at the chosen checkpoint.

    Raises:
        ConfigError: If the run trained no set model.
        CheckpointError: If what it kept does not fit.
    """
    node, published = source.architecture, source.epoch_state(chosen(asked, source).epoch)
    if isinstance(node, Restores):
        return node.restore(published, **arguments, name=source.label)
    if not isinstance(node, Foreign) or not isinstance(published.get("model"), Mapping):
        raise ConfigError(f"model: {source.label} trained no model of sets")
    made = outside(node, arguments, source.network_seed)
    fit_state(made.network, published["model"])
    kept = published.get("sae")
    sae = made.sae if kept is None else sae_from_state(kept, clamp=published.get("sae_clamp"), where=source.label)
    return replace(made, sae=sae, name=source.label)


def chosen(asked: Asked, source: Trained) -> Checkpoint:
    """Return the checkpoint that an experiment on sets works on: one, also where all are asked for."""
    choice = asked.checkpoint if asked.checkpoint != "all" else "peak_val"
    (found,) = source.checkpoints().select(choice)
    return found
