"""Latent: a feature of a sparse autoencoder set to some values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.errors import ConfigError, ExperimentError
from paribus.factors import spec
from paribus.features.columns import Latents
from paribus.features.readable import Readable
from paribus.measure.binding import Binding
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import ActFactor

AT_ONCE = 64
"""Contexts whose positions are encoded at once."""


@dataclass(frozen=True, eq=False)
class Settings(ActFactor):
    """Values of a latent.

    Attributes:
        asked: The option.
        columns: All latents of the autoencoder.
        site: Where it reads.
        top: The latent's largest activation on the contexts fitted on.
        alike: Latents of like firing rate, with the largest activation of each ``[m, 2]``.
        rng: Chooses among them.
    """

    asked: spec.Latent
    columns: Latents
    site: str
    rng: np.random.Generator
    top: float | None = None
    alike: tuple[tuple[int, float], ...] = ()
    name: str = "latent"
    null_name: str = "latents of like firing rate"

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """``as it is``, then the values."""
        return ("as it is", *(f"{value:g} of its largest" for value in self.asked.values))

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site."""
        return (self.site,)

    def fit(self, executor: Executor, rows: Ints) -> Settings:
        """Return the factor with the largest activation of the latent, and of like ones, on contexts ``rows``.

        Raises:
            ExperimentError: If it is never active there.
        """
        top, rate = self._seen(executor, rows)
        if top[self.asked.id] <= 0:
            raise ExperimentError(f"factor {self.name}: is never active on the {len(rows)} contexts it is fitted on")
        distance = np.abs(rate - rate[self.asked.id])
        others = [one for one in np.argsort(distance, kind="stable") if one != self.asked.id and top[one] > 0]
        return replace(self, top=float(top[self.asked.id]), alike=tuple((int(o), float(top[o])) for o in others))

    def _seen(self, executor: Executor, rows: Ints) -> tuple[Floats, Floats]:
        """Return the largest activation of every latent, and how often it fires, ``[F]`` each.

        That is over contexts, or over their positions, where the autoencoder reads these one by one.
        """
        sae = self.columns.sae
        top, fired, n = np.zeros(sae.n_features), np.zeros(sae.n_features), 0
        parts = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)] if sae.by_position else [rows]
        for part in parts:
            x = executor.at_positions(self.site, part) if sae.by_position else executor.vectors(self.site, part)
            with torch.inference_mode():
                f = sae.encode(torch.as_tensor(x).to(sae.encoder.weight))[0].double().cpu().numpy()
            top, fired, n = np.maximum(top, f.max(0)), fired + (f > 0).sum(0), n + len(f)
        return top, fired / n

    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the settings."""
        if self.top is None:
            raise ConfigError(f"factor {self.name}: must be fitted before it is used")
        return [Identity(), *(self.columns.setter(self.asked.id, value * self.top) for value in self.asked.values)]

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return the same settings of the latents nearest in firing rate, each in units of its own largest."""
        some = self.alike[:n_null]
        if not some:
            return None
        acts = [self.columns.setter(one, value * top) for value in self.asked.values for one, top in some]
        return Design(acts=(Identity(), *acts), n_acts=len(acts) + 1, sites=self.sites, description=self.null_name)


def bind(factor: spec.Latent, to: Binding) -> Settings:
    """Return the settings of a latent.

    Raises:
        ConfigError: If the network has no autoencoder, or not so many latents.
        CheckpointError: If the file is missing or unsafe, or reads another width.
    """
    readable: Readable = to.parts["readable"]
    reader = readable.latent(factor.id, site=factor.site, path=factor.path, clamp=factor.clamp)
    assert isinstance(reader.columns, Latents)
    return Settings(factor, reader.columns, reader.place, to.rng, name=reader.name)
