"""Experiments on images: data, network and the checkpoints of its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paribus import seeds
from paribus.config.foreign import Foreign
from paribus.engine.cache import FeatureCache
from paribus.errors import CheckpointError, ConfigError, DataError
from paribus.experiments.fitting import no_choice, refuse_unfit
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.setup_images import ImageSetup
from paribus.models.loading import start_from
from paribus.results.values import plain
from paribus.running.caches import load_data
from paribus.running.contents import contents, fingerprint, without_start
from paribus.running.other_data import label, refuse_changed, sentence, trained_on
from paribus.running.setup import basics
from paribus.subjects.images.overlap import overlap, unlike
from paribus.subjects.images.subject import ImageSubject
from paribus.tracking.identity import canonical, digest

if TYPE_CHECKING:
    from torch import nn

    from paribus.running.resolved import Resolved
    from paribus.subjects.images.data import ImageData
    from paribus.tracking.interface import Store

SITE_FIELDS = ("site", "sites", "layer", "layers")
AUTO = "auto"
_validated: set[str] = set()


def validate(resolved: Resolved, store: Store) -> None:
    """Load the data, build the network, and look up checkpoints and the layers that the experiment names.

    Requests that differ in nothing but their seed are looked at once in a process.

    Raises:
        ParibusError: If something is missing or does not fit.
    """
    key = _key(resolved)
    if key in _validated:
        return
    data = images(resolved)
    _refuse_unmet(resolved, data)
    model = network(resolved, data)
    for name in (f.name for f in dataclasses.fields(resolved.request.experiment)):
        if name in SITE_FIELDS:
            _check_sites(getattr(resolved.request.experiment, name), name, model)
    if resolved.source is not None and not resolved.source.planned:
        from paribus.models.loading import fit_state

        chosen = resolved.source.checkpoints().select(resolved.request.checkpoint)
        try:
            fit_state(model, dict(chosen[-1].load()))
        except CheckpointError as error:
            raise CheckpointError(f"{error}; {_what_it_saw(resolved, data)}") from None
    _refuse_training_rows(resolved, data)
    _validated.add(key)


def setup(resolved: Resolved, store: Store, *, identity: str) -> ImageSetup | NetworkSetup:
    """Load data and network; the weights of a tracked model are read when the experiment asks for them.

    A training works on the data set, every other experiment on its images as contexts.
    """
    request, source = resolved.request, resolved.source
    data = images(resolved)
    _refuse_training_rows(resolved, data)
    model = network(resolved, data)
    common = {
        **basics(resolved),
        "architecture": request.nodes["model"],
        "training": request.nodes.get("training"),
        "checkpoints": None if source is None else source.checkpoints(),
        "checkpoint": request.checkpoint,
        "cache": FeatureCache.shared(),
        "network_key": fingerprint(without_start(request.nodes["model"])),
    }
    if request.experiment.produces_model:
        return ImageSetup(data=data, model=model, **common)
    return NetworkSetup(contexts=ImageSubject(data), network=model, **common)


def notes(resolved: Resolved, setup: ImageSetup | NetworkSetup) -> tuple[str, ...]:
    """Return what the data say of themselves, and what is to be said where they are not those of the training."""
    data = setup.data if isinstance(setup, ImageSetup) else images(resolved)
    if resolved.source is None or resolved.other is None:
        return data.notes
    known, missing = trained_on(resolved.source)
    lines = [line for own in known[-1:] for line in unlike(own, data)]
    for own in known:
        if related := overlap(own, data).related:
            lines.append(f"Held-out images share clusters with training images: {_counted(related, data)}.")
    return (*data.notes, sentence(resolved), *lines, *missing)


def _refuse_unmet(resolved: Resolved, data: ImageData) -> None:
    """Check that the data have what the experiment needs, and the splits that the request names.

    Raises:
        DataError: If they have not.
        ConfigError: If a split, a class or a choice of checkpoint is named that is not there.
    """
    request = resolved.request
    called = f"data={label(request.nodes.get('data'), request.choices.get('data'))}"
    refuse_unfit(request.experiment, data.offers, request.named_fields, called)
    if resolved.source is not None and resolved.source.planned:
        refused = no_choice(request.checkpoint, data.offers, called)
        if refused is not None:
            raise ConfigError(refused)


def _refuse_training_rows(resolved: Resolved, data: ImageData) -> None:
    """Check that nothing a model was trained on is among the held-out images it is measured on.

    Raises:
        DataError: If something does, or the data that the model brings are not what they were.
    """
    source = resolved.source
    refuse_changed(resolved, data.digest)
    if source is None or resolved.other is None or data.digest == source.data_digest:
        return
    for own in trained_on(source)[0]:
        found = overlap(own, data)
        if found.same:
            raise DataError(
                f"data: the model of {source.label} was trained on images or clusters that {resolved.other} holds out "
                f"({_counted(found.same, data)}); "
                "measured there it would look better than it is. Leave data out to measure on its own held-out "
                "images, or name data that share none with its training"
            )


def _counted(counts: Mapping[str, int], data: ImageData) -> str:
    return ", ".join(f"{count} of {len(data.rows(split))} of {split}" for split, count in counts.items())


def _what_it_saw(resolved: Resolved, data: ImageData) -> str:
    """Return what a model was trained on and what it is measured on, where the two do not fit."""
    source = resolved.source
    assert source is not None
    now = label(resolved.request.nodes.get("data"), resolved.request.choices.get("data"))
    return (
        f"the model of {source.label} was trained on {label(source.data, source.options.get('data'))}, this request "
        f"measures it on {now} ({data.in_channels} channels, {data.n_classes} classes, {data.image_size} pixels)"
    )


def images(resolved: Resolved) -> ImageData:
    """Return the data set of the request.

    Raises:
        ConfigError: If none is chosen.
        DataError: If what a foreign callable returned are no images.
    """
    from paribus.subjects.images.data import ImageData

    node = resolved.request.nodes.get("data")
    if node is None:
        raise ConfigError(f"data: {resolved.request.experiment.type} needs a data set, e.g. data=digits_scanners")
    if not isinstance(node, Foreign) and not hasattr(node, "load"):
        raise ConfigError(f"data: {type(node).__name__} is no data set of images")
    data = load_data(node)
    if not isinstance(data, ImageData):
        maker = node.target if isinstance(node, Foreign) else type(node).__name__
        raise DataError(
            f"data: {maker} gave a {type(data).__name__}, but {resolved.request.experiment.type} needs "
            "paribus.subjects.images.data.ImageData"
        )
    return data


def network(resolved: Resolved, data: ImageData) -> nn.Module:
    """Return the network with its starting weights, drawn from the run's seed where no file gives them.

    That of a trained model is built as in its training: what it draws besides its weights is the same again.

    Raises:
        ConfigError: If no model is chosen, or what it makes is none.
        CheckpointError: If its file is missing, unsafe or does not fit.
    """
    from torch import nn

    node: Any = resolved.request.nodes.get("model")
    if node is None:
        raise ConfigError(f"model: {resolved.request.experiment.type} needs a model, e.g. model=small_cnn")
    shapes = {"in_channels": data.in_channels, "n_classes": data.n_classes, "image_size": data.image_size}
    source = resolved.source
    seed = resolved.request.seed if source is None else source.network_seed  # what a state dict does not hold
    generator = seeds.torch_rng(seed, "model")
    if isinstance(node, Foreign):
        import torch

        with torch.random.fork_rng(devices=[]):  # a foreign constructor draws from the global state
            torch.manual_seed(seeds.derive(seed, "model"))
            model = node.call(**shapes, generator=generator)
    elif hasattr(node, "build"):
        try:
            model = node.build(**shapes, generator=generator)
        except TypeError:
            raise ConfigError(f"model: {type(node).__name__} is no network for images; try model=small_cnn") from None
    else:
        raise ConfigError(f"model: {type(node).__name__} is no network for images")
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model: its _target_ made a {type(model).__name__}, not a torch.nn.Module")
    if isinstance(node, Foreign):
        start_from(model, node.weights, node.leave_out)
    return model


def _check_sites(value: Any, name: str, model: nn.Module) -> None:
    from paribus.engine.sites import Site

    for text in [value] if isinstance(value, str) else value or []:
        if isinstance(text, str) and text != AUTO:
            try:
                Site.parse(text).validate(model)
            except ConfigError as error:
                raise ConfigError(f"experiment.{name}: {error}") from None


def _key(resolved: Resolved) -> str:
    """Return what a request would be validated for again; a seed alone changes no name and no shape."""
    request, source = resolved.request, resolved.source
    needed = request.experiment.requires
    names = (*SITE_FIELDS, *needed.chosen, *needed.classes)
    fields = {name: getattr(request.experiment, name) for name in names if hasattr(request.experiment, name)}
    stated = {
        "type": request.experiment.type,
        "data": _stated(request.nodes.get("data")),
        "model": _stated(request.nodes.get("model")),
        "contents": [contents(request.nodes.get(group)).digest() for group in ("data", "model")],
        "fields": fields,
        "named": sorted(request.named_fields),
        "source": source.identity if source else None,
        "other": resolved.other,
        "checkpoint": request.checkpoint,
    }
    return digest({"stated": canonical(plain(stated))})


def _stated(node: Any) -> Any:
    """Return everything a node says but its seed: paths too, which belong to no identity but name other files."""
    if not dataclasses.is_dataclass(node):
        return repr(node)
    fields = {f.name: repr(getattr(node, f.name)) for f in dataclasses.fields(node) if f.name != "seed"}
    return {"class": f"{type(node).__module__}.{type(node).__qualname__}", **fields}
