"""The variables of the circuit metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.tokens._circles import Circles
from paribus.experiments.tokens._endpoints import CIRCUIT
from paribus.experiments.told import Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class CircuitMetrics(Circles):
    """Describes how a network adds: what its logits depend on, how round its embedding is, what each circle computes.

    Formulas: Zhong et al. 2023, arXiv 2306.17844.

    Example:
        >>> CircuitMetrics(n_triples=50).least_times
        2.0
    """

    type: ClassVar[str] = "circuit_metrics"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Tells the clock from the pizza: logits, gradients and circles of a network that adds."
    needs: ClassVar[tuple[str, ...]] = ("data", "model")
    declares: ClassVar[tuple[Endpoint, ...]] = CIRCUIT
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Distance irrelevance {distance_irrelevance:.3f}, gradient symmetricity "
            "{gradient_symmetricity:.3f}, circularity {circularity:.3f}; accuracy {accuracy:share} of all "
            "pairs."
        ),
        Sentence(
            "The best circle explains a fraction of {best_clock:.3f} of the logits' variance as a clock, "
            "{best_pizza:.3f} as a pizza."
        ),
        Sentence(
            "All pairs there are were looked at, so there is no p: other training runs tell how far this repeats."
        ),
    )

    n_triples: int = field(100, low=1, help="Triples of two numbers and an answer for the gradients.")
