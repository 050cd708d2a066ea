"""The minimal sets of units that keep the readout, on any network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.any.generic import Generic, endpoint
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.effect_vector import WithoutEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field

LESS = "a core keeps as much as there is; of {} less is better"


@dataclass(frozen=True, kw_only=True)
class Cores(Generic, WithoutEffectVector):
    """Which of the strongest units alone keep the readout? Every subset of them is measured in every context.

    Example:
        >>> from paribus.factors.spec import Units
        >>> Cores(place="encoder.2", factor=Units()).n_units
        6
    """

    type: ClassVar[str] = "cores"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "The smallest sets of units that keep the readout, over all subsets, on any network."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    refused: ClassVar[Mapping[str, str]] = {kind: LESS.format(kind) for kind in ("loss", "kl")}
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("cores")
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "change of {readout} without the unit", null="{null}"),
        Sentence(
            "Sets of {factor} that alone keep {readout}: {n_named} are named, in {n_contexts_with_cores} "
            "contexts that have any."
        ),
        Sentence("The most frequent: {core}, in {share:share} of these contexts (cores).", table="cores"),
    )
    no_vector: ClassVar[str] = (
        "which sets are cores differs from context to context, "
        "so that halves share no entries; validate ablate of the same units"
    )

    factor: Any = field(help="The units (factor@experiment.factor=units|heads|...).")
    n_units: int = field(6, low=1, high=12, help="How many of the strongest units are looked at; all others stay.")
    threshold: float = field(
        0.7, above=0.0, high=1.0, help="Share of what these units do to the readout that a core keeps."
    )
    robust: bool = field(True, help="Whether every larger set must keep it too.")
    least_share: float = field(0.1, above=0.0, high=1.0, help="Share of contexts from which on a core is named.")
