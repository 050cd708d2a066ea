"""Which tokens fill the broad middle of a feature's range, and which only mark its extreme end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class CoreCoverageAnalysis(WithEffectVector, BuildExperiment):
    """Share of core and of tail contexts that hold each token, against its base rate.

    Example:
        >>> CoreCoverageAnalysis(tokens=["SSU_12"]).row_of
        'named token or family'
    """

    type: ClassVar[str] = "core_coverage_analysis"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Tokens of the middle of the range against tokens of its end; confirm=true sets them."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "More frequent in the core than at large: {primary_drivers:list} (core_coverage; {n_core} "
            "contexts in the core, {n_tail} in the tail)."
        ),
        Sentence("Marks the tail only: {tail_markers:list}."),
        Effects("confirm_effects", "{token}", "change of the activation when the token is set", null="like features"),
    )

    unit: str = field("token", choices=("token", "family"), help="What is looked at: single tokens, or families.")
    tokens: list[str] | None = field(
        None, unstated=None, help="Only these tokens and families, whatever `unit` says; null: all of the vocabulary's."
    )
    core_low: float = field(0.25, low=0.0, high=1.0, help="Where the core starts, as a share of the effective maximum.")
    core_high: float = field(0.75, low=0.0, high=1.0, help="Where it ends, and the tail starts.")
    max_quantile: float = field(0.995, above=0.5, high=1.0, help="Quantile of positive f: the effective maximum.")
    coverage_threshold: float = field(0.3, low=0.0, high=1.0, help="Core share below which a tail marker may lie.")
    confirm: bool = field(False, help="Set each token that stands out, and measure the paired effect.")
    confirm_contexts: int = field(300, low=1, help="Contexts in which they are set.")

    def check(self) -> None:
        """Check that the core has a width.

        Raises:
            ConfigError: If it ends before it starts.
        """
        if self.core_low >= self.core_high:
            raise ConfigError(f"experiment.core_low ({self.core_low}) must be less than core_high ({self.core_high})")

    @property
    def row_of(self) -> str:
        """What a row of the tables is."""
        return self.unit if self.tokens is None else "named token or family"

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of tokens or families that are looked at."""
        return len(self.work_module().units_of(self, setup))
