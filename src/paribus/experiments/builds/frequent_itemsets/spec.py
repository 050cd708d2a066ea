"""Which sets of gear occur together where a feature is high, and what inserting them really does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.builds._high_group import check_fraction
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class FrequentItemsets(WithEffectVector, BuildExperiment):
    """Mine closed sets of rungs by their support in all contexts, and compare high contexts with the rest.

    Example:
        >>> FrequentItemsets(confirm=True).confirm
        True
    """

    type: ClassVar[str] = "frequent_itemsets"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Sets of gear enriched where the feature is high; confirm=true inserts them."
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("itemsets", "{itemset}", "lift where the feature is high", "lift", "lift_adj_{}", reference=1.0),
        Effects("confirmed", "{itemset}", "change of the activation when the set is inserted", null="like features"),
    )

    high_quantile: float = field(0.9, help="Contexts from this quantile of the activation on are high (a fraction).")
    min_support: float = field(0.02, above=0.0, below=1.0, help="Least share of all contexts that hold a set.")
    max_size: int = field(3, low=1, high=6, help="Most families in a set.")
    max_itemsets: int = field(500, low=1, help="Sets tested at most, those of largest support first.")
    alternative: str = field(
        "two-sided", choices=("two-sided", "greater", "less"), help="Enriched or depleted, enriched, or depleted."
    )
    unit: str = field(
        "block", choices=("block", "row"), help="What is permuted: whole source builds, or one context of each."
    )
    top: int = field(20, low=1, help="Sets shown in the figure, and inserted with confirm.")
    confirm: bool = field(False, help="Insert each top set into random contexts and measure the paired effect.")
    confirm_contexts: int = field(300, low=1, help="Random contexts that the top sets are inserted into.")

    def most_entries(self, setup: BuildSetup) -> int | None:
        """Return the number of sets with the largest support; None where contexts are many."""
        return len(self.work_module().vector_sets(self, setup)) if setup.few else None

    def validate(self, setup: BuildSetup) -> None:
        """Check that of few contexts enough hold a set.

        Raises:
            ConfigError: If none is frequent enough.
        """
        if setup.few:
            self.work_module().frequent(self, setup)

    def check(self) -> None:
        """Check that the quantile is a fraction."""
        check_fraction("experiment.high_quantile", self.high_quantile)
