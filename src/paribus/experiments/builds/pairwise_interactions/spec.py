"""B5: what pairs and triples of tokens or families do to a feature beyond the sum of their parts."""

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
class PairwiseInteractions(WithEffectVector, BuildExperiment):
    """Take two (or three) candidates away in every context, put them back in all combinations, and compare.

    Example:
        >>> PairwiseInteractions(candidates=["SSU", "QR"]).method
        'second_difference'
    """

    type: ClassVar[str] = "pairwise_interactions"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "pairs and triples: synergy, redundancy, third order, or only the output's nonlinearity"
    work: ClassVar[str] = "paribus.experiments.builds.pairwise_interactions.work"

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
    method: str = field(
        "second_difference",
        choices=("second_difference", "sii"),
        help="Second differences with both removed as base, or Shapley interactions of what contexts show.",
    )
    triples: bool = field(True, help="Whether third differences of all triples of up to 12 candidates are measured.")

    def validate(self, setup: BuildSetup) -> None:
        """Look up the candidates that are named before anything is run.

        Raises:
            ConfigError: If one is unknown, or the method cannot take it.
        """
        self.work_module().validate(self, setup)
