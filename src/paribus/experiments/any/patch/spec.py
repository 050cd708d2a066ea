"""The value at a place from another context, one place after the other, on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.any.generic import Paired, endpoint
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.effect_vector import Promised
from paribus.experiments.told import Effects, Told
from paribus.factors.spec import Patch as PatchFactor
from paribus.factors.spec import PatchAlong
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Patch(Paired):
    """Replace the value at a place by a donor's, and measure how far the readout moves to the donor's.

    Patches of single places need not add up.

    Example:
        >>> from paribus.factors.spec import Patch as Donors
        >>> Patch(places=["encoder.2", "encoder.5"], factor=Donors()).at()
        ['encoder.2', 'encoder.5']
    """

    type: ClassVar[str] = "patch"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Values of other contexts patched in at each place, against random donors."
    varied: ClassVar[tuple[str, ...]] = ("factor",)
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("patch")
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}, {direction}", "change of {readout} with the donor's value", null="{null}"),
    )

    factor: Any = field(help="Where the values come from (factor@experiment.factor=patch).")
    places: list[str] = field([], once=0, help="The places, a row each; empty: experiment.place.")
    both: bool = field(True, help="With pairs of two splits: whether to patch both ways.")
    n_donors: int = field(20, low=0, help="Draws of donors at random for each place (at most stats.n_null).")

    def at(self) -> list[str]:
        """Return the places."""
        return self.places or [self.place]

    def check(self) -> None:
        """Refuse another factor."""
        super().check()
        if not isinstance(self.factor, PatchFactor):
            raise ConfigError(f"Patch.factor: {type(self.factor).__name__} has no donors; use factor=patch")

    def promised_vector(self, setup: Any) -> Promised:
        """Return how many rows and clusters there can be.

        Raises:
            ConfigError: If directions are patched: how many parts each has is only known afterwards.
        """
        if isinstance(self.factor, PatchAlong):
            raise ConfigError("experiment.target.factor: patch_along has no vector of effects; use factor=patch")
        return super().promised_vector(setup)
