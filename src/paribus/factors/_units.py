"""Units and heads: groups of channels that are kept or ablated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AblateUnits
from paribus.engine.replacements import Graft
from paribus.engine.short_names import places
from paribus.errors import ConfigError
from paribus.factors import spec
from paribus.factors._alike import Donors, donors_at, refuse_without_donor
from paribus.factors._heads import LayeredHeads, layered
from paribus.factors._vectors import bound_place, chosen, vectors
from paribus.measure.binding import Binding
from paribus.measure.executor import Executor
from paribus.measure.factor import ActUnits, Units
from paribus.measure.place import Place, heads_at
from paribus.measure.subject import Subject

MOST_DONORS = 256
"""Contexts whose values are kept for resampling."""


@dataclass(frozen=True, eq=False)
class Channels(ActUnits):
    """Groups of channels at a place.

    Attributes:
        place: The bound place.
        groups: Channels of each unit, counted among those of the place.
        names: Their names.
        name: What they are together.
        ablation: ``zero``, ``mean`` or ``resample``.
        everything: Groups that random ones are drawn from, these among them.
        rng: Draws donors.
        mean: Mean of each channel of the place ``[d]`` over the contexts fitted on.
        sizes: Mean absolute activation of each group of ``everything``.
        donated: Values of contexts fitted on, for ``resample``.
    """

    place: Place
    groups: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    name: str
    ablation: str
    everything: tuple[tuple[int, ...], ...]
    rng: np.random.Generator
    mean: Floats | None = None
    sizes: Floats | None = None
    donated: Donors | None = None
    null_name: str = "random units of like activation"

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]
        """The site of the place."""
        return (str(self.place.site),)

    def fit(self, executor: Executor, rows: Ints) -> Channels:
        """Return the same units with means, sizes and donors of contexts ``rows``."""
        h = vectors(executor, self.place, rows)
        size = np.abs(h).mean(0)
        donated = None
        if self.ablation == "resample":
            (donated,) = donors_at((self.place,), rows, MOST_DONORS, self.rng, executor)
        sizes = np.array([size[list(group)].mean() for group in self.everything])
        return replace(self, mean=h.mean(0), sizes=sizes, donated=donated)

    def pool(self) -> tuple[Units, Ints, Floats]:
        """Return all groups of the place, the places of these among them, and their mean absolute activation."""
        where = {group: index for index, group in enumerate(self.everything)}
        own = np.array([where[group] for group in self.groups], np.int64)
        names = tuple(str(index) for index in range(len(self.everything)))
        sizes = np.zeros(len(self.everything)) if self.sizes is None else self.sizes
        return replace(self, groups=self.everything, names=names), own, sizes

    def remove(self, off: Bools, columns: Ints) -> Intervention:
        """Return what sets the channels of the units ``off [k]`` in contexts ``columns``."""
        channels = torch.tensor([c for index in np.flatnonzero(off) for c in self.groups[index]], dtype=torch.int64)
        if self.ablation == "zero":
            return self.place.within(AblateUnits(channels), columns)
        if self.mean is None:
            raise ConfigError(f"factor {self.name}: ablation={self.ablation} must be fitted before it is used")
        if self.donated is None:
            return self.place.within(AblateUnits(channels, torch.from_numpy(self.mean).float()), columns)
        return self.place.within(Graft(channels, self.donated.to(columns)[:, channels]), columns)

    def check_rows(self, subject: Subject, reported: Ints, fit: Ints) -> None:
        """Refuse contexts without a donor of as many positions."""
        if self.ablation == "resample":
            refuse_without_donor(self.place, subject, reported, fit, MOST_DONORS)


def bind(factor: spec.Units | spec.Heads, to: Binding) -> Channels | LayeredHeads:
    """Return the units of a place, or the heads of several.

    Raises:
        ConfigError: If the place or a unit does not exist.
    """
    texts = places(to.place, to.executor.network)
    if isinstance(factor, spec.Heads) and len(texts) > 1:
        if factor.ids or factor.n_heads:
            raise ConfigError(f"experiment.factor.ids: {to.place} names {len(texts)} layers; ids are of one layer")
        return layered(texts, to.executor, factor.ablation, to.rng)
    place = bound_place(to.place, to.executor)
    width = len(place.channels) if place.channels is not None else to.executor.width(str(place.site))
    if isinstance(factor, spec.Heads):
        n_heads = factor.n_heads or heads_at(to.executor.network, place.site)
        if place.channels is not None or width % n_heads:
            raise ConfigError(f"experiment.place={to.place}: {width} channels are no {n_heads} whole heads")
        size = width // n_heads
        everything = tuple(tuple(range(head * size, (head + 1) * size)) for head in range(n_heads))
        what, null_name = "head", "random heads of like activation"
    else:
        everything = tuple((channel,) for channel in range(width))
        what, null_name = "unit", "random units of like activation"
    ids = chosen(factor.ids, len(everything), what, place)
    return Channels(
        place=place,
        groups=tuple(everything[one] for one in ids),
        names=_names(ids, what, place),
        name=f"{what}s of {to.place}",
        ablation=factor.ablation,
        everything=everything,
        rng=to.rng,
        null_name=null_name,
    )


def _names(ids: Sequence[int], what: str, place: Place) -> tuple[str, ...]:
    own = place.channels
    return tuple(f"{what} {one if own is None or what == 'head' else own[one]}" for one in ids)
