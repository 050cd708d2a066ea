"""Groups of a comparison as runs of a tracking UI: means, ends of intervals and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from paribus.results.schema import Curve
from paribus.tracking.groups import GroupRun, Groups
from paribus.tracking.metrics import CURVE, CURVE_MILLI, curve_points
from paribus.tracking.params import param_key

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.kept import KeptRun

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
ENDS = {"mean": "mean", "low": "ci_low", "high": "ci_high"}
TAGS = ("training", "n_train", "seed", "model_seed", "feature", "model", "study", "sweep", "experiment_type")
"""Names that group runs by one of their tags; all others are params."""
GROUPED = {"compare": ("groups", "metric", "group", "n_units"),
           "compare_interventions": ("conditions", "endpoint", "training", "n_seeds"),
           "compare_modular_addition": ("arms", "endpoint", "arm", "n_seeds")}  # fmt: skip
"""By type of the comparison the table of its groups, and its columns of metric, group and number of units."""
MADE_FROM = {"compare": ("runs", "group"), "compare_interventions": ("run_effects", "training"),
             "compare_modular_addition": ("outcomes", "arm")}  # fmt: skip
"""By type of the comparison the table of the runs that it is made from, and its column of the group."""
MOST_COMPARED = 12
EPOCH = "epoch"
"""The level of the curves that trainings log while they run, under the name of their column."""


def groups_of(result: Result, kept: KeptRun, same: str, replicates: Sequence[KeptRun]) -> Groups | None:
    """Return the groups of a comparison; None where it has none.

    Args:
        result: The result of the comparison.
        kept: Its run.
        same: Key shared by repeats of the same comparison.
        replicates: The runs that it was made from.
    """
    if result.experiment_type not in GROUPED:
        return None
    table, metric, group, n = GROUPED[result.experiment_type]
    if table not in result.tables or result.tables[table].frame.empty:
        return None
    frame = result.tables[table].frame.rename(columns={metric: "metric", group: "group", n: "n"})
    curves = result.tables["curves"].frame if "curves" in result.tables else pd.DataFrame()
    runs, lines = [], []
    for index, name in enumerate(pd.unique(frame["group"])):
        drawn = _curves(curves, str(name))
        lines += [keys for curve in drawn for keys in [_keys(curve)] if keys not in lines]
        runs.append(
            GroupRun(
                name=f"{name} ({result.experiment_type})",
                group=str(name),
                colour=COLOURS[index % len(COLOURS)],
                metrics=_metrics(frame[frame["group"] == name]),
                curves=tuple(each for curve in drawn for each in curve),
                sources=made_from(result, str(name)),
            )
        )
    compared, histories = _compared(result, frame, replicates)
    return Groups(kept, same, tuple(runs), tuple(lines), _types(result), _group_by(result), compared, histories)


def _metrics(rows: pd.DataFrame) -> dict[str, float]:
    """Return means, interval ends and counts of a group, under names that no replicate uses."""
    found: dict[str, float] = {}
    for _, row in rows.iterrows():
        found |= {f"{end}/{row['metric']}": float(row[column]) for end, column in ENDS.items()}
        found[f"units/{row['metric']}"] = float(row["n"])
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _curves(table: pd.DataFrame, group: str) -> list[tuple[Curve, ...]]:
    """Return for each curve of a group its mean and interval ends, with the curve's name where there are several."""
    if table.empty:
        return []
    several, found = table["curve"].nunique() > 1, []
    for name, rows in table[table["group"] == group].groupby("curve", sort=False):
        levels = pd.to_numeric(rows["level"], errors="coerce")
        if levels.isna().any():
            continue
        head = f"{name}/" if several else ""
        found.append(tuple(Curve(f"{head}{end}", tuple(levels), tuple(rows[column])) for end, column in ENDS.items()))
    return found


def _keys(curve: Sequence[Curve]) -> tuple[str, ...]:
    """Return the metric names of a mean and the ends of its interval."""
    return tuple(point.name for each in curve for point in curve_points(each)[:1])


def made_from(result: Result, group: str | None = None) -> tuple[str, ...]:
    """Return the ids of the runs that a comparison, or a group of it, is made from; none where it has no groups.

    Args:
        result: The result of the comparison.
        group: The group; None: all.
    """
    name, column = MADE_FROM.get(result.experiment_type, ("", ""))
    if name not in result.tables:
        return ()
    frame = result.tables[name].frame
    mine = frame if group is None else frame[frame[column].astype(str) == group]
    return tuple(dict.fromkeys(mine["run_id"]))


def _experiment(result: Result) -> Mapping[str, Any]:
    node = result.config.get("experiment")
    return node if isinstance(node, Mapping) else {}


def _types(result: Result) -> tuple[str, ...]:
    if result.experiment_type != "compare":
        return ()
    kind = _experiment(result).get("experiment_type")
    return (str(kind),) if kind and not _experiment(result).get("endpoints") else ()


def _group_by(result: Result) -> tuple[tuple[str, str], ...]:
    names = _experiment(result).get("group_by") or ["training"]
    return tuple(("tag" if name in TAGS else "param", str(name).removeprefix("tag.")) for name in names)


def _compared(
    result: Result, frame: pd.DataFrame, replicates: Sequence[KeptRun]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which metrics of the replicates were compared, and which of them are curves (metric histories).

    Where replicates keep no history of a compared curve, the histories that they do keep are returned under their own
    names: a dose-response is compared by its effects, and keeps the activation over the same levels.
    """
    known = {name for run in replicates for name in run.metrics}
    curves = [text.partition("@")[0].partition(":") for text in _experiment(result).get("curves") or []]
    # a metric that has the name of a column is a history only where it was kept epoch by epoch
    histories = [
        param_key(f"{head}{where.partition('.')[2]}")
        for where, _, level in curves
        for head in (CURVE, CURVE_MILLI, *([""] if level == EPOCH else []))
    ]
    if curves and not known.intersection(histories):
        levels = {param_key(f"{CURVE_MILLI}{level}") for _, _, level in curves}
        histories = sorted(name for name in known - levels if name.startswith((CURVE, CURVE_MILLI)))
    wanted = dict.fromkeys([*histories, *(str(name) for name in pd.unique(frame["metric"]))])
    compared = tuple(name for name in wanted if name in known)[:MOST_COMPARED]
    return compared, tuple(name for name in compared if name in histories)
