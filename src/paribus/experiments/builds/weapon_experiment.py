"""What experiments that look at weapons and swap them share: how contexts are chosen, conditioned and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.states import States


@dataclass(frozen=True, kw_only=True)
class WeaponExperiment(WithEffectVector, BuildExperiment):
    """Base of the experiments that look at weapons and swap them."""

    min_examples: int = field(10, low=1, help="Contexts a weapon needs to be listed in the observational tables.")
    swap_contexts: int = field(200, low=1, help="Random contexts in which every weapon is put in turn.")
    reference_weapons: int | None = field(
        20, low=1, help="Ordinary weapons (of middle mean activation) every weapon is compared with; null: all others."
    )
    condition_family: str | None = field(None, help="Look only at builds with this family; null: at all.")
    condition_rung: int | None = field(
        None, low=0, help="At this rung in AP (0: absent): contexts grouped by it, and set to it before swapping."
    )

    def check(self) -> None:
        """Check that a rung comes with a family.

        Raises:
            ConfigError: If it does not.
        """
        if self.condition_rung is not None and self.condition_family is None:
            raise ConfigError(
                f"experiment.condition_rung={self.condition_rung} needs a family: set experiment.condition_family"
            )

    def validate(self, setup: BuildSetup) -> None:
        """Look up the conditioning family and its rung before anything is run.

        Raises:
            ConfigError: If one is unknown.
        """
        if self.condition_family is not None:
            family = setup.vocabulary.family(self.condition_family)
            if self.condition_rung:
                setup.vocabulary.rung_index(family, self.condition_rung)

    def most_contexts(self, setup: BuildSetup) -> int:
        """Return in how many contexts weapons are swapped."""
        return min(self.swap_contexts, len(setup.contexts))

    def base(self, setup: BuildSetup, states: States) -> States:
        """Return states with tokens held and the conditioning family set."""
        states = self.hold(setup, states)
        if self.condition_family is not None and self.condition_rung is not None:
            states = setup.edits.set_rung(states, self.condition_family, self.condition_rung)
        return states
