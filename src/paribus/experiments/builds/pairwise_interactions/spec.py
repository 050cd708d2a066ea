"""What pairs and triples of tokens or families do to a feature beyond the sum of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.builds.interaction_experiment import InteractionExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class PairwiseInteractions(InteractionExperiment):
    """Take two (or three) candidates away in every context, put them back in all combinations, and compare.

    Example:
        >>> PairwiseInteractions(candidates=["SSU", "QR"]).method
        'second_difference'
    """

    type: ClassVar[str] = "pairwise_interactions"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Pairs and triples: synergy, redundancy, third order, or only the output's nonlinearity."
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "interactions",
            "{token_a} x {token_b}",
            "interaction of the pair",
            "interaction_activation",
            null="like features",
        ),
        Sentence(
            "Of the pairs {n_synergy} are synergies, {n_redundancy} redundancies, {n_output_nonlinearity} "
            "only the nonlinearity of the output, {n_third_order} of third order."
        ),
    )

    method: str = field(
        "second_difference",
        choices=("second_difference", "sii"),
        help="Second differences with both removed as base, or Shapley interactions of what contexts show.",
    )
    triples: bool = field(True, help="Whether third differences of all triples of up to 12 candidates are measured.")
