"""Several experiments as one job: train, then experiment on what was trained, as runs nested under a parent."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.errors import ConfigError, ExperimentError, nearest
from paribus.experiments.base import KEPT_RUNS, Experiment, Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates
from paribus.spec import field

LEFT_OUT = "LEFT_OUT"
"""Status of a step that the data do not allow."""
log = logging.getLogger("paribus")


@dataclass(frozen=True)
class Sequence(Experiment):
    """Runs experiments one after the other; those after a training step work on the model it trained.

    Those after a step that chooses features, and that need a feature, are run once for each chosen one. A step that is
    null is switched off (``experiment.steps.NAME=null``).

    Example:
        >>> Sequence().type
        'sequence'
    """

    type: ClassVar[str] = "sequence"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "any"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Runs several experiments as nested runs; those after a training step use its model."
    needs: ClassVar[tuple[str, ...]] = ()

    steps: dict[str, Any] = field({}, help="The experiments by name, in order; null switches one off.")
    optional: list[str] = field(
        [], science=False, help="Steps that are left out, with the reason, where the data cannot do what they ask."
    )
    comparison: Any = field(
        None, science=False, help="An experiment on the study's runs, made once at the end of a sweep."
    )

    def check(self) -> None:
        """Check that each step is an experiment.

        Raises:
            ConfigError: If not.
        """
        for name in self.optional:
            if name not in self.steps:
                raise ConfigError(f"Sequence.optional: no such step {name!r}; {nearest(name, self.steps)}")
        for name, step in self.steps.items():
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ConfigError(f"Sequence.steps: a step must be named by [a-z0-9_]+, got {name!r}")
            if step is not None and not isinstance(step, Experiment) or isinstance(step, Sequence):
                raise ConfigError(f"Sequence.steps.{name}: must be an experiment, got {type(step).__name__}")
        comparison = self.comparison
        if comparison is not None and not (isinstance(comparison, Experiment) and comparison.subject == KEPT_RUNS):
            raise ConfigError("Sequence.comparison: must be an experiment on runs, such as compare_interventions")

    def parts(self) -> tuple[Experiment, ...]:
        """Return its steps, in order, without those that are switched off."""
        return tuple(step for step in self.steps.values() if step is not None)

    def fingerprint(self) -> str:
        """Return nothing: each of its steps has a fingerprint of its own."""
        return ""

    def run(self, setup: Any, recorder: Recorder) -> Aggregates:
        """Refuse: its steps are runs, so it is run by :func:`paribus.running.steps.run_sequence`."""
        raise ExperimentError("sequence: runs where runs are kept (run_job), not on a setup")


def with_steps(experiment: Experiment) -> tuple[Experiment, ...]:
    """Return an experiment, and the steps that it consists of if it is a sequence."""
    return (experiment, *experiment.parts()) if isinstance(experiment, Sequence) else (experiment,)
