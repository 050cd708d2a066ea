"""Tables, figures and the summary of a probe trajectory."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.headline import estimate
from paribus.experiments.shortcut.probe_trajectory.spec import TARGETS
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Curve, Figure, Table

CAPTION = "What can be read, not what is used: a network may carry what it never acts on."
COLUMNS = {
    "layer": "module whose output is probed; maps are averaged over positions",
    "target": "what the probe reads",
    "accuracy": "share of held-out rows read rightly",
    "balanced_accuracy": "mean recall over the classes of the target, rows weighed as in fitting",
    "ci_low": "lower end of the interval of balanced_accuracy by cluster",
    "ci_high": "upper end of it",
    "ci_method": "how it was made: resampled clusters, or Wilson's of each class where there is no error to resample",
    "ci_adj_low": "lower end of the interval that holds for all rows of this table together (Bonferroni); a target is "
    "read from the first epoch on at which it lies above chance",
    "ci_adj_high": "upper end of it",
    "chance": "balanced accuracy of guessing",
    "control_accuracy": "balanced accuracy of probes fitted and scored on permuted targets",
    "selectivity": "balanced accuracy minus that of the control",
    "l2": "penalty chosen by cross-validation over clusters",
}


def report(frame: pd.DataFrame, layers: list[str], recorder: Recorder) -> Aggregates:
    """Hand tables, figures and curves over and return what they sum up to."""
    _hand_over(frame, recorder)
    last = frame[(frame["epoch"] == frame["epoch"].max()) & (frame["layer"] == layers[-1])].set_index("target")
    custom: dict[str, Any] = {"headline_layer": layers[-1], "headline_epoch": int(frame["epoch"].max())}
    for target in TARGETS:
        rows = frame[(frame["target"] == target) & (frame["layer"] == layers[-1])].sort_values("epoch")
        read = rows[rows["ci_adj_low"] > rows["chance"]]
        custom[f"{target}_balanced_accuracy"] = float(last.loc[target, "balanced_accuracy"])
        custom[f"{target}_selectivity"] = float(last.loc[target, "selectivity"])
        custom[f"{target}_first_read_epoch"] = int(read["epoch"].iloc[0]) if len(read) else None
        name, row = f"{target}_probe_balanced_accuracy", last.loc[target]
        estimate(recorder, name, row["balanced_accuracy"], row["ci_low"], row["ci_high"])
        for layer, group in frame[frame["target"] == target].groupby("layer", sort=False):
            group = group.sort_values("epoch")
            recorder.curve(
                Curve(
                    name=f"{target}_probe_{str(layer).replace('.', '_')}",
                    levels=tuple(float(epoch) for epoch in group["epoch"]),
                    values=tuple(float(value) for value in group["balanced_accuracy"]),
                    level_name="epoch",
                )
            )
    return Aggregates(
        mean_delta=custom["domain_selectivity"],
        n_samples=int(frame["n"].iloc[0]),
        n_conditions=len(frame),
        custom=custom,
    )


def _hand_over(frame: pd.DataFrame, recorder: Recorder) -> None:
    recorder.table(
        Table(
            name="probes",
            description="One row per checkpoint, layer and target: a linear probe, scored on held-out rows.",
            evidence=Evidence.OBSERVATIONAL,
            frame=frame,
            columns=COLUMNS,
        )
    )
    single = frame["epoch"].nunique() == 1
    for target in TARGETS if not single else ():
        rows = frame[frame["target"] == target].reset_index(drop=True)
        table = Table(
            name=f"{target}_probes",
            description=f"The rows of `probes` that read the {target}.",
            evidence=Evidence.OBSERVATIONAL,
            frame=rows,
            columns=COLUMNS,
        )
        recorder.table(table)
        recorder.figure(_heatmap(target, table.name, chance=float(rows["chance"].iloc[0])))
    recorder.figure(_forest() if single else _curves())


def _heatmap(target: str, table: str, *, chance: float) -> Figure:
    return Figure(
        name=f"{target}_probes_heatmap",
        kind="heatmap",
        tables=(table,),
        columns={"x": "epoch", "y": "layer", "value": "balanced_accuracy"},
        title=f"How well the {target} can be read, by layer and epoch",
        caption=f"{CAPTION} The scale starts at chance.",
        options={
            "xlabel": "epoch",
            "ylabel": "layer",
            "value_label": "balanced accuracy",
            "vmin": chance,
            "vmax": 1.0,
        },
    )


def _curves() -> Figure:
    return Figure(
        name="probe_curves",
        kind="curve",
        tables=("probes",),
        columns={
            "x": "epoch",
            "y": "balanced_accuracy",
            "low": "ci_low",
            "high": "ci_high",
            "group": "layer",
            "panel": "target",
            "null": "control_accuracy",
        },
        title="Linear probes of domain and label over training",
        caption=CAPTION,
        options={
            "xlabel": "epoch",
            "ylabel": "balanced accuracy, held out",
            "null_label": "permuted targets",
            "logx": "auto",
        },
    )


def _forest() -> Figure:
    return Figure(
        name="probe_layers",
        kind="forest",
        tables=("probes",),
        columns={
            "label": "layer",
            "value": "balanced_accuracy",
            "low": "ci_low",
            "high": "ci_high",
            "panel": "target",
            "null": "control_accuracy",
        },
        title="Linear probes of domain and label by layer",
        caption=CAPTION,
        options={"xlabel": "balanced accuracy, held out", "null_label": "permuted targets", "xlim": [0.2, 1.0]},
    )
