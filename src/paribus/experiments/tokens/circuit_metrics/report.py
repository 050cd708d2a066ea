"""Tables, figures and metrics of the circuit metrics."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.experiments.base import Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table

METRICS = ("distance_irrelevance", "gradient_symmetricity", "circularity")
LABELS = ["distance irrelevance", "gradient symmetricity", "circularity", "accuracy"]
FORMS = ("clock", "pizza", "accompanying")
COLUMNS = {
    "epoch": "epoch of the checkpoint",
    "checkpoint": "the same as text, where there are several",
    "accuracy": "share of all pairs answered right",
    "n_correct": "pairs answered right",
    "n_pairs": "all pairs there are",
    "loss": "cross-entropy over all pairs, in nats",
    "distance_irrelevance": "mean over distances a - b of the sd of the correct logit over sums, divided by its sd "
    "over all pairs: near 0 it depends on the distance alone (pizza), near 1 not at all (clock)",
    "gradient_symmetricity": "mean cosine of a logit's gradients to both embeddings: 1 where only their sum matters",
    "circularity": "mean over the first four principal components of the share of power in one frequency",
    "weight_norm": "Euclidean norm of all parameters",
    "n_circles": "circles of the embedding",
}
CIRCLES = {
    "epoch": "epoch of the checkpoint",
    "checkpoint": "the same as text, where there are several",
    "circle": "its name, by frequency",
    "frequency": "turns of the circle while all numbers are counted once",
    "share": "share of the embedding's variance in its plane",
    "clock": "fraction of the variance of the logits that cos(w (a + b - c)) explains, with only this circle kept",
    "pizza": "the same of |cos(w (a - b) / 2)| (|cos(w (a + b - c) / 2)| - |sin(w (a + b - c) / 2)|)",
    "accompanying": "the same of -(cos(w (2a - c)) + cos(w (2b - c))), w of the frequency it accompanies",
    "accompanies": "the frequency of the circle that it would accompany",
}


def report(recorder: Recorder, metrics: pd.DataFrame, rows: list[dict[str, Any]], p: int) -> Aggregates:
    """Hand everything over and return the aggregates."""
    several = len(metrics) > 1
    circles = pd.DataFrame(rows, columns=[name for name in CIRCLES if name != "checkpoint"])
    for frame in (metrics, circles) if several else ():
        frame.insert(1, "checkpoint", [f"epoch {epoch}" for epoch in frame["epoch"]])
    about = f"One row per checkpoint, over all {p * p} pairs. Formulas: Zhong et al. 2023, arXiv 2306.17844."
    recorder.table(Table("circuit_metrics", about, Evidence.OBSERVATIONAL, metrics, COLUMNS))
    about = "One row per checkpoint and circle of the embedding, the largest first."
    recorder.table(Table("circles", about, Evidence.OBSERVATIONAL, circles, CIRCLES))
    last = metrics.iloc[-1]
    of_last = circles[circles["epoch"] == last["epoch"]].reset_index(drop=True)
    if not len(of_last):
        recorder.warn("The embedding has no circle: no frequency holds more of its variance than others.")
    _figures(recorder, circles, several)
    for name in ("accuracy", *METRICS):
        recorder.metric(name, float(last[name]))
    recorder.metric("n_circles", float(last["n_circles"]))
    best = {form: float(of_last[form].max()) for form in FORMS} if len(of_last) else {}
    return Aggregates(
        n_samples=p * p,
        n_conditions=len(metrics) + len(circles),
        custom={
            "population": "complete",
            **{name: float(last[name]) for name in ("accuracy", *METRICS, "weight_norm")},
            "frequencies": [int(each) for each in of_last["frequency"]],
            **{f"best_{form}": value for form, value in best.items()},
        },
    )


def _figures(recorder: Recorder, circles: pd.DataFrame, several: bool) -> None:
    if len(circles):
        panel = {"panel": "checkpoint"} if several else {}
        drawn = Figure.of("bars", "circles", label="circle", value=list(FORMS), **panel)
        says = (
            "Fraction of the variance of the logits that each formula explains with only this circle kept; a bar below "
            "0 is cut: the formula is worse than none."
        )
        looks = {"xlabel": "fraction of variance explained", "reference": 0, "sort": False, "horizontal": True}
        recorder.figure(drawn.titled("What each circle computes alone", says, **looks, xlim=(-0.2, 1.0)))
    if several:
        drawn = Figure.of("curve", "circuit_metrics", x="epoch", y=[*METRICS, "accuracy"])
        looks = {"xlabel": "epoch", "ylabel": "", "labels": LABELS, "logx": "auto"}
        says = "Over all pairs there are, so without intervals."
        recorder.figure(drawn.titled("The circuit over training", says, **looks))
