"""Tables, figures and metrics of the isolation of circles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens._circuit import COMPLETE
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table, ends

READ = ("accuracy", "margin", "kl")
COLUMNS = {
    "epoch": "epoch of the checkpoint",
    "checkpoint": "the same as text, where there are several",
    "circle": "whose plane of the embedding is kept or removed; its number is its frequency",
    "frequency": "turns of the circle; missing for all together",
    "rank": "dimension of what is kept or removed",
    "share": "share of the embedding's variance in it",
    "op": "keep: everything else is set to the mean embedding; remove: it is set to the mean embedding",
    "accuracy_raw": "share of all pairs answered right by the unedited network",
    "accuracy": "the same under the edit",
    "n_correct": "pairs answered right under the edit",
    "margin_raw": "mean over pairs of the right logit minus the mean of the others, unedited",
    "margin": "the same under the edit",
    "delta": "margin - margin_raw",
    "delta_accuracy": "accuracy - accuracy_raw",
    "ci_low": "missing: all inputs are measured",
    "ci_high": "missing: all inputs are measured",
    "ci_method": "none: why there is no interval",
    "kl": "mean KL divergence from the unedited output, in nats",
    "null_kind": "isotropic: random subspaces of the same rank; covariance: drawn with the embedding's covariance",
    "n_null": "how many of them",
    "null_low": "2.5 % quantile of delta under them",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "null_percentile": "percentile of delta among them, 0 to 100; not a p",
    "accuracy_null_low": "2.5 % quantile of delta_accuracy under them",
    "accuracy_null_median": "median of that null",
    "accuracy_null_high": "97.5 % quantile of that null",
    "accuracy_null_percentile": "percentile of delta_accuracy among them, 0 to 100; not a p",
}
VALUES = (
    "n_circles", "kept_accuracy", "all_kept_accuracy", "removed_accuracy", "kept_percentile", "removed_percentile",
)  # fmt: skip
SUMMARY = {
    "epoch": "epoch of the checkpoint",
    "n_circles": "circles of the embedding",
    "kept_accuracy": "mean over circles of the accuracy with only this circle; missing without circles",
    "all_kept_accuracy": "accuracy with all circles and nothing else; missing where they are not kept together; with a "
    "single circle its own accuracy",
    "removed_accuracy": "mean over circles of the accuracy without this circle",
    "kept_percentile": "mean over circles of the percentile of the kept margin among planes with the embedding's "
    "covariance",
    "removed_percentile": "the same of the margin without it",
}


def report(recorder: Recorder, rows: list[dict[str, Any]], setup: NetworkSetup) -> Aggregates:
    """Hand everything over and return the aggregates."""
    epochs = [checkpoint.epoch for checkpoint in setup.selected()]
    names = [name for name in COLUMNS if name not in ("checkpoint", "ci_low", "ci_high", "ci_method")]
    frame = pd.DataFrame(rows, columns=names)
    if len(epochs) > 1:
        frame.insert(1, "checkpoint", [f"epoch {epoch}" for epoch in frame["epoch"]])
    place = list(frame.columns).index("delta_accuracy") + 1
    frame.insert(place, "ci_low", np.nan)
    frame.insert(place + 1, "ci_high", np.nan)
    frame.insert(place + 2, "ci_method", COMPLETE)
    about = f"One row per circle, op and kind of null, over all {len(setup.contexts)} pairs. Population: complete."
    recorder.table(Table("isolation", about, Evidence.INTERVENTIONAL, frame, COLUMNS))
    summary = pd.DataFrame([_summary(epoch, frame[frame["epoch"] == epoch]) for epoch in epochs])
    about = "One row per checkpoint: what its circles do on average."
    recorder.table(Table("isolation_summary", about, Evidence.INTERVENTIONAL, summary, SUMMARY))
    last = summary.iloc[-1]
    if not last["n_circles"]:
        recorder.warn("The embedding has no circle: nothing is kept or removed.")
    for name in VALUES:
        if last[name] == last[name]:
            recorder.metric(name, float(last[name]))
    _figures(recorder, frame, setup)
    return Aggregates(
        n_samples=len(setup.contexts),
        n_conditions=len(frame),
        custom={
            "population": "complete",
            **{name: float(last[name]) for name in VALUES},
            "n_null": setup.stats.n_null,
        },
    )


def _summary(epoch: int, rows: pd.DataFrame) -> dict[str, Any]:
    beside = rows[rows["null_kind"] == "covariance"]
    single, together = beside[beside["rank"] == 2], beside[beside["rank"] > 2]
    kept, removed = single[single["op"] == "keep"], single[single["op"] == "remove"]
    return {
        "epoch": epoch,
        "n_circles": single["circle"].nunique(),
        "kept_accuracy": kept["accuracy"].mean(),
        "all_kept_accuracy": _all_kept(kept, together[together["op"] == "keep"]),
        "removed_accuracy": removed["accuracy"].mean(),
        "kept_percentile": kept["null_percentile"].mean(),
        "removed_percentile": removed["null_percentile"].mean(),
    }


def _all_kept(single: pd.DataFrame, together: pd.DataFrame) -> float:
    """Return the accuracy with all circles; a single one is all there are."""
    rows = together if len(together) else single if len(single) == 1 else together
    return float(rows["accuracy"].iloc[0]) if len(rows) else float("nan")


def _figures(recorder: Recorder, frame: pd.DataFrame, setup: NetworkSetup) -> None:
    last = frame[frame["epoch"] == frame["epoch"].max()]
    if not len(last):
        return
    shown = last.assign(shown=[f"{op}, {kind} planes" for op, kind in zip(last["op"], last["null_kind"], strict=True)])
    about = "The rows of isolation at the last checkpoint, for the figures."
    columns = {**COLUMNS, "shown": "op and kind of null, a panel each"}
    recorder.table(Table("isolation_shown", about, Evidence.INTERVENTIONAL, shown, columns))
    for name, value, null, label, about in (
        ("isolation", "delta", "", "change of the margin (logit)", "Margin"),
        ("isolation_accuracy", "delta_accuracy", "accuracy_", "change of accuracy", "Accuracy"),
    ):
        roles = {"label": "circle", "value": value, "panel": "shown"}
        roles |= ends(f"{null}null", "null_") if setup.stats.n_null else {}
        says = (
            "Hatched: 2.5 to 97.5 % of random subspaces of the same rank. Removing an isotropic plane does next to "
            "nothing, so only the other null says how special a circle is there."
        )
        looks = {"ylabel": label, "reference": 0, "sort": False, "null_label": "random planes"}
        drawn = Figure.of("bars", "isolation_shown", name=name, **roles)
        recorder.figure(drawn.titled(f"{about} with one circle of the embedding kept or removed", says, **looks))
