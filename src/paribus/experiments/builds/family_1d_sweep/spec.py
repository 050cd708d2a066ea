"""The response of a feature to the rungs of one family, with everything else held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.battery import Battery
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class Family1dSweep(WithEffectVector, BuildExperiment):
    """Set one family to absent and to each rung in every context, and measure the feature.

    Example:
        >>> Family1dSweep(family="special_charge_up", rungs=[3, 12]).rungs
        [3, 12]
    """

    type: ClassVar[str] = "family_1d_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Dose-response: one family set to each rung in every context."
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    battery: ClassVar[Battery | None] = Battery("rung_deltas", ("label",), under=("experiment.family",))
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("rung_deltas", "{label}", "change of the activation with {family} set", null="like features"),
        Sentence("It first goes beyond the least effect that counts at {threshold_rung} AP."),
        Sentence(
            "The activation changes by {slope_per_ap:signed} per AP [{slope_per_ap_low:signed}, "
            "{slope_per_ap_high:signed}] up to {slope_up_to} AP."
        ),
        Sentence(
            "Builds that happen to show a rung differ from the intervention by up to {largest_confounding_gap:.3g} "
            "(rungs that at least 30 contexts show): by what goes along with it, or by chance."
        ),
    )

    family: str = field(help="The family to sweep, by name or abbreviation.")
    rungs: list[int] | None = field(None, low=0, help="Rungs in AP; null: all of the vocabulary's.")
    include_absent: bool = field(True, help="Whether the baseline is the absent family (else the lowest rung).")
    support: str = field(
        "prefix", choices=("prefix", "per_rung", "common"), help="Which contexts a rung is measured on."
    )
    placebo_contexts: int = field(200, low=0, help="Contexts for the placebo (other families, same rung); 0: none.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of levels beside the baseline; of few contexts, of those that enough allow.

        Raises:
            ConfigError: If the vocabulary lacks the family or a rung, or of few contexts none is legal.
        """
        levels = self.levels(setup)
        return int(self.work_module().n_supported(self, setup)) if setup.few else len(levels) - 1

    def levels(self, setup: BuildSetup) -> list[int | None]:
        """Return the levels in order, the baseline first.

        Raises:
            ConfigError: If the vocabulary lacks the family or a rung.
        """
        family = setup.vocabulary.family(self.family)
        known = setup.edits.levels(family)
        wanted = sorted(set(known if self.rungs is None else self.rungs))
        for rung in wanted:
            setup.vocabulary.rung_index(family, rung)
        levels: list[int | None] = [*([None] if self.include_absent else []), *wanted]
        if len(levels) < 2:
            raise ConfigError(f"experiment.rungs={self.rungs}: a sweep needs at least two levels, absent included")
        return levels
