"""Which latents of which autoencoder a request is about, and where they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from paribus.engine.short_names import place as one_place
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.any.generic import AUTO
from paribus.experiments.any.latent_intervention.spec import LatentIntervention
from paribus.experiments.setup import NetworkSetup
from paribus.factors._vectors import on_contexts
from paribus.features.columns import Latents
from paribus.measure.executor import Executor
from paribus.measure.place import Place


@dataclass(frozen=True)
class Target:
    """Which latents are set, and where.

    Attributes:
        latents: Their numbers.
        columns: All latents of the autoencoder.
        place: Where it reads, with the positions that are meant.
    """

    latents: tuple[int, ...]
    columns: Latents
    place: Place


def target(experiment: LatentIntervention, setup: NetworkSetup, executor: Executor) -> Target:
    """Return the latents and where they are.

    Raises:
        ConfigError: If none is named, the network has no autoencoder there or not so many latents, or the place names
            a part of the channels.
        CheckpointError: If a file is missing or unsafe, or reads another width.
    """
    readable = setup.readable(executor)
    site, part = None, None
    if experiment.place != AUTO:
        named_place = Place.parse(one_place(experiment.place, executor.network))
        if named_place.channels is not None or named_place.heads is not None:
            raise ConfigError(f"experiment.place={experiment.place}: an autoencoder reads all channels; name pos only")
        part = on_contexts(named_place, executor)
        site = readable.own_site(str(named_place.site)) or str(named_place.site)
    ids = tuple(experiment.latents)
    if ids:
        reader = readable.latent(0, site=site, path=experiment.path, clamp=experiment.clamp)
    elif setup.feature is None:
        raise ConfigError("experiment.latents: name the latents that are set, or say feature=latent feature.id=N")
    else:
        reader = setup.feature.reader(readable, setup.torch_rng("feature"))
        ids = (reader.row,)
    columns = reader.columns
    if not isinstance(columns, Latents):
        raise ConfigError(f"experiment.latents: the feature {reader.name} is no latent; name the latents that are set")
    if not experiment.latents and site is not None and Site.parse(site) != Site.parse(reader.place):
        raise ConfigError(f"experiment.place={experiment.place}: the feature {reader.name} is read at {reader.place}")
    if max(ids) >= columns.size:
        last = columns.size - 1
        raise ConfigError(
            f"experiment.latents: the autoencoder has {last + 1} latents, numbered 0 to {last}, got {max(ids)}"
        )
    there = Site.parse(reader.place)
    return Target(ids, columns, Place(there) if part is None else replace(part, site=there))
