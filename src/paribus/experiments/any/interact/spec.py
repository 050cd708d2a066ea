"""Whether the effects of two units add up, on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import Paired, endpoint
from paribus.experiments.told import Effects, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Interact(Paired):
    """Remove pairs of units alone and together: what does their joint presence add beyond the sum of both?

    The units are chosen on contexts whose clusters are not reported.

    Example:
        >>> from paribus.factors.spec import Units
        >>> Interact(place="encoder.2", factor=Units()).type
        'interact'
    """

    type: ClassVar[str] = "interact"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Pairs of units alone and together, against pairs of like units, on any network."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("interact")
    tells: ClassVar[tuple[Told, ...]] = (Effects("effects", "{level}", "interaction in {readout}", null="{null}"),)

    factor: Any = field(help="The units (factor@experiment.factor=units|heads|...).")
    n_units: int = field(6, low=2, high=40, help="How many of the strongest units are paired.")
    order: int = field(2, low=2, high=3, help="The largest sets: pairs, or triples too.")
