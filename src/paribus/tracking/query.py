"""All runs as one table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from paribus.tracking.local import moved
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec, database, has_runs

if TYPE_CHECKING:
    from paribus.tracking.kept import KeptRun

log = logging.getLogger("paribus")
INTERNAL_TAGS = ("mlflow.", "paribus.", "non_finite_metrics")
FIRST = ("run_id", "name", "status", "experiment", "started_at", "duration_seconds", "parent")


def load_runs(
    experiment: str | None = None,
    *,
    where: str = "",
    limit: int | None = None,
    tracking: TrackingSpec | None = None,
) -> pd.DataFrame:
    """Return runs as a table, the latest first.

    Args:
        experiment: Name of the MLflow experiment (the study); None for all of them.
        where: A filter in MLflow's search syntax, e.g. ``tags.training = 'grokking'``.
        limit: The most runs to return.
        tracking: Which store; by default the embedded one in the working folder.

    Returns:
        One row per run: ``run_id, name, status, experiment, started_at, duration_seconds, parent``, then the
        params (``params.<name>``, typed), metrics (``metrics.<name>``) and tags (``tags.<name>``).

    Example:
        >>> load_runs("shortcut_digits", where="tags.training = 'grokking'").columns.tolist()[:4]
        ['run_id', 'name', 'status', 'experiment']
    """
    spec = tracking or TrackingSpec(experiment=experiment or "paribus")
    if experiment is not None and spec.experiment != experiment:
        spec = replace(spec, experiment=experiment)
    if not has_runs(spec):  # a query must not create a store
        return runs_frame([])
    if spec.kind == "local" and (said := moved(database(spec).parent)) is not None:
        log.warning(said)
    store = open_store(spec, writing=False)
    return runs_frame(store.runs(where=where, limit=limit, everywhere=experiment is None))


def runs_frame(runs: Sequence[KeptRun]) -> pd.DataFrame:
    """Return runs as a table with one row each; a column that only some runs have is empty in the others."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        duration = (run.ended_at - run.started_at).total_seconds() if run.ended_at else None
        row: dict[str, Any] = {
            "run_id": run.run_id,
            "name": run.name,
            "status": run.status,
            "experiment": run.experiment,
            "started_at": run.started_at,
            "duration_seconds": duration,
            "parent": run.parent,
        }
        row |= {f"params.{name}": value for name, value in run.params.items()}
        row |= {f"metrics.{name}": value for name, value in run.metrics.items()}
        row |= {f"tags.{name}": value for name, value in run.tags.items() if not name.startswith(INTERNAL_TAGS)}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    later = sorted(name for name in names if name not in FIRST)
    return pd.DataFrame(rows, columns=[*FIRST, *later])
