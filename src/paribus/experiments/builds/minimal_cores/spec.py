"""The smallest sets of units of a context that keep a feature active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.families import Family
    from paribus.subjects.builds.states import States


@dataclass(frozen=True, kw_only=True)
class MinimalCores(WithEffectVector, BuildExperiment):
    """Take families (and the weapon) away in all combinations, and keep the smallest sets that stay active.

    Example:
        >>> MinimalCores(include_weapon=True).exact_units
        16
    """

    type: ClassVar[str] = "minimal_cores"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "The smallest sets of families that keep the feature active: minimal cores."
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "The most frequent core, {core}, is one in {coverage:share} of the contexts that can tell "
            "({n_contexts} contexts; {n_holding} hold it; cores).",
            table="cores",
        ),
        Sentence("Its interval over source builds is [{coverage_low:share}, {coverage_high:share}].", table="cores"),
        Sentence("Minimal cores found: {n_cores}, with {mean_core_size:.1f} families on average."),
        Effects("core_effects", "{core}", "change of the activation with the core put in", null="like features"),
    )

    retention_threshold: float = field(
        0.8, above=0.0, high=1.0, help="Share of the complete context's activation that a core must keep."
    )
    top_fraction: float = field(
        0.1, above=0.0, high=1.0, help="Share of the contexts that counts as high activation (and f > 0)."
    )
    max_contexts: int = field(100, low=1, help="High-activation contexts analysed at most, drawn at random.")
    include_weapon: bool = field(False, help="Whether the weapon is a unit too (removed: mean over reference weapons).")
    n_reference_weapons: int = field(20, low=1, help="Weapons that stand for no weapon in particular.")
    clamp_families: list[str] = field([], help="Families never taken away; they are no units.")
    exclude_families: list[str] = field([], help="Families taken away from every state, the complete context included.")
    robust: bool = field(False, help="Whether every larger set that holds the core must keep the activation too.")
    exact_units: int = field(
        16, low=1, high=16, help="Contexts with more units are searched by deletion and beam instead of enumerated."
    )
    beam_width: int = field(32, low=1, help="Sets kept at every level of that search.")
    max_cores: int = field(100, low=1, help="Distinct cores listed, the most frequent first.")

    def complete(self, setup: BuildSetup, states: States) -> States:
        """Return the contexts with held tokens, and without the excluded families."""
        held = self.hold(setup, states)
        return setup.edits.remove_units(held, self.exclude_families) if self.exclude_families else held

    def most_entries(self, setup: BuildSetup) -> int | None:
        """Return how many families enough contexts show; None where contexts are many or not known."""
        return int(self.work_module().n_supported(self, setup)) if setup.few else None

    def validate(self, setup: BuildSetup) -> None:
        """Look up the families before anything is run.

        Raises:
            ConfigError: If one is unknown, or named twice.
        """
        self.clamped(setup)

    def clamped(self, setup: BuildSetup) -> set[Family]:
        """Return the families that are never taken away.

        Raises:
            ConfigError: If one is unknown, or excluded as well.
        """
        clamped = {setup.vocabulary.family(name) for name in self.clamp_families}
        clamped |= {family for family, _ in setup.edits.requested(self.stable_tokens)}
        both = clamped & {setup.vocabulary.family(name) for name in self.exclude_families}
        if both:
            names = ", ".join(sorted(family.name for family in both))
            raise ConfigError(f"experiment.exclude_families names {names}, which is clamped or held; choose one")
        return clamped
