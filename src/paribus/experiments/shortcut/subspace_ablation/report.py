"""Puts table, figures, metrics and aggregates of the subspace ablation together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from paribus.errors import ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import headline_split, offers_of
from paribus.experiments.headline import estimate
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._effects import MEANINGS, add_effects
from paribus.experiments.shortcut._probes import Measured
from paribus.experiments.shortcut._spec import SPLIT_NAMES
from paribus.experiments.shortcut.subspace_ablation.spec import SubspaceAblation
from paribus.results.evidence import Evidence
from paribus.results.schema import BANDS, Aggregates, Curve, Figure, Table
from paribus.stats.intervals import SHARE_GAP

COLUMNS = {
    **MEANINGS,
    "selected_on_ood": "whether the checkpoint was selected by its accuracy on the OOD split",
    "rank": "dimension of the removed subspace",
    "head_acc_raw": "accuracy of the model, with head_acc_raw_ci_low and _ci_high (Wilson by cluster)",
    "head_acc_ablated": "accuracy of the model on edited features",
    "delta": "mean paired difference of correctness, ablated - raw; p_adj is adjusted over all rows of this table",
    "auroc_delta": "change of the AUROC of the margin; does not move with a threshold",
    "margin_shift": "mean change of the margin (logit)",
    "domain_probe_frozen_raw": "balanced accuracy of the training domain probe; NaN where the domains are new",
    "domain_probe_refit_ablated": "of a domain probe fitted on one half of the edited rows and scored on the other",
    "distortion": "mean |h' - h| / |h|",
    "swap_remaining": "share of the signed domain-swap effect on the contents of swap_split that survives the edit",
    "null_low": "2.5 % quantile of delta under random isotropic subspaces of the same rank (null_covariance_*: drawn "
    "with the features' covariance)",
    "null_percentile": "percentile of delta among those draws, 0 to 100; not a p",
    "null_auroc_percentile": "percentile of auroc_delta among the same draws",
}


@dataclass
class Ablated(Measured):
    """What was measured: a row per checkpoint x method x split, with the change of correctness of each context.

    Attributes:
        refused: Reason by method, for erasers that refused.
    """

    refused: dict[str, str] = field(default_factory=dict)


def report(experiment: SubspaceAblation, setup: NetworkSetup, recorder: Recorder, measured: Ablated) -> Aggregates:
    """Hand everything over and return the aggregates.

    Raises:
        ExperimentError: If every eraser refused.
    """
    if not measured.rows:
        raise ExperimentError(f"{experiment.type}: every method refused: {'; '.join(measured.refused.values())}")
    table = add_effects(
        pd.DataFrame(measured.rows), measured.differences, measured.clusters, setup, recorder, bounds=SHARE_GAP
    )
    says = "One row per checkpoint, method and split."
    recorder.table(Table("ablation", says, Evidence.INTERVENTIONAL, table, COLUMNS))
    shown = headline_split(experiment.splits, offers_of(setup.contexts))
    trajectory = table[table["split"] == shown].reset_index(drop=True)
    headline = next(method for method in experiment.methods if method in set(table["method"]))
    _figures(recorder, table, trajectory, shown)
    of_headline = trajectory[trajectory["method"] == headline].sort_values("epoch")
    _curves(recorder, of_headline, shown)
    last = of_headline.iloc[-1]
    _metrics(recorder, table, last, shown)
    concentration = measured.concentration[int(last["epoch"])]
    recorder.metric("top_eigenvalue_share", concentration["top_eigenvalue_share"])
    recorder.metric("participation_ratio", concentration["participation_ratio"])
    raw, ablated = f"head_{shown}_acc_raw", f"head_{shown}_acc_ablated"
    return Aggregates(
        mean_delta=float(last["delta"]),
        std_delta=float(last["std_delta"]),
        n_samples=int(last["n"]),
        n_conditions=len(table),
        custom={
            "site": measured.site,
            "headline_method": headline,
            "headline_split": shown,
            "headline_epoch": int(last["epoch"]),
            "trajectory": [
                {"epoch": int(row["epoch"]), raw: row["head_acc_raw"], ablated: row["head_acc_ablated"]}
                for row in of_headline.to_dict("records")
            ],
            "swap_remaining": _by_method(table, last, "swap_remaining"),
            "delta_by_method": _by_method(trajectory, last, "delta"),
            **concentration,
            "concentration_trajectory": [{"epoch": e, **found} for e, found in sorted(measured.concentration.items())],
            "refused": dict(measured.refused),
            "selected_on_reported_split": bool(last["selected_on_ood"]),
            "null_kinds": ["isotropic", "covariance"] if setup.stats.n_null else [],
            "n_null": setup.stats.n_null,
        },
    )


def _by_method(table: pd.DataFrame, last: Any, column: str) -> dict[str, float]:
    rows = table[table["epoch"] == last["epoch"]].drop_duplicates("method")
    return {str(method): float(value) for method, value in zip(rows["method"], rows[column], strict=True)}


def _metrics(recorder: Recorder, table: pd.DataFrame, last: Any, shown: str) -> None:
    for name, column, stem in (
        (f"head_{shown}_acc_raw", "head_acc_raw", "head_acc_raw_ci"),
        (f"{shown}_delta", "delta", "ci"),
        (f"{shown}_auroc_delta", "auroc_delta", "auroc_ci"),
    ):
        estimate(recorder, name, last[column], last[f"{stem}_low"], last[f"{stem}_high"])
    recorder.metric(f"head_{shown}_acc_ablated", last["head_acc_ablated"])
    if last["swap_remaining"] == last["swap_remaining"]:
        recorder.metric("swap_remaining", last["swap_remaining"])
    known = table[
        (table["split"] == "id_val") & (table["epoch"] == last["epoch"]) & (table["method"] == last["method"])
    ]
    if len(known) and known["domain_probe_refit_ablated"].notna().all():
        recorder.metric("domain_probe_refit_ablated", float(known["domain_probe_refit_ablated"].iloc[0]))


def _curves(recorder: Recorder, rows: pd.DataFrame, shown: str) -> None:
    if len(rows) < 2:
        return
    for column in ("head_acc_raw", "head_acc_ablated"):
        recorder.curve(Curve.of(column.replace("head_acc", f"head_{shown}_acc"), rows, "epoch", column))


def _figures(recorder: Recorder, table: pd.DataFrame, trajectory: pd.DataFrame, shown: str) -> None:
    change = f"change of {SPLIT_NAMES[shown]} accuracy"
    if table["epoch"].nunique() > 1:
        says = f"The rows of ablation on {shown}, by epoch."
        recorder.table(Table("trajectory", says, Evidence.INTERVENTIONAL, trajectory, COLUMNS))
        over_training = {"x": "epoch", "panel": "method"}
        both = ["head_acc_raw", "head_acc_ablated"]
        drawn = Figure.of("curve", "trajectory", name="ablation_trajectory", y=both, **over_training)
        says = "Accuracy moves with the threshold: read the AUROC in the table beside it."
        looks: dict[str, Any] = {"ylabel": f"{SPLIT_NAMES[shown]} accuracy", "labels": ["raw", "ablated"]}
        looks["least_span"] = 0.1
        recorder.figure(drawn.titled("Accuracy with and without the domain's subspace", says, logx="auto", **looks))
        drawn = Figure.of("curve", "trajectory", name="ablation_effect", y="delta", **over_training, **BANDS)
        says = "Band: 95 % interval over clusters. Hatched: 2.5 to 97.5 % of random isotropic subspaces."
        looks = {"logx": "auto", "ylabel": change, "hline": 0, "null_label": "random subspaces", "least_span": 0.1}
        looks["labels"] = ["ablation"]
        recorder.figure(drawn.titled("Effect of the ablation against random subspaces of the same rank", says, **looks))
        of_ranking = ["auroc_raw", "auroc_ablated"]
        drawn = Figure.of("curve", "trajectory", name="ablation_auroc_trajectory", y=of_ranking, **over_training)
        looks = {"logx": "auto", "ylabel": "AUROC of the margin", "labels": ["raw", "ablated"], "least_span": 0.1}
        says = "The AUROC does not move with a threshold."
        recorder.figure(drawn.titled("AUROC with and without the domain's subspace", says, **looks))
        return
    roles = {"label": "method", "panel": "split"}
    paired: dict[str, Any] = {
        "value": ["delta", "auroc_delta"],
        "low": ["ci_low", "auroc_ci_low"],
        "high": ["ci_high", "auroc_ci_high"],
    }
    nulls = {"null_low": ["null_low"], "null_high": ["null_high"]}
    drawn = Figure.of("forest", "ablation", name="ablation_effect", **roles, **paired, **nulls)
    says = (
        "Bars: 95 % intervals over clusters. The AUROC does not move with a threshold. Hatched: 2.5 to 97.5 % of "
        "the change of accuracy by random isotropic subspaces of the same rank; a place in it is not a p."
    )
    looks = {"xlabel": "change", "reference": 0, "null_label": "random subspaces, accuracy", "sort": False}
    looks |= {"together": True, "labels": ["accuracy", "AUROC"], "least_span": 0.1}
    recorder.figure(drawn.titled("Effect of removing the domain's subspace on accuracy and AUROC", says, **looks))
