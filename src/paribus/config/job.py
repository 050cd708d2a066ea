"""One job: a composed, checked configuration with its specs built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paribus.config.settings import ClaimSettings, FigureSettings, SweepSettings

GROUPS = (
    "data",
    "model",
    "feature",
    "slice",
    "constraints",
    "training",
    "device",
    "stats",
    "tracking",
    "experiment",
)
"""The config groups of every composed configuration, in the order they are composed."""


@dataclass(frozen=True)
class Job:
    """The composed request of one run.

    Attributes:
        overrides: The words of the command line that make this job, after expansion of a sweep.
        choices: The option chosen in each config group (``experiment``, ``experiment@experiment.steps.train``, ...),
            None where a group is left empty.
        tree: The composed configuration as plain dicts, lists and scalars, interpolations resolved; each node
            keeps its ``_target_``.
        nodes: The built spec of each group of :data:`GROUPS` by name (a :class:`paribus.spec.Spec` or a
            :class:`paribus.config.foreign.Foreign`, nested ones built inside), None where a group is empty.
        seed: The seed that every stream of randomness is derived from.
        checkpoint: Which checkpoints of a trained model to work on.
        reuse: Whether a finished run of the same identity is taken instead of running again.
        dry_run: Whether the request is only to be validated.
        named: Groups whose option a word of the request names; a default, an option of another group and a study
            name nothing.
        config_dirs: The user's folders of options it was composed with.
        workers: How many processes share the jobs of its sweep: a number, ``auto``, or None: where it helps.
        sweep: What its sweep does with jobs that failed.
        figures: Formats of its figures.
        claim: The claim on its numbers.
        parent_hypothesis: The hypothesis it tests.

    Example:
        >>> from paribus.config.compose import jobs
        >>> (job,) = jobs(["experiment=domain_swap", "seed=3"])
        >>> job.seed, job.choices["experiment"]
        (3, 'domain_swap')
    """

    overrides: tuple[str, ...]
    choices: Mapping[str, str | None]
    tree: Mapping[str, Any]
    nodes: Mapping[str, Any]
    seed: int = 0
    checkpoint: str = "peak_val"
    reuse: str = "auto"
    dry_run: bool = False
    named: frozenset[str] = frozenset()
    config_dirs: tuple[str, ...] = ()
    workers: int | str | None = None
    sweep: SweepSettings = SweepSettings()
    figures: FigureSettings = FigureSettings()
    claim: ClaimSettings = ClaimSettings()
    parent_hypothesis: str | None = None

    @property
    def experiment(self) -> Any:
        """The built experiment spec."""
        return self.nodes["experiment"]

    @property
    def study(self) -> str | None:
        """The name of the study bundle this job belongs to, if any."""
        return self.choices.get("study")
