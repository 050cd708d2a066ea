"""The feature under study: one of many columns, read at a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from paribus.measure.nulls import NullFeatures
from paribus.measure.readout import Columns, FeatureReadout


@dataclass(frozen=True, eq=False)
class Reader:
    """The feature under study.

    Attributes:
        name: What to call it, e.g. ``latent 12``.
        columns: All features of its kind.
        row: Its place among them.
        place: Where it is read; empty for the network's output.
        latent: Its id in the autoencoder; None for other kinds.
        by_position: Whether it is read at each position of a place that has several, and the mean taken of that.

    Example:
        >>> from paribus.features.columns import Units
        >>> Reader("unit 2", Units(8), 2, "encoder.0").readout().names
        ('f', 'z')
    """

    name: str
    columns: Columns
    row: int
    place: str = ""
    latent: int | None = None
    by_position: bool = False

    def readout(self, nulls: NullFeatures | None = None) -> FeatureReadout:
        """Return what an executor reads: activation and pre-activation, and ``nulls`` from the same passes."""
        return FeatureReadout(self.columns, self.row, place=self.place, nulls=nulls, by_position=self.by_position)


@runtime_checkable
class Feature(Protocol):
    """What an option of the ``feature`` group can do, whatever its class.

    Example:
        >>> from paribus.features.unit import Unit
        >>> isinstance(Unit(id=0), Feature)
        True
    """

    def reader(self, network: Any, generator: torch.Generator) -> Reader:
        """Return the feature of a network, with its place and all others of its kind."""
