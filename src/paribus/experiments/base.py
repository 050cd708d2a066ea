"""What every experiment type is, and what it works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from paribus import seeds
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.recording import Recorder as Recorder
from paribus.experiments.requires import Requires
from paribus.experiments.told import Told, sentences
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.results.found import SUMMARY
from paribus.results.schema import Aggregates, Result
from paribus.spec import Spec, is_own

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from paribus.stats.spec import StatsSpec


NECESSITY, SUFFICIENCY, STABILITY = "necessity", "sufficiency", "stability"
"""What an experiment can show of a cause."""
ANY = "any"
"""Subject of an experiment that works on data of every kind."""
KEPT_RUNS, STEP_RESULTS = "runs", "results"
"""Subjects of experiments that work on no data: on the kept runs of a study, on what the steps before them found."""
MEASURED = 4
"""Raised when what is read of a network, or said of what was read, are other numbers than before: then no earlier run
of an experiment that measures one is taken in place of a new one. Trained networks are, as they are what they were.
2: operations in place after a place, channels that come last, random directions, clusters of other splits.
3: intervals over few clusters or clusters of uneven size, simultaneous intervals beside rows that few clusters move.
4: likewise of odds ratios, lifts, pooled means and scans of features; how often resamples find a row again;
how a tracked model's data of another file are scaled and encoded."""


@dataclass(kw_only=True)
class Setup:
    """The loaded objects an experiment works on; each subject adds its own.

    Attributes:
        seed: The run's seed; every stream of randomness is derived from it by name.
        stats: Settings of the statistics.
        device: The torch device to compute on, as a string (``cpu``, ``cuda``).
        batch_limit: The most rows in one forward pass.
        dtype: Number format of forward passes (``float32``, ``float64``, ``bfloat16``, ``float16``).

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> setup = Setup(seed=3, stats=StatsSpec())
        >>> setup.rng("noise").random() == setup.rng("noise").random()
        True
    """

    seed: int
    stats: StatsSpec
    device: str = "cpu"
    batch_limit: int = 512
    dtype: str = "float32"

    @property
    def feature_name(self) -> str | None:
        """What the feature is called in results; None where none is read."""
        return None

    @property
    def data_digest(self) -> str | None:
        """Digest of the data that it works on, for the provenance; None where the data have none."""
        return None

    @property
    def examined(self) -> nn.Module | None:
        """The network with the weights it has now, for the provenance; None without one."""
        return None

    def read_ahead(self) -> None:
        """Read the files that would otherwise be read when they are asked for: the folder may be another one then."""

    def rng(self, name: str) -> np.random.Generator:
        """Return the numpy generator of the stream ``name``."""
        return seeds.rng(self.seed, name)

    def torch_rng(self, name: str) -> torch.Generator:
        """Return the torch generator of the stream ``name`` (on the CPU, so that devices agree)."""
        return seeds.torch_rng(self.seed, name)


_imported: dict[str, type[Experiment]] = {}
"""The class of every type that is imported; the first one of a name keeps it."""


@dataclass(frozen=True)
class Experiment(Spec):
    """Base of every experiment type. A subclass declares its variables as fields and says which module does its work.

    The file of a type is read whenever a configuration is checked, so it imports nothing heavy. Its work is in
    another module, with its imports at the top, and is named by ``work``; a small type implements :meth:`run` instead.

    Class attributes:
        type: The name users select with ``experiment=``.
        evidence: What kind of claim the result supports.
        subject: ``images``, ``builds``, ..., ``any`` for whatever the data are, or ``runs`` for comparisons.
        subjects: Further subjects it works on (``any``: all that have what it requires); which one it is in a request,
            the data say.
        version: Raised whenever the meaning of a number changes; part of every run's identity.
        summary: One line for ``paribus list``.
        needs: The config groups its numbers depend on; only these enter the identity.
        may_lack: Those of them that may be left empty.
        takes_dtype: Whether it runs the model in the number format of its setup (``setup.dtype``), so that
            ``device.dtype`` takes effect. Where it is False, only float32 is accepted.
        requires: What it needs of a data set (splits, domains, renderings); checked at dry run.
        declares: The endpoints: numbers of its tables that comparisons over runs may be about.
        tells: The sentences in which its results say what was found, where its work writes none itself.
        bears_on: What it can show of a cause: ``necessity`` (what is lost without it) or ``sufficiency`` (what it does
            when put in), both or none; ``stability`` of what checks that effects repeat.
        battery: The table of its effects on a feature, by which features are compared; None: it has none.
        produces_model: Whether it trains a model, which its run keeps as checkpoints.
        takes_model: Whether it works on a model that was trained before, if there is one; None: unless it trains one.
        beside: Field that names the run of a second trained model, which its setup has beside the first; empty: none.
        chooses_features: Whether its table ``chosen`` names the features that the steps after it work on.
        work: The module that does the work: its function ``run(experiment, setup, recorder)`` is what :meth:`run`
            calls. It is imported when the experiment is run, not before. Where none is stated it is beside the type:
            the file ``work`` beside ``spec``, for types of Paribus itself also ``_name`` beside ``name``.

    Example:
        >>> from dataclasses import dataclass
        >>> from paribus.spec import field
        >>> from paribus.stats.spec import StatsSpec
        >>> @dataclass(frozen=True)
        ... class Count(Experiment):
        ...     type = "count"
        ...     evidence = Evidence.OBSERVATIONAL
        ...     subject = "images"
        ...     summary = "Counts to a number."
        ...     to: int = field(3, low=1, help="Where to stop.")
        ...     def run(self, setup, recorder):
        ...         return Aggregates(n_samples=self.to)
        >>> perform(Count(to=5), Setup(seed=0, stats=StatsSpec()), MemoryRecorder()).aggregates.n_samples
        5
    """

    type: ClassVar[str]
    evidence: ClassVar[Evidence]
    subject: ClassVar[str]
    subjects: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    summary: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "stats")
    may_lack: ClassVar[tuple[str, ...]] = ()
    takes_dtype: ClassVar[bool] = False
    requires: ClassVar[Requires] = Requires()
    declares: ClassVar[tuple[Endpoint, ...]] = ()
    tells: ClassVar[tuple[Told, ...]] = ()
    bears_on: ClassVar[tuple[str, ...]] = ()
    battery: ClassVar[Battery | None] = None
    produces_model: ClassVar[bool] = False
    takes_model: ClassVar[bool | None] = None
    beside: ClassVar[str] = ""
    chooses_features: ClassVar[bool] = False

    def __init_subclass__(cls, **others: Any) -> None:
        """Reserve the type of an experiment of Paribus itself; one from outside may have the same and stays apart."""
        own = cls.__dict__.get("type") if is_own(cls.__module__) else None
        folder, _, file = cls.__module__.rpartition(".")
        if folder and not cls.work and (file == "spec" or own):
            cls.work = f"{folder}.work" if file == "spec" else f"{folder}._{file}"
        super().__init_subclass__(kind=f"experiment/{own}" if isinstance(own, str) else None, **others)
        if isinstance(cls.__dict__.get("type"), str):
            _imported.setdefault(cls.type, cls)

    def reads(self) -> tuple[str, ...]:
        """Return the types of which a comparison needs at least one run; none where it takes any."""
        return ()

    def run(self, setup: Any, recorder: Recorder) -> Aggregates:
        """Run the experiment on ``setup``; hand tables, figures and metrics to ``recorder`` as they are finished.

        Raises:
            NotImplementedError: If the type neither names a module that does its work nor overrides this.
        """
        found: Aggregates = self.work_module().run(self, setup, recorder)
        return found

    def suits(self, subject: str) -> None:
        """Refuse fields that have no effect on data of a kind, before anything is loaded. By default there are none.

        Raises:
            ConfigError: If one is set that does not.
        """

    def validate(self, setup: Any) -> None:
        """Look up in a loaded setup what the fields name; nothing is measured. By default there is nothing to look up.

        Raises:
            ParibusError: If something is not there.
        """

    def fingerprint(self) -> str:
        """Return the version of what it measures a network with; empty where it measures none."""
        measures = self.takes_trained and self.subject not in (KEPT_RUNS, STEP_RESULTS)
        return f"measured {MEASURED}" if measures else ""

    @property
    def second_run(self) -> str:
        """The run of a second trained model, as it was named; empty where none is asked for."""
        return str(getattr(self, self.beside) or "") if self.beside else ""

    @property
    def takes_trained(self) -> bool:
        """Whether it works on a model that was trained before, if there is one."""
        return not self.produces_model if self.takes_model is None else self.takes_model


def imported_type(name: str) -> type[Experiment] | None:
    """Return the experiment class of that type, if its module is imported."""
    return _imported.get(name)


def perform(
    experiment: Experiment,
    setup: Any,
    recorder: MemoryRecorder,
    *,
    spec_id: str = "",
    feature: str | None = None,
    model: str | None = None,
    subject: str | None = None,
) -> Result:
    """Run ``experiment`` and put its result together from what it reported.

    Args:
        experiment: The experiment.
        setup: What it works on.
        recorder: What it reports to.
        spec_id: Short name of what was asked.
        feature: What the feature is called.
        model: What the model is called.
        subject: What the data are, where it works on several kinds; None: what it declares.

    Example:
        >>> class Nothing(Experiment):
        ...     type, evidence, subject, summary = "nothing", Evidence.OBSERVATIONAL, "images", "Does nothing."
        ...     def run(self, setup, recorder):
        ...         return Aggregates(n_samples=0)
        >>> from paribus.stats.spec import StatsSpec
        >>> perform(Nothing(), Setup(seed=0, stats=StatsSpec()), MemoryRecorder()).experiment_type
        'nothing'
    """
    aggregates = _in_words(experiment, experiment.run(setup, recorder), setup, recorder)
    return Result(
        spec_id=spec_id,
        experiment_type=experiment.type,
        evidence=experiment.evidence,
        feature=feature,
        model=model,
        subject=subject or experiment.subject,
        aggregates=aggregates,
        tables=dict(recorder.tables),
        diagnostics=recorder.diagnostics,
        figures=tuple(recorder.figures),
        curves=tuple(recorder.curves),
        metrics=dict(recorder.metrics),
    )


def _in_words(experiment: Experiment, found: Aggregates, setup: Any, recorder: MemoryRecorder) -> Aggregates:
    """Return the aggregates with what was found in sentences, where the experiment did not write them itself."""
    if found.custom.get(SUMMARY) or not experiment.tells:
        return found
    frames = {name: table.frame for name, table in recorder.tables.items()}
    lines = sentences(experiment.tells, frames, found, 1 - setup.stats.confidence)
    return replace(found, custom={**found.custom, SUMMARY: lines}) if lines else found
