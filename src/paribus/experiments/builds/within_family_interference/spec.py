"""A lower rung's token removed while a higher one of the same family stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Told
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.families import Family


@dataclass(frozen=True, kw_only=True)
class WithinFamilyInterference(WithEffectVector, BuildExperiment):
    """Take a lower rung's token away and leave the higher ones: does the model read the low token by itself?

    Example:
        >>> WithinFamilyInterference(families=["SSU"]).families
        ['SSU']
    """

    type: ClassVar[str] = "within_family_interference"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Removes a family's lower token while the higher stays."
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "interference",
            "{family} without its {lower_rung} AP token",
            "change of the activation",
            null="like features",
        ),
    )

    families: list[str] | None = field(None, help="Families to look at; null: all that have rungs.")
    rung: int | None = field(
        None, low=0, help="Set each family to this rung (closed) first; null: contexts as they show it."
    )

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of lower tokens; of few contexts, of those that enough show.

        Raises:
            ConfigError: If a family or the rung is unknown, or of few contexts none shows such a token.
        """
        pairs = self.pairs(setup)
        return int(self.work_module().n_supported(self, setup)) if setup.few else len(pairs)

    def pairs(self, setup: BuildSetup) -> list[tuple[Family, int]]:
        """Return family and lower rung of every row.

        Raises:
            ConfigError: If a family is unknown or main-only, or the vocabulary lacks the rung.
        """
        known = [family for family in setup.vocabulary.families() if not family.main_only]
        chosen = known if self.families is None else [setup.vocabulary.family(name) for name in self.families]
        for family in chosen:
            if family.main_only:
                raise ConfigError(f"experiment.families: {family.name} is main-only and has no lower rung")
            if self.rung is not None:
                setup.vocabulary.rung_index(family, self.rung)
        found = [
            (family, lower)
            for family in chosen
            for lower in setup.edits.levels(family)[:-1]
            if self.rung is None or lower < self.rung
        ]
        if not found:
            raise ConfigError(f"experiment.rung={self.rung}: no lower rung to take away below it")
        return found
