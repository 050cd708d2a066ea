"""One page about one feature: what drives it, how sure that is, and what is only correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class FeatureReport(Experiment):
    """Put together what the steps before found about one feature; it measures nothing itself.

    Example:
        >>> FeatureReport(top=5).top
        5
    """

    type: ClassVar[str] = "feature_report"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "results"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "One page about one feature, from the steps of a study before it."
    needs: ClassVar[tuple[str, ...]] = ("feature",)

    top: int = field(12, low=1, help="Rows of the tables of tokens, weapons and pairs that are drawn or listed.")
    min_effect: float = field(0.1, low=0.0, help="Least effect that counts, in sd of the feature.")
