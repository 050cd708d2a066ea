"""A latent of an autoencoder at a place set to stated values, with nulls of three kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.replacements import SetFeature
from paribus.factors._vectors import edits_at
from paribus.features.columns import Latents
from paribus.measure.design import Design
from paribus.measure.factor import ActFactor
from paribus.measure.place import Place

Setter = Callable[[str, float], SetFeature]
"""From the name of a level and the value of the latent under study to the edit that sets another latent likewise."""
Setters = Callable[[int, np.random.Generator], Sequence[Setter]]
"""Draws others."""


@dataclass(frozen=True)
class LatentLevel:
    """What a latent is set to, and where.

    Attributes:
        name: ``zero``, ``mean``, ``max`` or another name.
        value: The activation.
        place: Where, with the positions.
        label: What it is called.
    """

    name: str
    value: float
    place: Place
    label: str


@dataclass(frozen=True, eq=False)
class LatentLevels(ActFactor):
    """A latent set to some values.

    Attributes:
        latent: Its number.
        columns: All latents of the autoencoder.
        levels: What it is set to; the first level is the latent as it is.
        like: Draws other latents that are set alike: the null.
        further: Draws those of further nulls, by what they are.
    """

    latent: int
    columns: Latents
    levels: tuple[LatentLevel, ...]
    like: Setters
    further: Mapping[str, Setters]
    name: str = "latent"
    null_name: str = "latents of like firing rate"

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """``as it is``, then the levels."""
        return ("as it is", *(level.label for level in self.levels))

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site."""
        return (str(self.levels[0].place.site),)

    def acts(self, columns: Ints) -> Sequence[Intervention]:
        """Return the settings."""
        setter = self.columns.setter
        return [Identity(), *(one.place.within(setter(self.latent, one.value), columns) for one in self.levels)]

    def null_design(self, n_null: int, rng: np.random.Generator) -> Design | None:
        """Return the same settings of other latents."""
        return self._design(self.like(n_null, rng), self.null_name)

    def further_nulls(self, n_null: int, rng: np.random.Generator) -> Mapping[str, Design]:
        """Return the same settings of the latents of further nulls, by what they are."""
        made = {name: self._design(draw(n_null, rng), name) for name, draw in self.further.items()}
        return {name: design for name, design in made.items() if design is not None}

    def _design(self, setters: Sequence[Setter], description: str) -> Design | None:
        edits = [(one.place, setter(one.name, one.value)) for one in self.levels for setter in setters]
        return edits_at(edits, description) if edits else None


def in_random_directions(columns: Latents, latent: int, n_null: int, rng: np.random.Generator) -> Sequence[Setter]:
    """Return what changes by the same amount as a latent in every context, along random directions."""
    drawn = torch.from_numpy(rng.standard_normal((n_null, columns.sae.width)))

    def setter(direction: torch.Tensor) -> Setter:
        def made(_: str, value: float) -> SetFeature:
            own = columns.setter(latent, value)
            return replace(own, decoder=direction.to(own.decoder) * own.decoder.norm())

        return made

    return [setter(one) for one in torch.nn.functional.normalize(drawn, dim=1)]
