"""Runs that represent groups of others, so that a tracking UI's own columns and charts show means and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from paribus.tracking import _mlflow, views
from paribus.tracking.groups import GroupRun, Groups
from paribus.tracking.metrics import curve_points, split_finite
from paribus.tracking.run import METRICS_PER_BATCH

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from paribus.tracking.kept import KeptRun

ROLE_TAG, DERIVED = "paribus.role", "derived"
FROM_TAG = "paribus.derived_from"
SAME_TAG = "paribus.comparison"
SUPERSEDES_TAG = "paribus.supersedes"
MOST_LINKED = 60
LONGEST_TAG = 4_900


def keep(client: MlflowClient, experiment_id: str, groups: Groups, earlier: Sequence[KeptRun]) -> list[str]:
    """Keep the groups as finished runs, offer the two views, and return the runs' ids.

    Their start is set just before that of their comparison, which thus remains the latest run. Superseded runs stay
    unchanged; the newer ones name them.

    Args:
        client: The client of the store.
        experiment_id: The MLflow experiment.
        groups: The groups.
        earlier: Derived runs of earlier comparisons with the same request.
    """
    ids = []
    for index, group in enumerate(groups.runs):
        began = int((groups.comparison.started_at - timedelta(milliseconds=index + 1)).timestamp() * 1000)
        superseded = [run.run_id for run in earlier if run.tags.get("group") == group.group]
        tags = _tags(experiment_id, groups, group, superseded)
        run = client.create_run(experiment_id, start_time=began, tags=tags, run_name=group.name)
        run_id = str(run.info.run_id)
        points = split_finite(group.metrics)[0] + [point for curve in group.curves for point in curve_points(curve)]
        for start in range(0, len(points), METRICS_PER_BATCH):
            batch = points[start : start + METRICS_PER_BATCH]
            client.log_batch(run_id, [_mlflow.Metric(each.name, each.value, began, each.step) for each in batch])
        client.set_terminated(run_id, "FINISHED")
        ids.append(run_id)
    for key, view in views.of_comparison(groups).items():
        client.set_experiment_tag(experiment_id, f"{views.VIEW_TAG}{key}", view.text())
    return ids


def is_derived(run: KeptRun) -> bool:
    """Return whether a run represents a group of others."""
    return run.tags.get(ROLE_TAG) == DERIVED


def _tags(experiment_id: str, groups: Groups, group: GroupRun, superseded: Sequence[str]) -> dict[str, str]:
    """Return the tags of a group's run, without training condition and identity, so that it is not used as a run."""
    page = f"#/experiments/{experiment_id}/runs"
    links = [f"[{run_id[:8]}]({page}/{run_id})" for run_id in group.sources[:MOST_LINKED]]
    more = f" and {len(group.sources) - MOST_LINKED} more" if len(group.sources) > MOST_LINKED else ""
    comparison = groups.comparison.run_id
    said = (
        f"Mean and interval of the group **{group.group}**, from [the comparison {comparison[:8]}]({page}/{comparison})"
        f".  \nRuns: {', '.join(links)}{more}"
    )
    found = {
        ROLE_TAG: DERIVED,
        FROM_TAG: comparison,
        SAME_TAG: groups.same,
        SUPERSEDES_TAG: ",".join(superseded)[:LONGEST_TAG],
        "group": group.group,
        "evidence": "comparison",
        "experiment_type": "group",
        "mlflow.runColor": group.colour,
        "mlflow.source.name": "paribus",
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": said,
    }
    return {name: value for name, value in found.items() if value}
