"""What the experiments on interactions have in common: candidates that are named, or chosen by their own effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.arrays import Bools
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class InteractionExperiment(WithEffectVector, BuildExperiment):
    """Base of the experiments that look for interactions between candidates."""

    candidates: list[str] | None = field(
        None,
        help="Tokens or families, by name or abbreviation, weapon:NAME or weapon_class:NAME; null: the families with "
        "the largest single effects.",
    )
    n_candidates: int = field(8, low=2, high=16, help="How many families are chosen where none are given.")
    rung: int | None = field(
        None,
        low=1,
        help="AP that families are set to; null: the median rung that the corpus shows of each, or, for one that is "
        "chosen and does next to nothing there, the lowest at which it acts.",
    )

    def most_entries(self, setup: BuildSetup) -> int:
        """Return the number of pairs of candidates."""
        n = self.n_candidates if self.candidates is None else len(self.candidates)
        return n * (n - 1) // 2

    def most_contexts(self, setup: BuildSetup) -> int:
        """Return how many contexts are reported: those that candidates are chosen on are not."""
        return len(setup.contexts) - (int(self.to_choose_on(setup).sum()) if self.candidates is None else 0)

    def to_choose_on(self, setup: BuildSetup) -> Bools:
        """Return which contexts candidates are chosen on ``[n]``; what is reported comes from the other source builds.

        Raises:
            ConfigError: If there are no others.
        """
        choosing = setup.half("candidate_halves", larger=True)
        if choosing.all():
            raise ConfigError(
                "all contexts come from one source build; name the candidates: experiment.candidates=[...]"
            )
        return choosing

    def validate(self, setup: BuildSetup) -> None:
        """Look up what is named before anything is run.

        Raises:
            ConfigError: If something is unknown, or cannot be crossed with the rest.
        """
        self.work_module().validate(self, setup)
