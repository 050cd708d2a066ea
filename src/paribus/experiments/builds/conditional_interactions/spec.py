"""Whether a third family, token or weapon changes how pairs interact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.builds.interaction_experiment import InteractionExperiment
from paribus.experiments.told import Effects, Told
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class ConditionalInteractions(InteractionExperiment):
    """Measure how pairs interact with the modulator absent and present, in the same contexts.

    Example:
        >>> ConditionalInteractions(modulator="sub_power_up").modulator
        'sub_power_up'
    """

    type: ClassVar[str] = "conditional_interactions"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Whether a family, token or weapon changes how pairs interact."
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "conditional_interactions",
            "{token_a} x {token_b}",
            "change of the interaction with {modulator}",
            "third_difference",
            null="like features",
        ),
    )

    modulator: str = field(
        help="A family, token or weapon by name, or weapon_class:NAME; absent weapon: the mean over reference weapons."
    )
    n_reference_weapons: int = field(20, low=1, help="Weapons that stand for another weapon than the modulator.")
