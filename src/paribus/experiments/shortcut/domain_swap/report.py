"""Tables, figures and the summary of a domain swap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._effects import MEANINGS, add_effects
from paribus.experiments.shortcut._styles import Restyled
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Curve, Figure, Table, ends

STYLE_COLUMNS = {
    **MEANINGS,
    "style": "domain in whose style the contents are shown",
    "paired_class": "class that the style goes with in training",
    "head_acc": "accuracy on the contents in this style",
    "delta_acc": "change of accuracy against the mean over the training domains' styles, same contents",
    "mean_margin": "mean margin towards the positive class",
    "delta": "shift of that margin against its mean over the training domains' styles, same contents",
    "flipped": "share of contents whose prediction differs from the one in the first training domain's style",
}
SIGNED_COLUMNS = {
    **MEANINGS,
    "split": "split the contents are from; `all` pools the splits",
    "delta": "margin shift towards the class that a style is paired with, averaged over the paired styles",
    "in_sd": "the same in standard deviations of the margin over contents and training styles, with in_sd_ci_low and "
    "in_sd_ci_high; to be compared between models, whose logits differ in scale",
}

TOLD = (
    *("ci_low", "ci_high", "ci_method", "p", "p_method"),
    *("in_sd", "in_sd_ci_low", "in_sd_ci_high", "in_sd_ci_method"),
)
"""Columns of ``signed_swap`` that the aggregates repeat."""


@dataclass
class Swapped:
    """What was measured.

    Attributes:
        shown: The contents in the style of every domain.
        pooled_name: The split that sums up: all of them together, or the only one.
        members: Places of each split's contents among all.
        clusters: Cluster ids by split.
        styles: One mapping per checkpoint x split x style, without effects.
        style_shifts: For each of them, the shift of each content's margin.
        signed: One mapping per checkpoint x split, without effects.
        signed_shifts: For each of them, each content's shift toward the paired class.
        signed_in_sd: For each of them, the interval of their mean in sd of the margin.
    """

    shown: Restyled
    pooled_name: str
    members: dict[str, Ints]
    clusters: dict[str, Ints]
    styles: list[dict[str, Any]] = field(default_factory=list)
    style_shifts: list[Floats] = field(default_factory=list)
    signed: list[dict[str, Any]] = field(default_factory=list)
    signed_shifts: list[Floats] = field(default_factory=list)
    signed_in_sd: list[dict[str, Any]] = field(default_factory=list)


def report(measured: Swapped, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Add intervals and tests to what was measured, hand everything over, and return what it sums up to."""
    signed = pd.DataFrame(measured.signed)
    styles = pd.DataFrame(measured.styles)
    signed = add_effects(signed, measured.signed_shifts, measured.clusters, setup, recorder, "domain_swap/signed")
    styles = add_effects(styles, measured.style_shifts, measured.clusters, setup, recorder, "domain_swap/styles")
    with np.errstate(invalid="ignore", divide="ignore"):
        signed["in_sd"] = signed["delta"] / signed["margin_sd"]
    signed = signed.join(pd.DataFrame(measured.signed_in_sd))
    _hand_over(styles, signed, recorder, len(setup.contexts.output_names))
    pooled = signed[signed["split"] == measured.pooled_name]
    last = pooled.to_dict("records")[-1]
    at_last = styles[styles["epoch"] == last["epoch"]]
    recorder.curve(Curve.of("signed_swap_effect", pooled, "epoch", "delta"))
    recorder.metric("signed_swap_effect", last["delta"])
    recorder.metric("signed_swap_effect_in_sd", last["in_sd"])
    recorder.diagnose(n_contexts_tested=len(measured.shown.rows))
    if not measured.shown.is_signed:
        recorder.warn("no style is paired with a class in this data set, so the swap effect has no sign")
    trained = at_last[at_last["style"].isin([setup.contexts.domain_names[k] for k in setup.contexts.train_domains])]
    by_style = trained.groupby("style")["mean_margin"].mean()
    return Aggregates(
        mean_delta=last["delta"],
        std_delta=last["std_delta"],
        n_samples=len(measured.shown.rows),
        n_conditions=len(measured.shown.styles),
        custom={
            "signed_swap_effect": last["delta"],
            **{f"signed_swap_effect_{name}": last[name] for name in TOLD},
            "margin_range_over_styles": float(by_style.max() - by_style.min()),
            "accuracy_range_over_styles": float(_ranges(at_last["delta_acc"], at_last["split"]).max()),
            "headline_epoch": last["epoch"],
            "paired_class": {
                setup.contexts.domain_names[style]: (None if paired is None else setup.contexts.output_names[paired])
                for style, paired in measured.shown.paired_class.items()
                if style in setup.contexts.train_domains
            },
        },
    )


def _ranges(values: pd.Series, splits: pd.Series) -> pd.Series:
    """Return by how much values differ between the styles of the contents of each split."""
    grouped = values.groupby(splits)
    return grouped.max() - grouped.min()


def _hand_over(styles: pd.DataFrame, signed: pd.DataFrame, recorder: Recorder, n_classes: int) -> None:
    says = "One row per checkpoint, split and style: the same contents as that scanner shows them."
    recorder.table(Table("styles", says, Evidence.INTERVENTIONAL, styles, STYLE_COLUMNS))
    says = "One row per checkpoint and split: how far a style pulls the margin to its paired class."
    recorder.table(Table("signed_swap", says, Evidence.INTERVENTIONAL, signed, SIGNED_COLUMNS))
    what = "Shift of the margin by style alone"
    seen = "Same contents, same jitter; only the style differs. Zero is the mean over the training domains' styles."
    if signed["epoch"].nunique() > 1:
        drawn = Figure.of(
            "curve", "signed_swap", name="signed_swap_over_training", x="epoch", y="delta", group="split", **INTERVAL
        )
        says = "How far a style pulls the margin towards the class it was paired with; 0: no shortcut used."
        looks = {"xlabel": "epoch", "ylabel": "margin shift to the paired class", "hline": 0, "logx": "auto"}
        recorder.figure(drawn.titled("Signed effect of the domain swap over training", says, **looks))
        roles = {"x": "epoch", "y": "delta", "group": "style", "panel": "split", **INTERVAL}
        drawn = Figure.of("curve", "styles", name="margin_by_style_over_training", **roles)
        looks["ylabel"] = "margin shift"
        recorder.figure(drawn.titled(f"{what}, over training", seen, **looks))
        return
    by_style = {"label": "style", "panel": "split"}
    drawn = Figure.of("forest", "styles", name="margin_by_style", value="delta", **by_style, **INTERVAL)
    recorder.figure(drawn.titled(what, seen, xlabel="margin shift towards the positive class"))
    chance: dict[str, Any] = {"reference": {f"chance of {n_classes} classes": 1 / n_classes}, "least_span": 0.2}
    drawn = Figure.of("forest", "styles", name="accuracy_by_style", value="head_acc", **by_style, **ends("head_acc_ci"))
    recorder.figure(drawn.titled("Accuracy on the same contents in every style", xlabel="accuracy", **chance))
