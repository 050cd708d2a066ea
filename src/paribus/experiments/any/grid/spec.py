"""All combinations of two factors' levels on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import Paired, endpoint
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.told import Effects, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Grid(Paired):
    """Measure two factors together, and how far their joint effect differs from the sum of each alone.

    A factor of the inputs comes first; two that edit activations must do so at the same place.

    Example:
        >>> from paribus.factors.spec import Directions
        >>> Grid(place="encoder.2", factor=Directions(), other=Directions(method="random")).type
        'grid'
    """

    type: ClassVar[str] = "grid"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Two factors' levels together, and what both do beyond the sum of each, on any network."
    varied: ClassVar[tuple[str, ...]] = ("factor", "other")
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("grid")
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "change of {readout} at the combination against {baseline}", null="{null}"),
        Effects("interactions", "{level}", "{readout} beyond the sum of each alone", null="{null}"),
    )

    factor: Any = field(help="The first factor (factor@experiment.factor=NAME).")
    other: Any = field(help="The second factor (factor@experiment.other=NAME).")
