"""All features of a place: the latents of an autoencoder, or units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AblateUnits
from paribus.experiments.any._session import place_of
from paribus.experiments.any.generic import AUTO
from paribus.experiments.setup import NetworkSetup
from paribus.features.columns import Latents, Units
from paribus.measure.executor import Executor
from paribus.models.autoencoders import stated_hook
from paribus.models.lens_hooks import place_of_hook

AT_ONCE = 1024
"""Features that are read at once."""
LATENT, UNIT = "latent", "unit"


@dataclass(frozen=True)
class Surveyed:
    """All features of one kind at one place.

    Attributes:
        kind: ``latent`` or ``unit``.
        site: Where they are read.
        columns: All of them.
    """

    kind: str
    site: str
    columns: Latents | Units

    def name(self, row: int) -> str:
        """Return what a feature is called."""
        return f"{self.kind} {row}"

    def without(self, row: int) -> Intervention:
        """Return the edit that sets a feature to 0."""
        if isinstance(self.columns, Latents):
            return self.columns.setter(row, 0.0)
        return AblateUnits(torch.tensor([row]))

    def activations(self, executor: Executor, rows: Ints) -> Iterator[tuple[int, Floats]]:
        """Yield the first feature and the activations ``[n, some]`` in contexts, a part of the features at a time."""
        sae = self.columns.sae if isinstance(self.columns, Latents) else None
        if sae is not None and sae.by_position:
            for start in range(0, self.columns.size, AT_ONCE):
                features = np.arange(start, min(start + AT_ONCE, self.columns.size))
                yield start, executor.activations(self.columns, features, self.site, rows)
            return
        x = executor.vectors(self.site, rows)
        like = torch.zeros(1, dtype=torch.float64) if sae is None else sae.encoder.weight
        vectors = torch.from_numpy(x).to(like)
        with torch.inference_mode():
            for start in range(0, self.columns.size, AT_ONCE):
                some = torch.arange(start, min(start + AT_ONCE, self.columns.size), device=vectors.device)
                yield start, self.columns.read(vectors, some)[0].double().cpu().numpy()


def surveyed(setup: NetworkSetup, executor: Executor, *, place: str, path: str | None, clamp: float | None) -> Surveyed:
    """Return the features: those of the autoencoder of a file, of the network's own one there, or units.

    Args:
        setup: Has the network's own autoencoders.
        executor: Runs the network.
        place: The module whose latents are meant; ``auto``: where the network's only autoencoder reads.
        path: State dict or SAELens folder; None: the network's own.
        clamp: Upper bound of an activation.

    Raises:
        ConfigError: If the place does not exist.
        CheckpointError: If the file cannot be read safely, or reads another width.
    """
    readable = setup.readable(executor)
    own = readable.autoencoders
    if place == AUTO and path is None and len(own) == 1:
        (place,) = own
    if place == AUTO and path is not None and (hook := stated_hook(path)):
        place = place_of_hook(hook, executor.network)
    site = place_of(place, executor)
    if path is None:
        site = readable.own_site(site) or site
    if path is not None or site in own:
        columns = readable.latent(0, site=site, path=path, clamp=clamp).columns
        assert isinstance(columns, Latents)
        return Surveyed(LATENT, site, columns)
    return Surveyed(UNIT, site, Units(executor.width(site)))
