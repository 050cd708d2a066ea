"""A run as read from a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from paribus.tracking.metrics import NON_FINITE_TAG, read_non_finite
from paribus.tracking.params import from_text

if TYPE_CHECKING:
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
MODEL_TAG = "produces_model"
TRAINED = f"tags.{MODEL_TAG} = 'true' and attributes.status = 'FINISHED'"
"""The finished runs that produced a model, as a filter of :meth:`~paribus.tracking.interface.Store.runs`."""
SPOOLED_TAG = "mlflow.paribus.spooled"
"""Tag of a run that was spooled while its server was unreachable: its id before delivery."""
ONCE_TAG = "mlflow.paribus.once"
"""Tag of a run that was started because none of its identity existed: of these there must be only one."""
ASKED_TAG = "asked"
"""Tag of a comparison: the identity of its request, whichever runs existed."""
FAILURE_TAG = "failure"
"""Tag of a run that did not finish: the kind of its failure."""
COMMAND_TAG = "command"
"""Tag of the record of a sweep: a digest of its command, by which it is found when it is started again."""


@dataclass(frozen=True)
class KeptRun:
    """One run of a store.

    Attributes:
        run_id: Its id.
        name: Its name in the UI.
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        experiment: Name of the MLflow experiment it is in.
        started_at: When it began (UTC).
        ended_at: When it ended, if it did.
        params: Its params by dotted name, typed.
        metrics: Latest value of each metric, infinity and NaN included.
        tags: Its tags.
        artifact_uri: Where its artifacts are.
    """

    run_id: str
    name: str
    status: str
    experiment: str
    started_at: datetime
    ended_at: datetime | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifact_uri: str

    @property
    def parent(self) -> str | None:
        """Id of the run it is nested in."""
        return self.tags.get(PARENT_TAG)

    @property
    def identity(self) -> str | None:
        """Its identity."""
        return self.tags.get("identity")

    @property
    def experiment_type(self) -> str | None:
        """The experiment type it ran."""
        return self.tags.get("experiment_type")


def kept(run: Run, experiment: str) -> KeptRun:
    """Return an MLflow run with typed values."""
    info, data = run.info, run.data
    return kept_run(
        run_id=info.run_id,
        name=info.run_name,
        status=info.status,
        experiment=experiment,
        start=info.start_time,
        end=info.end_time,
        params={name: from_text(value) for name, value in data.params.items()},
        metrics=data.metrics,
        tags=data.tags,
        artifact_uri=info.artifact_uri,
    )


def kept_run(
    *,
    run_id: str,
    name: str | None,
    status: str,
    experiment: str,
    start: int | None,
    end: int | None,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    artifact_uri: str | None,
) -> KeptRun:
    """Return a run from the values in a store; ``start`` and ``end`` in milliseconds since the epoch."""
    return KeptRun(
        run_id=run_id,
        name=name or tags.get(NAME_TAG, ""),
        status=status,
        experiment=experiment,
        started_at=_time(start or 0),
        ended_at=_time(end) if end else None,
        params=params,
        metrics={**metrics, **read_non_finite(tags.get(NON_FINITE_TAG))},
        tags=dict(tags),
        artifact_uri=artifact_uri or "",
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
