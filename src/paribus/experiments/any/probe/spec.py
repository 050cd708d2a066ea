"""How well a linear probe reads label or domain at some places of any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.errors import ConfigError
from paribus.experiments.any.generic import Generic, endpoint
from paribus.experiments.effect_vector import WithoutEffectVector
from paribus.experiments.told import Effects, Told
from paribus.factors.spec import TARGETS
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Probe(Generic, WithoutEffectVector):
    """Fit linear probes on some clusters, score them on others; decodable information need not be used.

    Example:
        >>> Probe().type
        'probe'
    """

    type: ClassVar[str] = "probe"
    version: ClassVar[int] = 4
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    summary: ClassVar[str] = "Linear probes of label and domain at places of any network (observational)."
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint("probe")
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("effects", "{level}", "balanced accuracy of the probe above chance", null="{null}"),
    )
    no_vector: ClassVar[str] = (
        "a probe is fitted to classes, "
        "and flipped signs are not its chance level; its own table has a null of permuted classes"
    )

    places: list[str] = field([], once=0, help="The places, a row each; empty: experiment.place.")
    targets: list[str] = field(["label"], once=1, choices=TARGETS, help="What is read.")
    n_controls: int = field(20, low=0, help="Probes of permuted classes at each place (at most stats.n_null).")

    def at(self) -> list[str]:
        """Return the places."""
        return self.places or [self.place]

    def check(self) -> None:
        """Refuse a readout."""
        super().check()
        if self.readout != "auto":
            raise ConfigError(f"Probe.readout: a probe reads its targets, not {self.readout}")
