"""Several experiments as one job: train, then experiment on what was trained, as runs nested under a parent."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import Experiment, Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Result, Table
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.running.life import Living
    from paribus.running.request import Request
    from paribus.running.resolve import Resolved
    from paribus.running.source import ModelSource
    from paribus.tracking.interface import Store

log = logging.getLogger("paribus")
COLUMNS = {
    "step": "name in the sequence",
    "experiment_type": "what was run",
    "evidence": "what kind of claim its result supports",
    "status": "FINISHED, FAILED, or SKIPPED where the training before it failed",
    "run_id": "id of its run",
    "duration_seconds": "wall time, of a reused run that of the earlier run",
    "message": "what went wrong",
}


@dataclass(frozen=True)
class Sequence(Experiment):
    """Runs experiments one after the other; those after a training step work on the model it trained."""

    type: ClassVar[str] = "sequence"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "any"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Runs several experiments as nested runs; those after a training step use its model."
    needs: ClassVar[tuple[str, ...]] = ()

    steps: dict[str, Any] = field({}, help="The experiments by name, in order.")
    comparison: Any = field(
        None, science=False, help="An experiment on the study's runs, made once at the end of a sweep."
    )

    def check(self) -> None:
        """Check that each step is an experiment.

        Raises:
            ConfigError: If not.
        """
        for name, step in self.steps.items():
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ConfigError(f"Sequence.steps: a step must be named by [a-z0-9_]+, got {name!r}")
            if not isinstance(step, Experiment) or isinstance(step, Sequence):
                raise ConfigError(f"Sequence.steps.{name}: must be an experiment, got {type(step).__name__}")
        if self.comparison is not None and getattr(self.comparison, "subject", None) != "runs":
            raise ConfigError("Sequence.comparison: must be an experiment on runs, such as compare_interventions")

    def run(self, setup: Any, recorder: Recorder) -> Aggregates:
        """Refuse: its steps are runs, so it is run by :func:`run_sequence`."""
        raise ExperimentError("sequence: runs where runs are kept (run_job), not on a setup")


def run_sequence(request: Request, store: Store, folder: Path) -> Result:
    """Run the steps as runs nested under one parent, or take a finished parent of the same identity.

    A step that fails is FAILED by itself and the others go on; the parent is FAILED in the end.

    Raises:
        ExperimentError: If a step failed.
        KeyboardInterrupt: If a signal came; step and parent are KILLED.
    """
    from paribus.running.life import live, reusable
    from paribus.running.resolve import Resolved

    identity = sequence_identity(request, store)
    if request.reuses and (found := reusable(store, identity)) is not None:
        return found

    def work(living: Living) -> Result:
        return _work(living, store, folder)

    return live(Resolved(request, None), store, folder, identity=identity, parent=None, work=work)


def planned(request: Request, store: Store) -> list[tuple[Resolved, str]]:
    """Return the steps with their identities, as they will be once the model is trained; nothing is loaded.

    Raises:
        ConfigError: If a step takes a tracked model that is not there.
    """
    from paribus.running.identify import identify
    from paribus.running.resolve import resolve, trains
    from paribus.running.source import planned as planned_source

    steps = []
    source: ModelSource | None = None
    for step in step_requests(request):
        resolved = resolve(step, store, source)
        identity = identify(resolved)
        steps.append((resolved, identity))
        if trains(step.experiment):
            source = planned_source(resolved.request, identity)
    return steps


def sequence_identity(request: Request, store: Store) -> str:
    """Return the identity of a sequence: those of its steps, in order."""
    from paribus.tracking.identity import identity

    steps = [[resolved.request.step, step] for resolved, step in planned(request, store)]
    return identity(Sequence.type, Sequence.version, {"steps": steps})


def step_requests(request: Request) -> list[Request]:
    """Return one request for each step, in order.

    Raises:
        ConfigError: If there is none.
    """
    experiment = request.experiment
    assert isinstance(experiment, Sequence)
    if not experiment.steps:
        raise ConfigError("experiment.steps: is empty; choose a study, e.g. study=shortcut_digits")
    nodes: Mapping[str, Any] = request.tree.get("experiment", {}).get("steps", {})
    return [request.for_step(name, step, nodes.get(name, {})) for name, step in experiment.steps.items()]


def _work(living: Living, store: Store, folder: Path) -> Result:
    """Run the steps and return the parent's result.

    Raises:
        ExperimentError: If a step failed.
    """
    from paribus.running.resolve import takes, trains

    request = living.resolved.request
    rows: list[dict[str, Any]] = []
    results: dict[str, Result] = {}
    source: ModelSource | None = None
    untrained: str | None = None
    for step in step_requests(request):
        assert step.step is not None
        row = {"step": step.step, "experiment_type": step.experiment.type, "evidence": step.experiment.evidence.value}
        if untrained is not None and takes(step.experiment):
            rows.append({**row, "status": "SKIPPED", "message": f"step {untrained} trained no model"})
            continue
        try:
            result, source = _step(step, store, folder / step.step, source, living.run.run_id)
        except Exception as error:  # the step's own run says FAILED; the other steps go on
            from paribus.running.life import one_line

            message = one_line(error)
            log.error("step %s: %s", step.step, message)
            rows.append({**row, "status": "FAILED", "run_id": getattr(error, "run_id", None), "message": message})
            untrained = step.step if trains(step.experiment) else untrained
            continue
        untrained = None if trains(step.experiment) else untrained
        results[step.step] = result
        rows.append({**row, "status": "FINISHED", "run_id": result.run_id, "duration_seconds": result.duration_seconds})
    living.recorder.table(_steps_table(rows))
    bad = [row for row in rows if row["status"] != "FINISHED"]
    if bad:
        listed = "; ".join(f"{row['step']} {row['status']}: {row['message']}" for row in bad)
        raise ExperimentError(f"{len(bad)} of {len(rows)} steps did not finish: {listed}")
    return _parent_result(living, results)


def _step(
    step: Request, store: Store, folder: Path, source: ModelSource | None, parent: str | None
) -> tuple[Result, ModelSource | None]:
    """Run one step; return its result, and the model that the next steps take."""
    from paribus.running.life import run_experiment
    from paribus.running.resolve import resolve, trains
    from paribus.running.source import from_trained

    resolved = resolve(step, store, source)
    result = run_experiment(resolved, store, folder, parent=parent)
    return result, from_trained(result, resolved, store, folder) if trains(step.experiment) else source


def _steps_table(rows: list[dict[str, Any]]) -> Table:
    import pandas as pd

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
