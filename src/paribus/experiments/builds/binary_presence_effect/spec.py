"""What adding and what removing a main-only ability does, alone and at each rung of another family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError, nearest
from paribus.experiments.base import NECESSITY, SUFFICIENCY
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.battery import Battery
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.families import Family


@dataclass(frozen=True, kw_only=True)
class BinaryPresenceEffect(WithEffectVector, BuildExperiment):
    """Add each main-only ability where it is absent and remove it where it is present.

    Example:
        >>> BinaryPresenceEffect(primary_family="quick_respawn").type
        'binary_presence_effect'
    """

    type: ClassVar[str] = "binary_presence_effect"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Adds and removes each main-only ability, alone and at each rung of a family."
    bears_on: ClassVar[tuple[str, ...]] = (
        NECESSITY,
        SUFFICIENCY,
    )
    battery: ClassVar[Battery | None] = Battery("binary_effects", ("ability", "direction"))
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("binary_effects", "{ability} ({direction})", "change of the activation", null="like features"),
        Sentence(
            "Not established where nothing else of the same piece is taken away (own_delta): {by_displacing:list}."
        ),
    )

    abilities: list[str] | None = field(None, help="Main-only abilities; null: all of the vocabulary's.")
    primary_family: str | None = field(None, help="A family at whose rungs the effects are measured too; null: none.")
    rungs: list[int] | None = field(None, low=0, help="Rungs of the primary family; null: all of the vocabulary's.")

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of abilities added and of those removed; of few contexts, of those that enough allow.

        Raises:
            ConfigError: If an ability is unknown, or of few contexts none allows one.
        """
        chosen = self.chosen(setup)
        return int(self.work_module().n_supported(self, setup)) if setup.few else 2 * len(chosen)

    def chosen(self, setup: BuildSetup) -> list[Family]:
        """Return the abilities.

        Raises:
            ConfigError: If one is unknown or not main-only.
        """
        main_only = [family for family in setup.vocabulary.families() if family.main_only]
        if self.abilities is None:
            return main_only
        found = [setup.vocabulary.family(name) for name in self.abilities]
        for family in found:
            if not family.main_only:
                names = [other.name for other in main_only]
                raise ConfigError(
                    f"experiment.abilities: {family.name} is not main-only; {nearest(family.name, names)}"
                )
        return found

    def validate(self, setup: BuildSetup) -> None:
        """Look up the abilities, the primary family and its rungs before anything is run.

        Raises:
            ConfigError: If one is unknown.
        """
        self.chosen(setup)
        if self.primary_family is not None:
            self.levels(setup, self.primary_family)

    def levels(self, setup: BuildSetup, primary: str) -> list[int]:
        """Return the rungs of the primary family.

        Raises:
            ConfigError: If the vocabulary lacks the family or a rung.
        """
        family = setup.vocabulary.family(primary)
        rungs = sorted(set(setup.edits.levels(family) if self.rungs is None else self.rungs))
        for rung in rungs:
            setup.vocabulary.rung_index(family, rung)
        return rungs
