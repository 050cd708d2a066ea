"""A network on contexts of any kind: made from what its data are, looked up, never measured on training rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from paribus import seeds
from paribus.config.foreign import Foreign, parameters
from paribus.engine.cache import FeatureCache
from paribus.engine.sites import Site
from paribus.errors import CheckpointError, ConfigError, DataError
from paribus.experiments.asked import Asked, label
from paribus.experiments.base import Experiment
from paribus.experiments.fitting import no_choice, refuse_unfit
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.subject import SubjectPlugin
from paribus.experiments.train_sae import TrainSAE
from paribus.models.autoencoders import sae_from_state
from paribus.models.handed import HandedModel
from paribus.models.loading import fit_state, start_from, weights_in
from paribus.models.nets.sae import SparseAutoencoder
from paribus.results.values import plain
from paribus.spec import BuildsNetwork, is_own
from paribus.subjects.kind import Kind
from paribus.tracking.identity import canonical, digest

SITE_FIELDS = ("site", "sites", "layer", "layers")
AUTO = "auto"
_validated: set[str] = set()


class NetworkSubject(SubjectPlugin):
    """Sets up a network on the contexts of a kind of data."""

    def __init__(self, kind: Kind) -> None:
        """Take what is to be known of the kind."""
        self.kind = kind
        self.name = kind.subject

    def validate(self, asked: Asked) -> None:
        """Load the data, build the network, and look up checkpoints and the layers that the experiment names.

        Requests that differ only in their seed are checked once per process.

        Raises:
            ParibusError: If something is missing or does not fit.
        """
        kind = self.kind
        asked.experiment.suits(self.name)
        key = _key(asked)
        if key in _validated:
            return
        data = examples(kind, asked)
        _refuse_unmet(asked, data)
        model = network(kind, asked, data)
        for name in (f.name for f in dataclasses.fields(asked.experiment)):
            if name in SITE_FIELDS:
                _check_sites(getattr(asked.experiment, name), name, model)
        if asked.trained is not None and not asked.trained.planned:
            chosen = asked.trained.checkpoints().select(asked.checkpoint)
            try:
                fit_state(model, dict(chosen[-1].load()))
            except CheckpointError as error:
                raise CheckpointError(f"{error}; {_what_it_saw(kind, asked, data)}") from None
        _refuse_training_rows(kind, asked, data)
        if not _trains_anew(asked):
            setup = _on_contexts(kind, asked, data, model)
            setup.contexts.refuse_network(setup.executor())
            asked.experiment.validate(setup)
        _validated.add(key)

    def setup(self, asked: Asked) -> NetworkSetup | LabelledSetup:
        """Load data and network; the weights of a tracked model are read when the experiment asks for them.

        A training from the start works on the data set, every other experiment on its examples as contexts.
        """
        kind = self.kind
        data = examples(kind, asked)
        _refuse_training_rows(kind, asked, data)
        model = network(kind, asked, data)
        if _trains_anew(asked):
            nodes = asked.nodes
            return LabelledSetup(
                data=data, model=model, architecture=nodes["model"], training=nodes.get("training"), **asked.basics
            )
        return _on_contexts(kind, asked, data, model)

    def code(self) -> list[Any]:
        """Return the functions and classes that say how data become contexts."""
        return [part for part in vars(self.kind).values() if callable(part)]

    def notes(self, asked: Asked, setup: NetworkSetup | LabelledSetup) -> tuple[str, ...]:
        """Return what the data say of themselves, and what is to be said where they are not those of the training."""
        kind = self.kind
        data = setup.data if isinstance(setup, LabelledSetup) else examples(kind, asked)
        if asked.trained is None or asked.other is None:
            return tuple(data.notes)
        known, missing = asked.trained_data()
        lines = [line for own in known[-1:] for line in kind.unlike(own, data)]
        for own in known:
            if related := kind.overlap(own, data).related:
                lines.append(
                    f"Held-out {kind.subject} share clusters with training {kind.subject}: {_counted(related, data)}."
                )
        return (*data.notes, *asked.measured_elsewhere(), *lines, *missing)


def _trains_anew(asked: Asked) -> bool:
    return asked.experiment.produces_model and not asked.experiment.takes_trained


def _on_contexts(kind: Kind, asked: Asked, data: Any, model: nn.Module) -> NetworkSetup:
    trained = asked.trained
    setup = NetworkSetup(
        contexts=kind.contexts(data),
        network=model,
        feature=_feature(asked),
        notes=tuple(data.notes),
        digest=data.digest,
        data=data,
        architecture=asked.nodes["model"],
        training=asked.nodes.get("training"),
        checkpoints=None if trained is None or trained.planned else trained.checkpoints(),
        checkpoint=asked.checkpoint,
        cache=FeatureCache.shared(),
        network_key=asked.shared.network_key(asked.nodes["model"]),
        **asked.basics,
    )
    setup.parts.update(_autoencoders(asked, setup))
    if asked.beside is not None:
        other = examples(kind, asked.beside)
        _refuse_training_rows(kind, asked.beside, other)
        setup.beside = _on_contexts(kind, asked.beside, other, network(kind, asked.beside, other))
    return setup


def _autoencoders(asked: Asked, setup: NetworkSetup) -> dict[str, SparseAutoencoder]:
    """Return the autoencoders that were trained on the model by the site each reads; random ones for those to come.

    Raises:
        CheckpointError: If one that was kept cannot be read.
    """
    source = asked.trained
    if source is None:
        return {}
    if source.planned:
        return dict(one.stand_in(setup) for one in source.to_come if isinstance(one, TrainSAE))
    kept = source.autoencoders()
    return {one["site"]: sae_from_state(weights_in(one), clamp=None, where=source.label) for one in kept}


def _feature(asked: Asked) -> Any:
    return asked.nodes.get("feature") if "feature" in asked.experiment.needs else None


def examples(kind: Kind, asked: Asked) -> Any:
    """Return the data set of the asked.

    Raises:
        ConfigError: If none is chosen.
        DataError: If what a foreign callable returned are no such data.
    """
    node = asked.nodes.get("data")
    data = asked.load(kind.examples[0])
    if not isinstance(data, kind.data_class):
        maker = node.target if isinstance(node, Foreign) else type(node).__name__
        wanted = f"{kind.data_class.__module__}.{kind.data_class.__qualname__}"
        raise DataError(f"data: {maker} gave a {type(data).__name__}, but {asked.experiment.type} needs {wanted}")
    return data if kind.encoded is None else _as_trained(kind, asked, data)


def _as_trained(kind: Kind, asked: Asked, data: Any) -> Any:
    """Return data with their inputs as the model knows them.

    Raises:
        DataError: If what it was trained on lacks in them, or cannot be loaded any more.
    """
    assert kind.encoded is not None
    if asked.trained is None or asked.other is None:
        return data
    known, missing = asked.trained_data()
    made = kind.encoded(known[-1] if known else None, data)
    if made is None:
        raise DataError(f"data: nothing says how the model's inputs are made of a table any more. {' '.join(missing)}")
    return made


@dataclasses.dataclass
class Start:
    """A network with its starting weights, which the jobs of a process share.

    Attributes:
        network: The network.
        seed: The seed that weights of it were drawn from; None where files gave all of them.
    """

    network: nn.Module
    seed: int | None


def network(kind: Kind, asked: Asked, data: Any) -> nn.Module:
    """Return the network with its initial weights; one that is not trained is shared by the jobs of this process.

    Its files are read once. It is made anew where a training is going to change it or has changed it, and where code
    that is not ours makes it or works on it.

    Raises:
        ParibusError: As :func:`built`.
    """
    node: Any = asked.nodes.get("model")
    ours = all(is_own(type(each).__module__) for each in (node, asked.experiment)) and not isinstance(node, HandedModel)
    if not ours or isinstance(node, Foreign) or asked.trained is not None or asked.experiment.produces_model:
        return built(kind, asked, data)[0]

    def make() -> Start:
        made, drawn = built(kind, asked, data)
        return Start(made, asked.seed if drawn else None)

    stated = {"model": asked.shared.key(node), "device": asked.basics["device"], **plain(data.provided())}
    start: Start = asked.shared.model(digest({"start": canonical(stated)}), make)
    if start.seed not in (None, asked.seed):
        start.network, start.seed = built(kind, asked, data)[0], asked.seed
    return start.network


def built(kind: Kind, asked: Asked, data: Any) -> tuple[nn.Module, bool]:
    """Return the network with its starting weights, and whether any of them were drawn from the run's seed.

    That of a trained model is built as in its training: what it draws besides its weights is the same again. A maker
    gets those arguments that it takes of what the data provide (``data.provided()``) and of ``generator``.

    Raises:
        ConfigError: If no model is chosen, or what it makes is none.
        CheckpointError: If its file is missing, unsafe or does not fit.
    """
    node: Any = asked.nodes.get("model")
    if node is None:
        raise ConfigError(f"model: {asked.experiment.type} needs a model, e.g. model={kind.examples[1]}")
    provided: Mapping[str, Any] = data.provided()
    source = asked.trained
    seed = asked.seed if source is None else source.network_seed  # for what a state dict does not hold
    generator = seeds.torch_rng(seed, "model")
    untouched = generator.get_state()
    if isinstance(node, Foreign):
        model = made_outside(node, provided, generator, seed, kind.subject)
    elif isinstance(node, BuildsNetwork):
        takes, _ = parameters(node.build)
        needed = {name for name, parameter in takes.items() if parameter.default is parameter.empty}
        if lacking := sorted(needed - {*provided, "generator"}):
            raise ConfigError(
                f"model: {type(node).__name__} is no network for {kind.subject}: they give no {', '.join(lacking)}; "
                f"try model={kind.examples[1]}"
            )
        arguments = {**provided, "generator": generator}
        model = node.build(**{name: arguments[name] for name in takes if name in arguments})
    else:
        raise ConfigError(f"model: {type(node).__name__} is no network for {kind.subject}")
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model: its _target_ made a {type(model).__name__}, not a torch.nn.Module")
    if isinstance(node, Foreign):
        start_from(model, node.weights, node.leave_out)
    all_read = bool(getattr(node, "weights", None)) and not getattr(node, "leave_out", ())
    return model, not all_read and not torch.equal(generator.get_state(), untouched)


def made_outside(
    node: Foreign, provided: Mapping[str, Any], generator: torch.Generator, seed: int, subject: str
) -> Any:
    """Return what a user's function makes of what data provide; what it draws from torch's global state is seeded.

    Raises:
        ConfigError: If it needs an argument that is not there, or raises anything.
    """
    node.refuse_unprovided((*provided, "generator"), "model", subject)
    with torch.random.fork_rng(devices=[]):  # a foreign constructor draws from the global state
        torch.manual_seed(seeds.derive(seed, "model"))
        return node.call(**provided, generator=generator)


def _refuse_unmet(asked: Asked, data: Any) -> None:
    """Check that the data have what the experiment needs, and the splits that the request names.

    Raises:
        DataError: If they have not.
        ConfigError: If a split, a class or a choice of checkpoint is named that is not there.
    """
    called = f"data={asked.called}"
    refuse_unfit(asked.experiment, data.offers, asked.named_fields, called)
    if asked.trained is not None and asked.trained.planned:
        refused = no_choice(asked.checkpoint, data.offers, called)
        if refused is not None:
            raise ConfigError(refused)


def _refuse_training_rows(kind: Kind, asked: Asked, data: Any) -> None:
    """Check that nothing a model was trained on is among the held-out rows it is measured on.

    Raises:
        DataError: If something is, or the data that the model brings are not what they were.
    """
    source = asked.trained
    asked.refuse_changed(data.digest)
    if source is None or asked.other is None or data.digest == source.data_digest:
        return
    for own in asked.trained_data()[0]:
        found = kind.overlap(own, data)
        if found.same:
            raise DataError(
                f"data: the model of {source.label} was trained on {kind.subject} or clusters that {asked.other} "
                f"holds out ({_counted(found.same, data)}); "
                f"measured there it would look better than it is. Leave data out to measure on its own held-out "
                f"{kind.subject}, or name data that share none with its training"
            )


def _counted(counts: Mapping[str, int], data: Any) -> str:
    return ", ".join(f"{count} of {len(data.rows(split))} of {split}" for split, count in counts.items())


def _what_it_saw(kind: Kind, asked: Asked, data: Any) -> str:
    """Return what a model was trained on and what it is measured on, where the two do not fit."""
    source = asked.trained
    assert source is not None
    return (
        f"the model of {source.label} was trained on {label(source.data, source.options.get('data'))}, this request "
        f"measures it on {asked.called} ({kind.shape(data)})"
    )


def _check_sites(value: Any, name: str, model: nn.Module) -> None:
    for text in [value] if isinstance(value, str) else value or []:
        if isinstance(text, str) and text != AUTO:
            try:
                Site.parse(text).validate(model)
            except ConfigError as error:
                raise ConfigError(f"experiment.{name}: {error}") from None


def _key(asked: Asked) -> str:
    """Return the key under which a validation is remembered; a seed alone changes no name and no shape."""
    needed = asked.experiment.requires
    names: tuple[str, ...] = (*SITE_FIELDS, *needed.chosen, *needed.classes)
    if type(asked.experiment).validate is not Experiment.validate:  # it looks at its fields itself
        names = tuple(declared.name for declared in dataclasses.fields(asked.experiment))
    fields = {name: _plain(getattr(asked.experiment, name)) for name in names if hasattr(asked.experiment, name)}
    stated = {
        "type": asked.experiment.type,
        "data": _stated(asked.nodes.get("data")),
        "feature": _stated(_feature(asked)),
        "model": _stated(asked.nodes.get("model")),
        "contents": [asked.shared.contents(asked.nodes.get(group)) for group in ("data", "model")],
        "fields": fields,
        "named": sorted(asked.named_fields),
        "source": asked.trained.identity if asked.trained else None,
        "beside": asked.beside.trained.identity if asked.beside and asked.beside.trained else None,
        "other": asked.other,
        "checkpoint": asked.checkpoint,
    }
    return digest({"stated": canonical(plain(stated))})


def _plain(value: Any) -> Any:
    return repr(value) if dataclasses.is_dataclass(value) else value


def _stated(node: Any) -> Any:
    """Return everything a node says but its seed: paths too, which belong to no identity but name other files."""
    if not dataclasses.is_dataclass(node):
        return repr(node)
    fields = {f.name: repr(getattr(node, f.name)) for f in dataclasses.fields(node) if f.name != "seed"}
    return {"class": f"{type(node).__module__}.{type(node).__qualname__}", **fields}
