"""B6: whether a third family, token or weapon changes how pairs interact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class ConditionalInteractions(WithEffectVector, BuildExperiment):
    """Measure how pairs interact with the modulator absent and present, in the same contexts.

    Example:
        >>> ConditionalInteractions(modulator="sub_power_up").modulator
        'sub_power_up'
    """

    type: ClassVar[str] = "conditional_interactions"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "whether a family, token or weapon changes how pairs interact"
    work: ClassVar[str] = "paribus.experiments.builds.conditional_interactions.work"

    modulator: str = field(
        help="A family, token or weapon by name, or weapon_class:NAME; absent weapon: the mean over reference weapons."
    )
    candidates: list[str] | None = field(
        None,
        help="Tokens or families, by name or abbreviation, weapon:NAME or weapon_class:NAME; null: the families with "
        "the largest single effects.",
    )
    n_candidates: int = field(8, low=2, high=16, help="How many families are chosen where none are given.")
    rung: int | None = field(
        None,
        low=1,
        help="AP that families are set to; null: the median rung that the corpus shows of each, or, for one that is "
        "chosen and does next to nothing there, the lowest at which it acts.",
    )
    n_reference_weapons: int = field(20, low=1, help="Weapons that stand for another weapon than the modulator.")

    def validate(self, setup: BuildSetup) -> None:
        """Look up the modulator and the candidates that are named before anything is run.

        Raises:
            ConfigError: If one is unknown, or they cannot be crossed.
        """
        self.work_module().validate(self, setup)
