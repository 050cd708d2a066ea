"""Tables, figures and the summary of a probe trajectory."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.headline import estimate
from paribus.experiments.shortcut.probe_trajectory.spec import TARGETS
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Curve, Figure, Table

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
            name = f"{target}_probe_{str(layer).replace('.', '_')}"
            recorder.curve(Curve.of(name, group.sort_values("epoch"), "epoch", "balanced_accuracy"))
    return Aggregates(
        mean_delta=custom["domain_selectivity"],
        n_samples=int(frame["n"].iloc[0]),
        n_conditions=len(frame),
        custom=custom,
    )


def _hand_over(frame: pd.DataFrame, recorder: Recorder) -> None:
    says = "One row per checkpoint, layer and target: a linear probe, scored on held-out rows."
    recorder.table(Table("probes", says, Evidence.OBSERVATIONAL, frame, COLUMNS))
    read = {"panel": "target", "null": "control_accuracy", **INTERVAL}
    if frame["epoch"].nunique() == 1:
        drawn = Figure.of("forest", "probes", name="probe_layers", label="layer", value="balanced_accuracy", **read)
        looks = {"xlabel": "balanced accuracy, held out", "null_label": "permuted targets", "xlim": [0.2, 1.0]}
        recorder.figure(drawn.titled("Linear probes of domain and label by layer", CAPTION, **looks))
        return
    for target in TARGETS:
        rows = frame[frame["target"] == target].reset_index(drop=True)
        name, says = f"{target}_probes", f"The rows of `probes` that read the {target}."
        recorder.table(Table(name, says, Evidence.OBSERVATIONAL, rows, COLUMNS))
        drawn = Figure.of("heatmap", name, name=f"{name}_heatmap", x="epoch", y="layer", value="balanced_accuracy")
        says = f"{CAPTION} The scale starts at chance."
        scale = {"value_label": "balanced accuracy", "vmin": float(rows["chance"].iloc[0]), "vmax": 1.0}
        title = f"How well the {target} can be read, by layer and epoch"
        recorder.figure(drawn.titled(title, says, xlabel="epoch", ylabel="layer", **scale))
    drawn = Figure.of("curve", "probes", name="probe_curves", x="epoch", y="balanced_accuracy", group="layer", **read)
    scales: dict[str, Any] = {"logx": "auto", "least_span": 0.1, "null_label": "permuted targets"}
    title, over = "Linear probes of domain and label over training", "balanced accuracy, held out"
    recorder.figure(drawn.titled(title, CAPTION, xlabel="epoch", ylabel=over, **scales))
