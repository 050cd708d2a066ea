"""Which tokens go together with a high activation, and which of them really move it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import NECESSITY, SUFFICIENCY
from paribus.experiments.builds._high_group import check_fraction
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.battery import Battery
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class TokenInfluenceSweep(WithEffectVector, BuildExperiment):
    """Log-odds of every token among the most active contexts, with the effect of actually setting it.

    Example:
        >>> TokenInfluenceSweep(unit="family").unit
        'family'
    """

    type: ClassVar[str] = "token_influence_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    vector_evidence: ClassVar[Evidence | None] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Log-odds of every token at high activation, beside the effect of setting it."
    bears_on: ClassVar[tuple[str, ...]] = (
        NECESSITY,
        SUFFICIENCY,
    )
    battery: ClassVar[Battery | None] = Battery("influence", ("token",))
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("influence", "{token}", "change of the activation by the token", null="like features"),
        Sentence("Goes along with high activation, and an effect that counts is excluded: {only_correlated:list}."),
        Effects(
            "all_tokens",
            "{token}",
            "log-odds of the token at high activation, as observed",
            "log_odds",
            "log_odds_adj_{}",
        ),
    )

    unit: str = field("token", choices=("token", "family"), help="What is looked at: single tokens, or families.")
    high_quantile: float = field(0.995, help="Quantile of the activation above which a context is high (a fraction).")
    min_count: int = field(5, low=1, help="Least contexts that hold a unit for its log-odds to be reported.")
    influence_contexts: int = field(300, low=1, help="Contexts in which every unit is really set.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of tokens or families."""
        return len(self.work_module().units_of(self, setup))

    def check(self) -> None:
        """Check that the quantile is a fraction.

        Raises:
            ConfigError: If it is a percent or outside (0, 1).
        """
        check_fraction("experiment.high_quantile", self.high_quantile)
