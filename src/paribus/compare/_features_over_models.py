"""Variation of the statistics of features over models of one training condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Floats
from paribus.compare._seen_features import Seen, mean_of_known
from paribus.compare.arms import one_arm
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.few import spread
from paribus.stats.matching import correlations

OVER_MODELS = {
    "condition": "training condition",
    "quantity": "what is looked at in each model",
    "n_models": "models; autoencoders of one network are replicates of the autoencoder, not of the network",
    "mean": "mean over models",
    "sd": "standard deviation over models",
    "ci_low": "lower end of the interval of the mean over models",
    "ci_high": "upper end of it",
    "ci_method": "how it was made; none: why there is none",
}
FACTORS_OVER_MODELS = {
    "condition": "training condition",
    "factor": "the edit",
    "n_models": "models in which it was tested",
    "n_driving": "models in which it drives any feature",
    "mean_share": "mean over models of the share of features that it drives",
    "sd": "standard deviation over models",
    "lowest": "smallest share in a model",
    "highest": "largest one",
}
QUANTITIES = {
    "driven": "share of features with an established driver",
    "mean_drivers": "established edits per feature",
    "stable": "share of the checks of stability that passed",
    "halves_r": "correlation of effects in halves of the data",
    "profile_r": "correlation with the other models of how many features each factor drives",
}


def over_models(
    recorder: Recorder, setup: RunsSetup, seen: Sequence[Seen], summary: pd.DataFrame, driving: pd.DataFrame
) -> pd.DataFrame:
    """Add the tables of variation over models of one condition; none where there is one model.

    Args:
        recorder: Where the tables go.
        setup: Settings of the statistics.
        seen: The features.
        summary: One row per model.
        driving: One row per model and factor that was tested in it, with the share of features that it drives.
    """
    condition = {each.model: each.condition for each in seen}
    rows: list[dict[str, Any]] = []
    by_factor: list[dict[str, Any]] = []
    for name in dict.fromkeys(condition.values()):
        models = [model for model, own in condition.items() if own == name]
        if len(models) < 2:
            continue
        by_factor_of = driving[driving["model"].isin(models)].set_index("model").groupby("factor")["share"]
        shares_of = pd.DataFrame(dict(iter(by_factor_of)), index=models)
        own = summary.set_index("model").loc[models]
        values = {column: own[column].to_numpy(float) for column in QUANTITIES if column in own}
        values["profile_r"] = _profile_r(shares_of)
        for column, said in QUANTITIES.items():
            known = values[column][np.isfinite(values[column])]
            if len(known) < 2:
                continue
            found = one_arm(known.tolist(), spec=setup.stats, rng=setup.rng(f"over_models {name} {column}"))
            independent = column != "profile_r"  # correlations share models: no interval
            rows.append(
                {
                    "condition": name, "quantity": said, "n_models": len(known), "mean": found.mean,
                    "sd": spread(known), "ci_low": found.ci_low if independent else math.nan,
                    "ci_high": found.ci_high if independent else math.nan,
                    "ci_method": found.ci_method if independent else "none: the values share their models",
                }
            )  # fmt: skip
        by_factor += [_factor_row(name, str(factor), shares_of[factor].to_numpy(float)) for factor in shares_of]
    frame = pd.DataFrame(rows, columns=list(OVER_MODELS))
    if rows:
        says = "One row per training condition and quantity: how far it moves over models."
        recorder.table(Table("over_models", says, Evidence.COMPARISON, frame, OVER_MODELS))
        says = "One row per training condition and factor: the share of features that it drives, over models."
        beside = pd.DataFrame(by_factor, columns=list(FACTORS_OVER_MODELS))
        beside = beside.sort_values(["condition", "mean_share"], ascending=[True, False], kind="stable")
        kept = beside.reset_index(drop=True)
        recorder.table(Table("factors_over_models", says, Evidence.COMPARISON, kept, FACTORS_OVER_MODELS))
    return frame


def _profile_r(profiles: pd.DataFrame) -> Floats:
    """Return for each model the mean correlation of its row with those of the others, over factors that both have."""
    matrix = profiles.to_numpy(float)
    r = correlations(matrix, matrix)
    np.fill_diagonal(r, np.nan)
    return np.array([mean_of_known(row) for row in r])


def _factor_row(condition: str, factor: str, values: Floats) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    return {
        "condition": condition, "factor": factor, "n_models": len(known), "n_driving": int((known > 0).sum()),
        "mean_share": float(known.mean()), "sd": spread(known),
        "lowest": float(known.min()), "highest": float(known.max()),
    }  # fmt: skip


def lines_over_models(over: pd.DataFrame) -> list[str]:
    """Return sentences over models: the share with a driver, and whether factors drive as many features in each."""
    lines = []
    for condition in dict.fromkeys(over["condition"]):
        of = over[over["condition"] == condition].set_index("quantity").to_dict("index")
        driven, profile = of.get(QUANTITIES["driven"]), of.get(QUANTITIES["profile_r"])
        if driven is None:
            continue
        ends = within_ends(driven["ci_low"], driven["ci_high"])
        called = f" of {condition}" if condition else ""
        text = (
            f"Over {driven['n_models']} models{called} {driven['mean']:.0%}{ends} of the features have an established "
        )
        text += f"driver (sd {driven['sd']:.0%})"
        if profile is not None:
            text += f"; how many features each factor drives correlates between them by {profile['mean']:.2f}"
        lines.append(f"{text} (over_models).")
    return lines


def within_ends(low: float, high: float) -> str:
    """Return the interval of a share as it stands behind it; empty where there is none."""
    return f" [{low:.0%}, {high:.0%}]" if math.isfinite(low) and math.isfinite(high) else ""
