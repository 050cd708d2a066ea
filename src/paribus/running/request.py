"""The request of one run, whether a job of its own or a step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from paribus.config.foreign import Foreign
from paribus.config.settings import PDF, PNG, ClaimSettings, FigureSettings
from paribus.errors import ConfigError
from paribus.experiments.base import ANY, KEPT_RUNS, Experiment
from paribus.running.about import data_subject
from paribus.spec import fields_of

if TYPE_CHECKING:
    from pathlib import Path

    from paribus.config.job import Job
    from paribus.tracking.spec import TrackingSpec


@dataclass(frozen=True)
class Request:
    """One experiment with the specs of everything it is run on; nothing is loaded.

    Attributes:
        experiment: The built experiment.
        nodes: The built spec of each config group by name, None where a group is empty.
        tree: The composed configuration that goes with it.
        overrides: The words that made the job.
        choices: The option chosen in each config group.
        seed: Seed of the run.
        checkpoint: Which checkpoints of a trained model to work on.
        reuse: ``auto``, ``always`` or ``never``.
        named: Groups whose option the words of the request name.
        derived: Whether its experiment is not that of the job: a step, a training on the spot, a sweep's comparison.
        config_dirs: The user's folders of options.
        runs: Of a comparison: ids of the runs it is made from; empty for all of the study.
        study: The study bundle the job belongs to.
        sweep: Id of the sweep the job belongs to.
        step: Name of the step, where it is one of a sequence.
        inside: The folder that the experiment works in; None: the working folder.
        figures: Formats of its figures.
        claim: The claim on its numbers.
        parent_hypothesis: The hypothesis it tests.
        waits: Whether it waits while another process is executing the same run.
        changed_data: Whether to measure on the current content of a trained model's data, where it has changed.

    Example:
        >>> from paribus.config import jobs
        >>> (job,) = jobs(["experiment=domain_swap", "data=digits_scanners"])
        >>> from_job(job).subject
        'images'
    """

    experiment: Experiment
    nodes: Mapping[str, Any]
    tree: Mapping[str, Any]
    overrides: tuple[str, ...]
    choices: Mapping[str, str | None]
    seed: int
    checkpoint: str
    reuse: str
    named: frozenset[str] = frozenset()
    derived: bool = False
    config_dirs: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    study: str | None = None
    sweep: str | None = None
    step: str | None = None
    inside: Path | None = None
    figures: FigureSettings = FigureSettings()
    claim: ClaimSettings = ClaimSettings()
    parent_hypothesis: str | None = None
    waits: bool = True
    changed_data: bool = False

    @property
    def tracking(self) -> TrackingSpec:
        """Where its run is kept."""
        spec: TrackingSpec = self.nodes["tracking"]
        return spec

    @property
    def named_fields(self) -> frozenset[str]:
        """Fields of the experiment that the words of the request name."""
        place = "experiment." if self.step is None else f"experiment.steps.{self.step}."
        keys = (word.split("=", 1)[0].lstrip("+~") for word in self.overrides)
        return frozenset(key.removeprefix(place).split(".")[0] for key in keys if key.startswith(place))

    @property
    def subject(self) -> str:
        """Its subject: as the experiment declares; if it works on several, that of the data.

        Raises:
            ConfigError: If it does not work on such data, or they are of no subject.
            DataError: If they have to be loaded to know, and cannot be.
        """
        declared = self.experiment.subject
        if declared != ANY and not self.experiment.subjects:
            return declared
        data = self.nodes.get("data")
        found = data_subject(data)
        if found is None and declared == ANY and isinstance(data, Foreign):
            raise ConfigError(
                f"data: {data.target} returns no data of a subject (ImageData, TableData, TokenData or of your own); "
                "contexts are handed over in Python, paribus.run([...], model=..., data=contexts)"
            )
        further = self.experiment.subjects
        if found is None or declared == ANY or ANY in further or found in (declared, *further):
            return found or declared
        valid = " or ".join((declared, *further))
        raise ConfigError(f"data: {self.experiment.type} works on {valid}, and these are {found}")

    @property
    def reuses(self) -> bool:
        """Whether a finished run of the same identity may be taken instead."""
        return self.reuse == "always" or (self.reuse == "auto" and self.sweep is not None)

    @property
    def figure_formats(self) -> tuple[str, ...]:
        """Formats of its figures; by default the jobs of a sweep leave out PDF."""
        if self.figures.formats is not None:
            return tuple(self.figures.formats)
        return (PNG,) if self.sweep is not None and self.experiment.subject != KEPT_RUNS else (PNG, PDF)

    def with_nodes(self, **nodes: Any) -> Request:
        """Return the request with other specs in some groups."""
        return replace(self, nodes={**self.nodes, **nodes})

    def changed(self, **groups: tuple[Any, Any, str | None]) -> Request:
        """Return the request with other groups, each given by spec, configuration node and option name."""
        return replace(
            self,
            nodes={**self.nodes, **{group: spec for group, (spec, _, _) in groups.items()}},
            tree={**self.tree, **{group: node for group, (_, node, _) in groups.items()}},
            choices={**self.choices, **{group: option for group, (_, _, option) in groups.items()}},
        )

    def for_step(self, name: str, experiment: Experiment, node: Any) -> Request:
        """Return the request of one step of a sequence.

        Args:
            name: Its name in the sequence.
            experiment: The step's experiment.
            node: The step's node in the configuration.
        """
        return replace(
            self,
            experiment=experiment,
            nodes={**self.nodes, "experiment": experiment},
            tree={**self.tree, "experiment": node},
            choices={**self.choices, "experiment": experiment.type},
            step=name,
            derived=True,
            waits=True,
        )

    def with_options_of(self, place: str) -> Request:
        """Return a step's request with the options that the job chose for it, keyed as in a job of its own.

        Args:
            place: Where the step is in the job's experiment, such as ``steps.train``.
        """
        within = f"experiment@experiment.{place}"
        own: dict[str, str | None] = {"experiment": self.choices.get(within) or self.experiment.type}
        inner = {key: option for key, option in self.choices.items() if key.startswith(f"{within}.")}
        own |= {f"experiment@experiment.{key.removeprefix(f'{within}.')}": option for key, option in inner.items()}
        others = {key: option for key, option in self.choices.items() if not key.startswith("experiment@")}
        return replace(self, choices={**others, **own})


def from_job(job: Job, *, sweep: str | None = None) -> Request:
    """Return the request of a composed job.

    Raises:
        ConfigError: If ``experiment`` is no experiment.

    Example:
        >>> from paribus.config import jobs
        >>> (job,) = jobs(["experiment=domain_swap", "data=digits_scanners", "seed=3"])
        >>> from_job(job).seed
        3
    """
    experiment = job.nodes.get("experiment")
    if not isinstance(experiment, Experiment):
        raise ConfigError(
            f"experiment: {type(experiment).__name__} is no experiment; its _target_ must be a subclass of "
            "paribus.experiments.base.Experiment"
        )
    return Request(
        experiment=experiment,
        nodes=job.nodes,
        tree=job.tree,
        overrides=job.overrides,
        choices=job.choices,
        seed=job.seed,
        checkpoint=job.checkpoint,
        reuse=job.reuse,
        named=job.named,
        config_dirs=job.config_dirs,
        runs=tuple(fields_of(experiment).get("runs", ())),
        study=job.study,
        sweep=sweep,
        figures=job.figures,
        claim=job.claim,
        parent_hypothesis=job.parent_hypothesis,
    )
