"""Views for MLflow's UI: which columns its run list shows, kept as tags of the MLflow experiment.

Without one the list shows times and sources only. The UI offers them under "Views", and opens one by
``?viewStateShareKey=<key>`` in its address.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

VIEW_TAG = "mlflow.sharedViewState."
CREATED = 1_750_000_000_000
"""When the views were made, as the UI sorts them by; fixed, so that equal views are equal texts."""
RUNS, STEERING, NESTED = "paribus", "paribus_steering", "paribus_studies"
WHAT = ("experiment_type", "evidence", "training", "seed", "model")
IMAGES = ("head_ood_acc_raw", "head_ood_acc_ablated", "ood_delta", "delta_acc", "signed_swap_effect")
STEERED = ("head_ood_acc_raw", "delta_acc", "margin_shift_per_alpha", "trend_p", "cos_head")
STUDY = ("train.ood_acc", "probe.domain_probe_balanced_accuracy", "ablation.ood_delta", "steering.delta_acc",
         "swap.signed_swap_effect")  # fmt: skip
LATEST_NESTED = "attributes.start_time"
LATEST_FLAT = "tags.`mlflow.source.name`"
"""Equal in all runs, so that the latest stands first; the UI nests runs where it sorts by their start itself."""
WIDTHS = {"tags.`experiment_type`": 190, "tags.`seed`": 70, "attributes.`Description`": 420}


@dataclass(frozen=True)
class View:
    """One way to look at the runs.

    Attributes:
        name: What the UI calls it.
        where: Which runs, in MLflow's search syntax.
        tags: Tags shown as columns.
        metrics: Metrics shown as columns.
        flat: Whether nested runs stand in the list like all others, or under their parents.
    """

    name: str
    tags: tuple[str, ...] = WHAT
    metrics: tuple[str, ...] = ()
    where: str = ""
    flat: bool = True

    def text(self) -> str:
        """Return it as the UI reads it."""
        columns = [
            *(f"tags.`{name}`" for name in self.tags),
            *(f"metrics.`{name}`" for name in self.metrics),
            "attributes.`Description`",
            "attributes.`Dataset`",
        ]
        state = {
            "searchFilter": self.where,
            "orderByKey": LATEST_FLAT if self.flat else LATEST_NESTED,
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns,
            "columnOrder": ["attributes.`Run Name`", *columns],
            "columnWidths": WIDTHS,
        }
        envelope = {"name": self.name, "createdAt": CREATED, "updatedAt": CREATED, "state": json.dumps(state)}
        return json.dumps(envelope)


VIEWS: Mapping[str, View] = {
    RUNS: View("All runs", metrics=("mean_delta", "n_samples", *IMAGES)),
    STEERING: View("Steering", metrics=STEERED, where="tags.experiment_type = 'activation_steering'"),
    NESTED: View("Studies", tags=("study", "training", "seed"), metrics=STUDY, flat=False),
}


def missing(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to set on an MLflow experiment, which has ``tags``, for the UI to offer the views."""
    wanted = {f"{VIEW_TAG}{key}": view.text() for key, view in VIEWS.items()}
    return {name: text for name, text in wanted.items() if tags.get(name) != text}


def addresses(database: Path, base: str) -> dict[str, str]:
    """Return where the UI shows the runs of each MLflow experiment, by name, the latest first.

    Args:
        database: Path of an embedded store's database, which is only read, without MLflow.
        base: Where the UI is, e.g. ``http://127.0.0.1:5000``.
    """
    query = (
        "select e.experiment_id, e.name, exists(select 1 from experiment_tags t "
        "where t.experiment_id = e.experiment_id and t.key = ?) from experiments e "
        "join runs r on r.experiment_id = e.experiment_id "
        "where e.lifecycle_stage = 'active' group by e.experiment_id order by max(r.start_time) desc"
    )
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=20.0)) as connection:
        rows = connection.execute(query, (f"{VIEW_TAG}{RUNS}",)).fetchall()
    return {
        str(name): f"{base}/#/experiments/{number}/runs" + (f"?viewStateShareKey={RUNS}" if viewed else "")
        for number, name, viewed in rows
    }
