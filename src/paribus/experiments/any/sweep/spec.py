"""Sweep one factor's levels on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import OWN_PARTS, VARIED, Paired, endpoint
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.told import Effects, Told
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Sweep(Paired):
    """Measure every level of a factor against its baseline, in the same contexts.

    A level is an edit of the input (a column, a style) or of activations (a direction, an eraser, a latent).

    Example:
        >>> from paribus.factors.spec import Directions
        >>> Sweep(place="encoder.2", factor=Directions(method="mean_difference")).factors().keys()
        dict_keys(['factor'])
    """

    type: ClassVar[str] = "sweep"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Every level of one factor against its baseline, on any network and any contexts."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("sweep")
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    battery: ClassVar[Battery | None] = Battery("effects", ("level",), under=VARIED, own=OWN_PARTS)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "change of {readout} against the baseline {baseline}", null="{null}"),
        Effects("slope", "slope", "change of {readout} per unit of the dose", null="{null}"),
    )

    factor: Any = field(help="What is varied: an option of the factor group (factor@experiment.factor=NAME).")
