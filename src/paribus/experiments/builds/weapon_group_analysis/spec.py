"""Which weapons are more common where a feature is high than where it is low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.builds._high_group import check_fraction
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class WeaponGroupAnalysis(WithEffectVector, BuildExperiment):
    """Compare the weapons of the contexts where the feature is high with those where it is low.

    Example:
        >>> WeaponGroupAnalysis(high_quantile=0.9).high_quantile
        0.9
    """

    type: ClassVar[str] = "weapon_group_analysis"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Weapons enriched in the contexts where the feature is high against those where it is low."
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "weapon_enrichment",
            "{weapon}",
            "odds ratio where the feature is high, as observed",
            "odds_ratio",
            "odds_adj_{}",
            reference=1.0,
        ),
    )

    high_quantile: float = field(0.8, help="Contexts from this quantile of the activation on are high (a fraction).")
    low_quantile: float = field(0.5, help="Contexts up to this quantile are low (a fraction).")
    min_examples: int = field(10, low=1, help="Contexts a weapon needs in both groups together.")
    test: str = field(
        "permutation",
        choices=("permutation", "fisher"),
        help="Permutation of whole source builds, or Fisher's exact test on one random context of each.",
    )
    top_k_weapons: int = field(20, low=1, help="Weapons in the figure.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of weapons with enough contexts in the unsliced corpus."""
        return len(self.work_module().listed(self, setup))

    def check(self) -> None:
        """Check that the quantiles are fractions, the lower one below.

        Raises:
            ConfigError: If they are not.
        """
        check_fraction("experiment.high_quantile", self.high_quantile)
        check_fraction("experiment.low_quantile", self.low_quantile)
        if self.low_quantile > self.high_quantile:
            raise ConfigError(
                f"experiment.low_quantile={self.low_quantile:g} must not lie above "
                f"experiment.high_quantile={self.high_quantile:g}"
            )
