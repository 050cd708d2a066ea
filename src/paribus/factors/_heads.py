"""Attention heads of several layers as units, each of which can be ablated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AblateUnits
from paribus.engine.parts import Together
from paribus.engine.replacements import Graft
from paribus.engine.short_names import layer_of
from paribus.errors import ConfigError
from paribus.factors._alike import Donors, donors_at, refuse_without_donor
from paribus.factors._vectors import on_contexts, vectors
from paribus.measure.executor import Executor
from paribus.measure.factor import ActUnits, of_like_strata
from paribus.measure.place import Place, heads_at
from paribus.measure.subject import Subject

MOST_DONORS = 64
"""Contexts whose values are kept for resampling, of every layer."""


@dataclass(frozen=True, eq=False)
class LayeredHeads(ActUnits):
    """The heads of several layers.

    Attributes:
        places: The bound place of each layer.
        heads: Layer (place in ``places``) and number of each head.
        size: Channels of a head.
        ablation: ``zero``, ``mean`` or ``resample``.
        rng: Draws donors.
        means: Mean of each channel, by layer.
        donated: Values of contexts fitted on, by layer, for ``resample``.
        matched: Whether random sets have as many heads in each layer; if not, heads of any layer.
        numbers: Number of the layer of each place.
    """

    places: tuple[Place, ...]
    heads: tuple[tuple[int, int], ...]
    size: int
    ablation: str
    rng: np.random.Generator
    means: tuple[Floats, ...] = ()
    donated: tuple[Donors, ...] = ()
    matched: bool = True
    numbers: tuple[int, ...] = ()
    name: str = "heads"
    null_name: str = "random heads of the same layers"

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """``L18H6``, ..."""
        return tuple(f"L{self.layer(index)}H{number}" for index, number in self.heads)

    @property
    def where(self) -> Mapping[str, Sequence[int]]:
        """Layer and number of each head."""
        return {"layer": [self.layer(index) for index, _ in self.heads], "head": [number for _, number in self.heads]}

    def layer(self, index: int) -> int:
        """Return the number of the layer of a place."""
        return self.numbers[index]

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site of every layer."""
        return tuple(str(place.site) for place in self.places)

    def fit(self, executor: Executor, rows: Ints) -> LayeredHeads:
        """Return the same heads with means and donors of contexts ``rows``."""
        if self.ablation == "zero":
            return self
        if self.ablation == "mean":
            return replace(self, means=self._means(executor, rows))
        return replace(self, donated=donors_at(self.places, rows, MOST_DONORS, self.rng, executor))

    def check_rows(self, subject: Subject, reported: Ints, fit: Ints) -> None:
        """Refuse contexts without a donor of as many positions."""
        if self.ablation == "resample":
            refuse_without_donor(self.places[0], subject, reported, fit, MOST_DONORS)

    def _means(self, executor: Executor, rows: Ints) -> tuple[Floats, ...]:
        if any(place.at_some for place in self.places):
            return tuple(vectors(executor, place, rows).mean(0) for place in self.places)
        found = executor.vectors_at(self.sites, rows)
        return tuple(found[site].mean(0) for site in self.sites)

    def like(self, off: Bools, n_null: int, rng: np.random.Generator) -> list[Ints]:
        """Return for each set random ones with as many heads in each layer (of all, if not matched), none its own."""
        layers = np.array([index if self.matched else 0 for index, _ in self.heads])
        return of_like_strata(off, layers, np.ones(len(layers), bool), n_null, rng)

    def remove(self, off: Bools, columns: Ints) -> Intervention:
        """Return what sets the heads ``off [k]`` in contexts ``columns``."""
        by_layer: dict[int, list[int]] = {}
        for one in np.flatnonzero(off):
            index, number = self.heads[one]
            by_layer.setdefault(index, []).extend(range(number * self.size, (number + 1) * self.size))
        layers = range(len(self.places))
        edits = (self._edit(layer, by_layer[layer], columns) if layer in by_layer else None for layer in layers)
        return Together.at_sites(tuple(edits))

    def _edit(self, index: int, channels: list[int], columns: Ints) -> Intervention:
        place, wanted = self.places[index], torch.tensor(channels)
        if self.ablation == "zero":
            return place.within(AblateUnits(wanted), columns)
        if self.ablation == "mean":
            if not self.means:
                raise ConfigError("factor heads: ablation=mean must be fitted before it is used")
            return place.within(AblateUnits(wanted, torch.from_numpy(self.means[index]).float()), columns)
        if not self.donated:
            raise ConfigError("factor heads: ablation=resample must be fitted before it is used")
        return place.within(Graft(wanted, self.donated[index].to(columns)[:, wanted]), columns)


def layered(texts: Sequence[str], executor: Executor, ablation: str, rng: np.random.Generator) -> LayeredHeads:
    """Return the heads at several places, in the order of the layers.

    Raises:
        ConfigError: If a place does not exist, is a part of the channels, or holds no whole heads.
    """
    found = [on_contexts(Place.parse(text), executor) for text in texts]
    if any(place.channels is not None or place.heads is not None for place in found):
        raise ConfigError(f"experiment.place={texts[0]}: is a part of the heads; leave head and channel out")
    heads: list[tuple[int, int]] = []
    sizes = set()
    widths = executor.vectors_at([str(place.site) for place in found], np.arange(1))
    for index, place in enumerate(found):
        width, n_heads = widths[str(place.site)].shape[1], heads_at(executor.network, place.site)
        if width % n_heads:
            raise ConfigError(f"experiment.place={texts[index]}: {width} channels are no {n_heads} whole heads")
        sizes.add(width // n_heads)
        heads += [(index, number) for number in range(n_heads)]
    if len(sizes) > 1:
        raise ConfigError(f"experiment.place: heads of {len(sizes)} sizes; name layers of one size")
    known = [layer_of(str(place.site), executor.network) for place in found]
    numbers = tuple(index if number is None else number for index, number in enumerate(known))
    return LayeredHeads(tuple(found), tuple(heads), sizes.pop(), ablation, rng, numbers=numbers)
