"""Views for MLflow's UI: which columns its run list shows, kept as tags of the MLflow experiment.

Without one the list shows times and sources only. The UI offers them under "Views", and opens one by
``?viewStateShareKey=<key>`` in its address.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.tracking.embedded import opened

if TYPE_CHECKING:
    from paribus.tracking.groups import Groups

VIEW_TAG = "mlflow.sharedViewState."
CREATED = 1_750_000_000_000
"""Creation time of the views, by which the UI sorts them; fixed, so that equal views are equal texts."""
RUNS, NESTED = "paribus", "paribus_studies"
WHAT = ("experiment_type", "evidence", "training", "n_train", "seed", "feature", "model")


def with_ends(*names: str, end: str = "ci") -> tuple[str, ...]:
    """Return metrics, each followed by the ends of its interval.

    >>> with_ends("ood_delta")
    ('ood_delta', 'ood_delta_ci_low', 'ood_delta_ci_high')
    """
    return tuple(f"{name}{suffix}" for name in names for suffix in ("", f"_{end}_low", f"_{end}_high"))


ENDS = with_ends("head_ood_acc_raw", "ood_delta", "margin_slope_in_sd", "accuracy_area", "signed_swap_effect",
                 "domain_probe_balanced_accuracy")  # fmt: skip
LARGEST = with_ends("max_effect", "max_interaction", "largest_interaction", "max_swap_effect", end="ci_adj")
STEERED = (*with_ends("head_ood_acc_raw", "margin_slope_in_sd", "accuracy_area"), "delta_acc", "trend_p", "cos_head")
DOSED = (*with_ends("max_effect", end="ci_adj"), "mean_delta", "max_rung", "threshold_rung", "n_samples")
TRAINED = ("best_val", "best_ood", "final_ood", "final_id_val", "train_acc", "val_acc", "ood_acc", "best_val_loss",
           "best_recall", "final_explained_variance")  # fmt: skip
PROBED = with_ends("domain_probe_balanced_accuracy", "label_probe_balanced_accuracy")
STUDY = ("train.ood_acc", "probe.domain_probe_balanced_accuracy", *with_ends("ablation.ood_delta"),
         *with_ends("steering.accuracy_area"), *with_ends("swap.signed_swap_effect"))  # fmt: skip
LATEST_NESTED = "attributes.start_time"
LATEST_FLAT = "tags.`mlflow.source.name`"
"""Column that is equal in all runs, so that the latest comes first; sorting by start makes the UI nest runs."""
WIDTHS = {"attributes.`Run Name`": 330, "tags.`experiment_type`": 190, "tags.`seed`": 70, "tags.`n_train`": 80,
          "attributes.`Description`": 420}  # fmt: skip
CHART = "&compareRunsMode=CHART"


@dataclass(frozen=True)
class View:
    """One view of the runs.

    Attributes:
        name: What the UI calls it.
        tags: Tags shown as columns.
        metrics: Metrics shown as columns; those that no run has do not appear.
        types: Experiment types it shows; one that ends in ``*`` means all that begin so. Empty: all.
        flat: Whether nested runs are in the list like all others, or under their parents.
        curves: Description of its curves, if it is to be opened with its charts; else empty.
        only: A filter of runs in MLflow's search syntax, if types are not enough.
        lines: Charts, by the metrics in each: lines of several metrics or of a history, else bars.
        histories: Names of metrics that are curves.
        grouped: What the UI groups the runs by: ``tag`` or ``param``, and the name.
    """

    name: str
    tags: tuple[str, ...] = WHAT
    metrics: tuple[str, ...] = ()
    types: str = ""
    flat: bool = True
    curves: str = ""
    only: str = ""
    lines: tuple[tuple[str, ...], ...] = ()
    histories: tuple[str, ...] = ()
    grouped: tuple[tuple[str, str], ...] = ()

    @property
    def where(self) -> str:
        """Which runs, in MLflow's search syntax."""
        if self.only or not self.types:
            return self.only
        if self.types.endswith("*"):
            return f"tags.experiment_type LIKE '{self.types[:-1]}%'"
        return f"tags.experiment_type = '{self.types}'"

    def shows(self, types: Iterable[str]) -> bool:
        """Return whether it has runs, given the experiment types that were run."""
        return any(fnmatchcase(kind, self.types or "*") for kind in types)

    def state(self) -> dict[str, object]:
        """Return it as the state of the UI's page.

        Every run is drawn, not the first ten alone, over the step and not over time.
        """
        columns = [
            *(f"tags.`{name}`" for name in self.tags),
            *(f"metrics.`{name}`" for name in self.metrics),
            "attributes.`Description`",
            "attributes.`Dataset`",
        ]
        return self._charts() | {
            "searchFilter": self.where,
            "orderByKey": LATEST_FLAT if self.flat else LATEST_NESTED,
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns,
            "columnOrder": ["attributes.`Run Name`", *columns],
            "columnWidths": WIDTHS | {f"metrics.`{name}`": 40 + 8 * len(name) for name in self.metrics},
            "runsHiddenMode": "SHOWALL",
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        }

    def _charts(self) -> dict[str, object]:
        """Return the state of charts that are not left to the UI; the section takes no generated ones in."""
        found: dict[str, object] = {}
        if self.lines:
            charts = [_chart(index, names, self.histories) for index, names in enumerate(self.lines)]
            found |= {
                "compareRunCharts": charts,
                "compareRunSections": [{"uuid": SECTION, "name": self.name, "display": True, "isReordered": True}],
                "isAccordionReordered": True,
            }
        if self.grouped:
            keys = [{"mode": mode, "groupByData": name} for mode, name in self.grouped]
            found["groupBy"] = {"aggregateFunction": "average", "groupByKeys": keys}
        return found

    def text(self) -> str:
        """Return it as the UI keeps it in a tag."""
        state = json.dumps(self.state())
        return json.dumps({"name": self.name, "createdAt": CREATED, "updatedAt": CREATED, "state": state})


SECTION = "paribus"


def _chart(index: int, names: Sequence[str], histories: Sequence[str]) -> dict[str, object]:
    """Return the state of one chart: bars of one metric, or lines of several over their steps."""
    lines = len(names) > 1 or names[0] in histories
    chart: dict[str, object] = {
        "type": "LINE" if lines else "BAR",
        "uuid": f"{SECTION}{index}",
        "metricSectionId": SECTION,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
        "metricKey": names[0],
        "displayName": ", ".join(names),
    }
    if lines:
        chart |= {
            "selectedMetricKeys": list(names),
            "xAxisKey": "step",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "lineSmoothness": 0,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
            "range": {},
        }
    return chart


def of_comparison(groups: Groups) -> dict[str, View]:
    """Return the views of a comparison, by key: its groups with their bounds, and its replicates grouped by the UI."""
    key = groups.same[:8]
    listed = ", ".join(f"'{kind}'" for kind in groups.replicates)
    names = sorted({name for run in groups.runs for name in run.metrics})
    scalars = tuple((name,) for name in names if name.startswith("mean/"))
    found = {
        f"paribus_groups_{key}": View(
            f"Groups {key}",
            tags=("group",),
            metrics=tuple(names),
            only=f"tags.`paribus.derived_from` = '{groups.comparison.run_id}'",
            lines=(*groups.lines, *scalars),
            histories=tuple(name for names in groups.lines for name in names),
        )
    }
    if groups.replicates:
        kinds = f"tags.experiment_type = {listed}" if len(groups.replicates) == 1 else (
            f"tags.experiment_type IN ({listed})")  # fmt: skip
        found[f"paribus_replicates_{key}"] = View(
            f"Replicates {key}",
            metrics=groups.compared,
            only=f"{kinds} and attributes.status = 'FINISHED'",
            lines=tuple((name,) for name in groups.compared),
            histories=groups.histories,
            grouped=groups.group_by,
        )
    return found


VIEWS: Mapping[str, View] = {
    RUNS: View("All runs", metrics=("mean_delta", "n_samples", *ENDS, *LARGEST)),
    "paribus_steering": View("Steering", metrics=STEERED, types="activation_steering", curves="steering curves"),
    "paribus_doses": View("Dose-response", metrics=DOSED, types="family_1d_sweep", curves="dose-response curves"),
    "paribus_training": View("Training", metrics=TRAINED, types="train_*", curves="training curves"),
    "paribus_probes": View("Probes", metrics=PROBED, types="probe_trajectory", curves="probes over training"),
    NESTED: View("Studies", tags=("study", "training", "seed"), metrics=STUDY, flat=False),
}


@dataclass(frozen=True)
class Address:
    """Where the UI shows something.

    Attributes:
        study: Name of the MLflow experiment.
        what: What is shown: ``runs``, or curves.
        url: The address.
    """

    study: str
    what: str
    url: str


def missing(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to set on an MLflow experiment, which has ``tags``, for the UI to offer the views."""
    wanted = {f"{VIEW_TAG}{key}": view.text() for key, view in VIEWS.items()}
    return {name: text for name, text in wanted.items() if tags.get(name) != text}


def addresses(database: Path, base: str) -> list[Address]:
    """Return where the UI shows the runs and the curves of each MLflow experiment, the latest first.

    Args:
        database: Path of an embedded store's database, which is only read, without MLflow.
        base: Where the UI is, e.g. ``http://127.0.0.1:5000``.

    Raises:
        DataError: If the database is not readable.
    """
    query = (
        "select e.experiment_id, e.name, exists(select 1 from experiment_tags t "
        "where t.experiment_id = e.experiment_id and t.key = ?), group_concat(distinct k.value) from experiments e "
        "join runs r on r.experiment_id = e.experiment_id "
        "left join tags k on k.run_uuid = r.run_uuid and k.key = 'experiment_type' "
        "where e.lifecycle_stage = 'active' and r.lifecycle_stage = 'active' "
        "group by e.experiment_id order by max(r.start_time) desc"
    )
    with opened(database) as connection:
        rows = connection.execute(query, (f"{VIEW_TAG}{RUNS}",)).fetchall()
        shared = connection.execute(
            "select experiment_id, key, value from experiment_tags where key like ?", (f"{VIEW_TAG}{RUNS}%",)
        ).fetchall()
    found: list[Address] = []
    for number, name, viewed, types in rows:
        tags = {key: value for owner, key, value in shared if owner == number}
        found += of_experiment(base, str(number), str(name), str(types or "").split(",") if viewed else None, tags)
    return found


def of_experiment(
    base: str, number: str, name: str, types: Sequence[str] | None, tags: Mapping[str, str] | None = None
) -> list[Address]:
    """Return where the UI shows one MLflow experiment.

    Args:
        base: Where the UI is.
        number: Id of the MLflow experiment.
        name: Its name.
        types: The experiment types of its runs; None where it has no views.
        tags: Its tags, among which are the views of comparisons.
    """
    page = f"{base}/#/experiments/{number}/runs"
    if types is None:
        return [Address(name, "runs", page)]
    with_curves = [(key, view) for key, view in VIEWS.items() if view.curves and view.shows(types)]
    return [
        Address(name, "runs", f"{page}?viewStateShareKey={RUNS}"),
        *(Address(name, view.curves, f"{page}?viewStateShareKey={key}{CHART}") for key, view in with_curves),
        *(Address(name, what, f"{page}?viewStateShareKey={key}{CHART}") for key, what in _of_comparisons(tags or {})),
    ]


def _of_comparisons(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the keys and names of the views of comparisons."""
    named = ((tag.removeprefix(VIEW_TAG), text) for tag, text in sorted(tags.items()))
    return [
        (key, str(json.loads(text)["name"]).lower())
        for key, text in named
        if key.startswith((f"{RUNS}_groups_", f"{RUNS}_replicates_"))
    ]
