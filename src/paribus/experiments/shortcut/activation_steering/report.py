"""Puts table, figure, curves and aggregates of the steering sweep together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.headline import estimate
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._effects import MEANINGS, add_effects
from paribus.experiments.shortcut._probes import Measured
from paribus.experiments.shortcut._spec import SPLIT_NAMES
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Curve, Figure, Table
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.intervals import EQUAL_UNITS, SHARE_GAP
from paribus.stats.trend import trend

SPLIT_OF = {"head_ood": "ood", "head_id": "id_val", "head_val": "val"}
"""The split that columns which begin so are about."""
PREFIX_OF = {split: prefix for prefix, split in SPLIT_OF.items()}
COLUMNS = {
    "selected_on_ood": "whether the checkpoint was selected by its accuracy on the OOD split",
    "alpha": "shift in sd of training features along the direction",
    "sigma": "that sd, in units of the features",
    "head_ood_acc": "accuracy on the OOD split, with ci_low and ci_high; head_id_acc and head_val_acc likewise",
    "ci_low": "lower end of the interval of head_ood_acc (Wilson's, by cluster)",
    "ci_high": "upper end of it",
    **{f"delta_{name}" if name.startswith("ci") else name: meaning for name, meaning in MEANINGS.items()},
    "auroc": "of the OOD margins; cannot move where all margins shift alike",
    "mean_margin": "mean OOD margin (logit)",
    "flipped_to_positive": "share of OOD contexts whose prediction became the positive class",
    "domain_probe_frozen": "balanced accuracy of the training domain probe on shifted id_val features",
    "label_probe_frozen": "balanced accuracy of the training label probe on shifted OOD features",
    "relative_norm": "mean of |alpha * sigma * v| / |h| over OOD contexts",
    "delta": "mean paired difference of OOD correctness to alpha = 0; p_adj is adjusted over all rows of this table",
    "null_low": "2.5 % quantile of head_ood_acc along random isotropic directions, moved as far (null_covariance_*: "
    "drawn with the features' covariance)",
    "null_percentile": "percentile of head_ood_acc among them, 0 to 100; not a p",
}
RESPONSE_COLUMNS = {
    "margin_slope": "slope of the mean OOD margin (logit) per alpha",
    "slope_in_sd": "the same in sd of the unsteered OOD margins, with slope_ci_low and slope_ci_high; every direction "
    "is turned so that the margin rises along it, so read it beside its null",
    "accuracy_area": "area between the OOD accuracy over alpha and its value at 0, both sides counted, per unit of "
    "alpha; not 0 where the curve peaks in the middle; never negative",
    "auroc_area": "the same of the AUROC; 0 where all margins shift alike (threshold_only)",
    "slope_null_low": "2.5 % quantile of slope_in_sd along random isotropic directions, turned and moved alike "
    "(slope_null_covariance_*: drawn with the features' covariance); accuracy_area_null_* likewise",
    "slope_null_percentile": "percentile of slope_in_sd among them, 0 to 100; not a p",
}
MOST_PANELS = 9


@dataclass(frozen=True)
class Sweep:
    """One direction at one checkpoint.

    Attributes:
        epoch: The checkpoint's epoch.
        direction: Name of the direction.
        sigma: Standard deviation of training features along it.
        gradient_along: Mean gradient of the margin along it, after it was turned: not negative.
        cos_head: Cosine with the margin's gradient; at a linear head with ``w_positive - mean of the others``.
        threshold_only: Whether every margin shifts alike.
        margin_shift_per_alpha: Slope of the mean margin on alpha.
        correct: Whether each context of the shown split is classified right at each alpha [n, alphas].
        response: Its row of the table ``responses``.
    """

    epoch: int
    direction: str
    sigma: float
    gradient_along: float
    cos_head: float
    threshold_only: bool
    margin_shift_per_alpha: float
    correct: Floats
    response: dict[str, Any]


@dataclass
class Steered(Measured):
    """What was measured: a row per checkpoint x direction x alpha, with the change of correctness against alpha 0.

    Attributes:
        shown: The split that the sweep is about: ood, or in data without one id_val.
        alphas: How far features were moved, ascending, 0 among them.
        sweeps: One entry per checkpoint x direction, in order.
    """

    shown: str = ""
    alphas: list[float] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)


def report(setup: NetworkSetup, recorder: Recorder, measured: Steered) -> Aggregates:
    """Hand everything over and return the aggregates."""
    clusters = _clusters(setup, measured.shown)
    head = PREFIX_OF[measured.shown]
    table = _table(pd.DataFrame(measured.rows), setup, recorder, measured)
    says = "One row per checkpoint, direction and alpha."
    recorder.table(Table("sweep", says, Evidence.INTERVENTIONAL, table, _meanings(COLUMNS, measured.shown)))
    responses = pd.DataFrame([sweep.response for sweep in measured.sweeps])
    meanings = _meanings(RESPONSE_COLUMNS, measured.shown)
    says = "One row per checkpoint and direction: what sums its curves up."
    recorder.table(Table("responses", says, Evidence.INTERVENTIONAL, responses, meanings))
    _figure(recorder, table, measured.shown)
    last = [sweep for sweep in measured.sweeps if sweep.epoch == measured.sweeps[-1].epoch]
    found = {sweep.direction: _summary(sweep, measured.alphas, clusters, setup) for sweep in last}
    headline = last[0]
    rows = table[(table["epoch"] == headline.epoch) & (table["direction"] == headline.direction)]
    for column in (f"{head}_acc", "auroc", "mean_margin"):
        recorder.curve(Curve.of(column, rows, "alpha", column))
    summary = found[headline.direction]
    for name in ("delta_acc", "margin_shift_per_alpha", "cos_head", "margin_slope_in_sd", "accuracy_area"):
        recorder.metric(name, summary[name])
    raw = rows[rows["alpha"] == 0.0].iloc[0]
    estimate(recorder, f"{head}_acc_raw", raw[f"{head}_acc"], raw["ci_low"], raw["ci_high"])
    if headline.threshold_only:
        recorder.warn(
            "everything after the site is affine: the steering curve is the threshold curve of the unsteered margins, "
            "whatever the direction; steer at an earlier site for more (experiment.site=...)"
        )
    ends = headline.correct[:, -1] - headline.correct[:, 0]
    return Aggregates(
        mean_delta=float(ends.mean()),
        std_delta=float(ends.std(ddof=1)) if len(ends) > 1 else 0.0,
        n_samples=len(ends),
        n_conditions=len(table),
        custom={
            "site": measured.site,
            "headline_direction": headline.direction,
            "headline_epoch": headline.epoch,
            **summary,
            "by_direction": found,
            "trajectory": [
                {
                    "epoch": sweep.epoch,
                    "delta_acc": float((sweep.correct[:, -1] - sweep.correct[:, 0]).mean()),
                    "margin_shift_per_alpha": sweep.margin_shift_per_alpha,
                    "cos_head": sweep.cos_head,
                }
                for sweep in measured.sweeps
                if sweep.direction == headline.direction
            ],
            **measured.concentration[headline.epoch],
            "selected_on_reported_split": bool(rows["selected_on_ood"].iloc[0]),
            "null_kinds": ["isotropic", "covariance"] if setup.stats.n_null else [],
            "n_null": setup.stats.n_null,
        },
    )


def _clusters(setup: NetworkSetup, split: str) -> Ints:
    return np.asarray(setup.contexts.cluster[setup.contexts.splits[split]])


def _table(rows: pd.DataFrame, setup: NetworkSetup, recorder: Recorder, measured: Steered) -> pd.DataFrame:
    own = {name: rows[name] for name in ("ci_low", "ci_high", "ci_method")}
    with_effects = add_effects(
        rows.assign(split=measured.shown),
        measured.differences,
        {measured.shown: _clusters(setup, measured.shown)},
        setup,
        recorder,
        bounds=SHARE_GAP,
    )
    of_delta = {name: f"delta_{name}" for name in with_effects.columns if name.startswith("ci_")}
    renamed = with_effects.rename(columns=of_delta).drop(columns="split")
    renamed = renamed[[c for c in renamed.columns if c not in of_delta.values()] + list(of_delta.values())]
    for place, (name, values) in enumerate(own.items(), start=list(rows.columns).index("ci_low")):
        renamed.insert(place, name, values)
    return renamed


def _summary(sweep: Sweep, alphas: list[float], clusters: Any, setup: NetworkSetup) -> dict[str, Any]:
    tested = trend(sweep.correct, clusters, alphas, rng=setup.rng("trend"), n_permutations=setup.stats.n_permutations)
    steps = np.diff(sweep.correct, axis=1)
    around = cluster_interval(steps, clusters, spec=setup.stats, rng=setup.rng("steps"), bounds=SHARE_GAP)
    equal = np.where(around.method == EQUAL_UNITS, steps.mean(axis=0), np.nan)
    low, high = (np.where(np.isnan(end), equal, end) for end in (around.low, around.high))
    opposed = bool((high < 0).any() if tested.rho > 0 else (low > 0).any())
    return {
        "sigma": sweep.sigma,
        "gradient_along_direction": sweep.gradient_along,
        "cos_head": sweep.cos_head,
        "margin_shift_per_alpha": sweep.margin_shift_per_alpha,
        "threshold_only": sweep.threshold_only,
        "margin_slope_in_sd": sweep.response["slope_in_sd"],
        "margin_slope_in_sd_ci_low": sweep.response["slope_ci_low"],
        "margin_slope_in_sd_ci_high": sweep.response["slope_ci_high"],
        "margin_slope_in_sd_ci_method": sweep.response["slope_ci_method"],
        **{
            f"{name}{end}": sweep.response[f"{name}{end}"]
            for name in ("accuracy_area", "auroc_area")
            for end in ("", "_ci_low", "_ci_high", "_ci_method")
        },
        "delta_acc": float((sweep.correct[:, -1] - sweep.correct[:, 0]).mean()),
        "trend_rho": tested.rho,
        "trend_p": tested.p,
        "trend_method": tested.method,
        "monotonic": bool(tested.p <= 0.05 and not opposed),
    }


def _meanings(columns: dict[str, str], shown: str) -> dict[str, str]:
    """Return what the columns mean where they are about another split than ood."""
    if shown == "ood":
        return columns
    prefix, name = PREFIX_OF[shown], SPLIT_NAMES[shown]
    found = {
        column.replace("head_ood", prefix): meaning.replace("head_ood", prefix).replace("OOD", name)
        for column, meaning in columns.items()
    }
    own = f"{prefix}_acc"
    return {**found, own: f"accuracy on the {name} split, with ci_low and ci_high"} if own in found else found


def _figure(recorder: Recorder, table: pd.DataFrame, shown: str) -> None:
    epochs = table["epoch"].nunique()
    own, accuracy = f"{PREFIX_OF[shown]}_acc", f"{SPLIT_NAMES[shown]} accuracy"
    title = f"{accuracy[0].upper()}{accuracy[1:]} along the domain's direction"
    if epochs > MOST_PANELS:
        drawn = Figure.of("heatmap", "sweep", name="steering", x="alpha", y="epoch", value=own, panel="direction")
        recorder.figure(drawn.titled(title, xlabel="α (sd along the direction)", ylabel="epoch", value_label=accuracy))
        return
    columns: dict[str, Any] = {
        "x": "alpha", "y": [own, "auroc"], "low": ["ci_low"], "high": ["ci_high"], "group": "direction",
        "null_low": "null_low", "null_high": "null_high",
    }  # fmt: skip
    if epochs > 1:
        columns["panel"] = "epoch"
        title += ", by epoch"
    drawn = Figure.of("curve", "sweep", name="steering", **columns)
    says = (
        "Band: 95 % interval of accuracy over clusters. Hatched: accuracy along random isotropic directions, moved "
        "as far. The AUROC stays where all margins shift alike."
    )
    looks: dict[str, Any] = {
        "xlabel": "α (sd along the direction)",
        "ylabel": f"{accuracy}, AUROC",
        "labels": [accuracy, "AUROC"],
    }
    looks |= {"null_label": "random directions, accuracy", "vline": 0, "least_span": 0.1}
    recorder.figure(drawn.titled(title, says, **looks))
