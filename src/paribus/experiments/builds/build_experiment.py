"""What all experiments on builds share: held tokens and closing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import Experiment
from paribus.experiments.effect_vector import WithEffectVector
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.states import States


@dataclass(frozen=True, kw_only=True)
class BuildExperiment(Experiment):
    """Base of the experiments on builds."""

    subject: ClassVar[str] = "builds"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "feature", "slice", "constraints", "stats")
    takes_dtype: ClassVar[bool] = True

    stable_tokens: list[str] = field([], help="Tokens held in every condition, baseline included.")
    close_context: bool = field(False, help="Close contexts under the cumulative tokens before editing.")

    def validate(self, setup: BuildSetup) -> None:
        """Look up what the entries of the effect vector are about, before anything is run.

        Raises:
            ConfigError: If something is unknown, or of few contexts none allows it.
        """
        if isinstance(self, WithEffectVector):
            self.most_entries(setup)

    def hold(self, setup: BuildSetup, states: States) -> States:
        """Close contexts if asked, and hold the stable tokens in them."""
        if self.close_context:
            states = setup.edits.close_context(states)
        return setup.edits.insert_tokens(states, self.stable_tokens)
