"""Units removed one by one, and the strongest together, on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import OWN_PARTS, VARIED, Paired, endpoint
from paribus.experiments.base import NECESSITY
from paribus.experiments.told import Effects, Told
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Ablate(Paired):
    """Remove units, each alone and the strongest K together, against random sets of similar units.

    The order of the units is found on contexts whose clusters are not reported.

    Example:
        >>> from paribus.factors.spec import Units
        >>> Ablate(place="encoder.2", factor=Units()).evidence.value
        'interventional'
    """

    type: ClassVar[str] = "ablate"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Units ablated alone and the strongest together, against similar units, on any network."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("ablate")
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY,)
    battery: ClassVar[Battery | None] = Battery("effects", ("level",), under=VARIED, own=OWN_PARTS)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "change of {readout} without the units", null="{null}"),
    )

    factor: Any = field(help="The units (factor@experiment.factor=units|heads|...).")
    ks: list[int] = field([2, 4, 8, 16], once=0, low=2, help="How many of the strongest are taken away together.")
    n_units: int = field(64, low=1, help="The most units that are reported each alone, the strongest first.")
