"""The steps of a sequence as runs nested under one parent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from paribus.config.foreign import Foreign
from paribus.errors import ConfigError, DataError, ExperimentError, ParibusError, with_kind
from paribus.experiments.asked import label
from paribus.experiments.base import STEP_RESULTS
from paribus.experiments.fitting import why_not
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Result, Table
from paribus.running import choosing, inputs
from paribus.running.caches import load_data
from paribus.running.contents import contents
from paribus.running.sequence import LEFT_OUT, Sequence
from paribus.subjects.as_trained import AsTrained
from paribus.subjects.offers import Offering
from paribus.tracking.file_run import FINISHED

if TYPE_CHECKING:
    from paribus.running.life import Living
    from paribus.running.request import Request
    from paribus.running.source import ModelSource
    from paribus.tracking.interface import Store

from paribus.running.experiment import run_experiment
from paribus.running.identify import identify
from paribus.running.kept_models import from_trained
from paribus.running.kept_models import planned as planned_source
from paribus.running.life import live, once
from paribus.running.on_model import with_source, without_training
from paribus.running.resolve import resolve
from paribus.running.resolved import Resolved
from paribus.tracking.identity import identity

log = logging.getLogger("paribus")
COLUMNS = {
    "step": "name in the sequence",
    "experiment_type": "what was run",
    "evidence": "what kind of claim its result supports",
    "status": "FINISHED, FAILED, SKIPPED where the step before that it depends on failed, or LEFT_OUT where the data "
    "cannot do what it asks",
    "run_id": "id of its run",
    "duration_seconds": "wall time, of a reused run that of the earlier run",
    "message": "what went wrong, or why it was left out",
}
_reasons: dict[tuple[str, str, str], str | None] = {}
"""Why a data set does not fit an experiment type, by both: cache of this process."""


def run_sequence(request: Request, store: Store, folder: Path) -> Result:
    """Run the steps as runs nested under one parent, or take a finished parent of the same identity.

    A step that fails is FAILED by itself and the others go on; the parent is FAILED in the end.

    Raises:
        ExperimentError: If a step failed.
        KeyboardInterrupt: On a signal; step and parent are KILLED.
    """
    identity = sequence_identity(request, store)

    def work(living: Living) -> Result:
        return _work(living, request, store, folder)

    def measure() -> Result:
        return live(_about(request, store), store, folder, identity=identity, parent=None, work=work)

    return once(request, store, identity, measure, lambda result: check_steps(result, store))


def _about(request: Request, store: Store) -> Resolved:
    """Return the model that the steps of a sequence take, if none of them trains one."""
    steps = planned(request, store)
    if any(step.request.experiment.produces_model for step, _ in steps):
        return Resolved(request, None)
    taken = next((step.source for step, _ in steps if step.source is not None), None)
    return with_source(request, taken) if taken is not None else Resolved(without_training(request), None)


def check_steps(result: Result, store: Store) -> None:
    """Check that the steps of a finished sequence still exist and are complete.

    Raises:
        DataError: If not.
    """
    for row in result.tables["steps"].frame.to_dict("records"):
        if row["status"] == LEFT_OUT:
            continue
        try:
            step = store.get(str(row["run_id"]))
            if step.status != FINISHED:
                raise DataError(f"its run is {step.status}")
            inputs.check_unchanged(inputs.kept(store.complete(step.run_id), store))
        except (ConfigError, DataError) as error:
            raise DataError(f"step {row['step']}: {error}") from None


def planned(request: Request, store: Store) -> list[tuple[Resolved, str]]:
    """Return the steps with the identities they will have once the model is trained; nothing is loaded.

    Raises:
        ConfigError: If a step takes a tracked model that does not exist.
    """
    steps = []
    source: ModelSource | None = None
    for step in step_requests(request):
        resolved = resolve(step, store, source)
        identity = identify(resolved)
        steps.append((resolved, identity))
        if step.experiment.produces_model:
            source = planned_source(resolved.request, identity, source)
    return steps


def sequence_identity(request: Request, store: Store) -> str:
    """Return the identity of a sequence: those of its steps, in order."""
    steps = [[resolved.request.step, step] for resolved, step in planned(request, store)]
    return identity(Sequence.type, Sequence.version, {"steps": steps})


def step_requests(request: Request) -> list[Request]:
    """Return one request for each step that is run, in order.

    Raises:
        ConfigError: If there is none.
        DataError: If the data fit none of them.
    """
    left = left_out(request)
    steps = [step for step in _switched_on(request) if step.step not in left]
    if not steps:
        raise DataError(f"experiment.steps: every step is left out: {'; '.join(left.values())}")
    return steps


def left_out(request: Request) -> dict[str, str]:
    """Return the optional steps of a sequence that its data do not allow, with the reason; those named stay in.

    Raises:
        ParibusError: If there are optional steps and the data cannot be loaded.
    """
    experiment = request.experiment
    assert isinstance(experiment, Sequence)
    optional = [step for step in _switched_on(request) if step.step in experiment.optional]
    reasons = {str(step.step): _why_not(step) for step in optional if not step.named_fields}
    return {name: why for name, why in reasons.items() if why is not None}


def uncompared(request: Request) -> str | None:
    """Return in one line why no step gives runs that the comparison could read; None if some step does."""
    experiment = request.experiment
    if not isinstance(experiment, Sequence) or experiment.comparison is None:
        return None
    reads = experiment.comparison.reads()
    if not reads or any(step.experiment.type in reads for step in step_requests(request)):
        return None
    return f"{experiment.comparison.type} reads runs of {', '.join(reads)}, and no step that is run is one of them"


def _why_not(step: Request) -> str | None:
    node = step.nodes.get("data")
    if node is None or isinstance(node, AsTrained) or not step.experiment.requires.any:
        return None
    called = f"data={label(node, step.choices.get('data'))}"
    key = (step.experiment.type, called, _but_for_the_seed(node))
    if key not in _reasons:
        data = load_data(node)
        _reasons[key] = why_not(step.experiment, data.offers, called) if isinstance(data, Offering) else None
    return _reasons[key]


def _but_for_the_seed(node: Any) -> str:
    """Return a key of a data set without its seed, so that a sweep over seeds is checked once."""
    given = node.arguments if isinstance(node, Foreign) else {f.name: getattr(node, f.name) for f in fields(node)}
    stated = {name: value for name, value in given.items() if name != "seed"}
    return f"{node.target if isinstance(node, Foreign) else type(node)} {stated} {contents(node).digest()}"


def _switched_on(request: Request) -> list[Request]:
    experiment = request.experiment
    assert isinstance(experiment, Sequence)
    steps = {name: step for name, step in experiment.steps.items() if step is not None}
    if not steps:
        raise ConfigError("experiment.steps: is empty; choose a study, e.g. study=shortcut_digits")
    nodes: Mapping[str, Any] = request.tree.get("experiment", {}).get("steps", {})
    return [
        request.for_step(name, step, nodes.get(name, {})).with_options_of(f"steps.{name}")
        for name, step in steps.items()
    ]


def _work(living: Living, request: Request, store: Store, folder: Path) -> Result:
    """Run the steps and return the parent's result.

    Raises:
        ExperimentError: If a step failed.
    """
    progress = _Progress(living, store, folder)
    left, steps = left_out(request), step_requests(request)
    for step in _switched_on(request):
        if step.step in left:
            progress.leave_out(step, left[step.step])
    later = choosing.waiting(steps)
    for step in steps:
        if step.step not in later:
            progress.step(step)
        elif progress.chosen is None:
            progress.skip(step, "no feature was chosen")
    if progress.chosen is not None:
        made = [choosing.for_each(step, progress.chosen) for step in steps if step.step in later]
        for about_one in zip(*made, strict=True):  # everything about one feature, then the next one
            found = [progress.chosen]
            for step in about_one:
                result = progress.step(step, tuple(found) if step.experiment.subject == STEP_RESULTS else ())
                found += [result] if result is not None else []
    return progress.result()


class _Progress:
    """The steps of a sequence that were run so far, and the model they made."""

    def __init__(self, living: Living, store: Store, folder: Path) -> None:
        """Start with nothing."""
        self.living, self.store, self.folder = living, store, folder
        self.rows: list[dict[str, Any]] = []
        self.results: dict[str, Result] = {}
        self.source: ModelSource | None = None
        self.untrained: str | None = None
        self.chosen: Result | None = None
        self.errors: list[Exception] = []

    def step(self, step: Request, given: tuple[Result, ...] = ()) -> Result | None:
        """Run a step, or skip it where the training before it failed; return its result if it finished."""
        if self.untrained is not None and step.experiment.takes_trained:
            self.skip(step, f"step {self.untrained} trained no model")
            return None
        try:
            result, self.source = _step(
                step, self.store, self.folder / str(step.step), self.source, self.living.run.run_id, given
            )
        except Exception as error:  # the step's own run says FAILED; the other steps go on
            message = with_kind(error)
            self.errors.append(error)
            log.error("step %s: %s", step.step, message)
            self._row(
                step, status="FAILED", run_id=error.run_id if isinstance(error, ParibusError) else None, message=message
            )
            self.untrained = step.step if step.experiment.produces_model else self.untrained
            return None
        self.untrained = None if step.experiment.produces_model else self.untrained
        self.chosen = result if step.experiment.chooses_features else self.chosen
        self.results[str(step.step)] = result
        self._row(step, status="FINISHED", run_id=result.run_id, duration_seconds=result.duration_seconds)
        return result

    def skip(self, step: Request, why: str) -> None:
        """Record that a step is not run."""
        self._row(step, status="SKIPPED", message=why)

    def leave_out(self, step: Request, why: str) -> None:
        """Record that the data do not allow a step."""
        self.living.recorder.warn(f"step {step.step} is left out: {why}")
        self._row(step, status=LEFT_OUT, message=why)

    def _row(self, step: Request, **values: Any) -> None:
        experiment = step.experiment
        self.rows.append(
            {"step": step.step, "experiment_type": experiment.type, "evidence": experiment.evidence.value} | values
        )

    def result(self) -> Result:
        """Return the parent's result.

        Raises:
            ExperimentError: If a step did not finish.
        """
        self.living.recorder.table(_steps_table(self.rows))
        bad = [row for row in self.rows if row["status"] not in (FINISHED, LEFT_OUT)]
        if bad:
            listed = "; ".join(f"{row['step']} {row['status']}: {row['message']}" for row in bad)
            cause = self.errors[0] if self.errors else None  # the kind of the failure is that of the first one
            raise ExperimentError(f"{len(bad)} of {len(self.rows)} steps did not finish: {listed}") from cause
        return _parent_result(self.living, self.results)


def _step(
    step: Request,
    store: Store,
    folder: Path,
    source: ModelSource | None,
    parent: str | None,
    given: tuple[Result, ...] = (),
) -> tuple[Result, ModelSource | None]:
    """Run one step; return its result, and the model that the next steps take."""
    resolved = replace(resolve(step, store, source), given=given)
    result = run_experiment(resolved, store, folder, parent=parent)
    return result, from_trained(result, resolved, store, folder) if step.experiment.produces_model else source


def _steps_table(rows: list[dict[str, Any]]) -> Table:

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["duration_seconds"] = frame["duration_seconds"].astype(float)
    for name in ("run_id", "message"):
        frame[name] = frame[name].astype("str")
    return Table("steps", "One row per step of the sequence.", Evidence.COMPARISON, frame, COLUMNS)


def _parent_result(living: Living, results: Mapping[str, Result]) -> Result:
    """Return the result of a sequence whose steps all finished: their metrics, under the steps' names."""
    partial = living.partial()
    subjects = {result.subject for result in results.values()}
    metrics = {f"{name}.{key}": value for name, result in results.items() for key, value in result.metrics.items()}
    return replace(
        partial,
        subject=subjects.pop() if len(subjects) == 1 else Sequence.subject,
        metrics=metrics,
        aggregates=Aggregates(n_conditions=len(results)),
    )
