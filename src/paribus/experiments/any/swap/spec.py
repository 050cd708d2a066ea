"""Another context's level of a factor in the same context, on any network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import OWN_PARTS, VARIED, Paired, endpoint
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.told import Effects, Told
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Swap(Paired):
    """Give every context each other level of a factor, and compare with what grouping by level would show.

    Example:
        >>> from paribus.subjects.tables.factors import Donor
        >>> Swap(factor=Donor(columns=["ward"])).readout
        'auto'
    """

    type: ClassVar[str] = "swap"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Each context with the level that others show, against its own, on any network."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    refused: ClassVar[Mapping[str, str]] = {
        "kl": "say what is read; kl is a distance from one baseline, a swap has one for each context"
    }
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("swap")
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    battery: ClassVar[Battery | None] = Battery("effects", ("level",), under=VARIED, own=OWN_PARTS)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "change of {readout} with another level", null="{null}"),
    )

    factor: Any = field(help="What is swapped: a factor of the inputs whose level every context shows.")
