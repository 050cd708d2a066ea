"""The declared endpoints of the study: one number per run, read from the tables of its experiments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paribus.experiments.setup_runs import CollectedRun


@dataclass(frozen=True)
class Reading:
    """What an endpoint is in one run; the interval is the run's own, over its contexts, NaN where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    epoch: float = math.nan


@dataclass(frozen=True)
class Choice:
    """What to read where a run holds several: ablation method, steering direction, probe layer, checkpoint.

    Attributes:
        method: Eraser.
        direction: Steering direction.
        layer: Probed layer; the last one if empty.
        epoch: Epoch of the checkpoint by unit (condition, n_train, seed); units not in it use their last one.
    """

    method: str
    direction: str
    layer: str
    epoch: Mapping[tuple[Any, Any, Any], float]


@dataclass(frozen=True)
class Endpoint:
    """A declared endpoint.

    Attributes:
        label: What it is, for tables and figures.
        experiment_type: The experiment whose runs hold it.
        zero: Whether 0 means "no effect", so that it is tested against 0 within a condition.
        read: Returns its reading in a run, or None.
    """

    label: str
    experiment_type: str
    zero: bool
    read: Callable[[CollectedRun, Choice], Reading | None]


def unit(run: CollectedRun) -> tuple[Any, Any, Any]:
    """Return what identifies the trained model of a run within a study."""
    return run.condition, run.n_train, run.seed


def ablation_rows(run: CollectedRun, method: str, split: str) -> pd.DataFrame:
    """Return the rows of a run's ``ablation`` table of one method and split (empty if there are none)."""
    return _where(run.tables.get("ablation"), method=method, split=split)


def steering_rows(run: CollectedRun, direction: str) -> pd.DataFrame:
    """Return the rows of a run's ``sweep`` table along one direction (all rows if it names no direction)."""
    return _where(run.tables.get("sweep"), direction=direction)


def at_epoch(rows: pd.DataFrame, run: CollectedRun, choice: Choice) -> pd.DataFrame:
    """Return the rows of the chosen checkpoint: the only one, the one at the chosen epoch, or the last."""
    if rows.empty or "epoch" not in rows.columns:
        return rows
    epochs = pd.to_numeric(rows["epoch"], errors="coerce")
    if epochs.nunique(dropna=True) <= 1:
        return rows
    wanted = choice.epoch.get(unit(run), math.nan)
    if math.isnan(wanted) or not (epochs == wanted).any():
        wanted = float(epochs.max())
    return rows[epochs == wanted]


def _where(frame: pd.DataFrame | None, **wanted: str) -> pd.DataFrame:
    if frame is None or frame.empty:
        return pd.DataFrame()
    for column, value in wanted.items():
        if column in frame.columns:
            frame = frame[frame[column].astype(str).str.lower() == value.lower()]
    return frame


def _number(row: pd.Series[Any], names: Sequence[str]) -> float:
    for name in names:
        if name in row.index and pd.notna(row[name]):
            return float(row[name])
    return math.nan


def _raw(run: CollectedRun, choice: Choice) -> Reading | None:
    rows = at_epoch(ablation_rows(run, choice.method, "ood"), run, choice)
    if rows.empty or "head_acc_raw" not in rows.columns:
        return None
    row = rows.iloc[0]
    ends = (_number(row, ("head_acc_raw_ci_low", "raw_ci_low")), _number(row, ("head_acc_raw_ci_high", "raw_ci_high")))
    return Reading(_number(row, ("head_acc_raw",)), *ends, _number(row, ("epoch",)))


def _ablation_delta(run: CollectedRun, choice: Choice) -> Reading | None:
    rows = at_epoch(ablation_rows(run, choice.method, "ood"), run, choice)
    if rows.empty or not {"head_acc_raw", "head_acc_ablated"} <= set(rows.columns):
        return None
    row = rows.iloc[0]
    value = _number(row, ("head_acc_ablated",)) - _number(row, ("head_acc_raw",))
    low = _number(row, ("delta_ci_low", "delta_low", "head_acc_delta_ci_low", "ci_low"))
    high = _number(row, ("delta_ci_high", "delta_high", "head_acc_delta_ci_high", "ci_high"))
    return Reading(value, low, high, _number(row, ("epoch",)))


def _steering_delta(run: CollectedRun, choice: Choice) -> Reading | None:
    rows = at_epoch(steering_rows(run, choice.direction), run, choice)
    if not rows.empty and {"alpha", "head_ood_acc"} <= set(rows.columns):
        ordered = rows.sort_values("alpha")
        value = float(ordered["head_ood_acc"].iloc[-1]) - float(ordered["head_ood_acc"].iloc[0])
        return Reading(value, epoch=_number(ordered.iloc[0], ("epoch",)))
    return _aggregate(run, ("delta_acc",))


def _swap(run: CollectedRun, choice: Choice) -> Reading | None:
    rows = run.tables.get("signed_swap")
    if rows is not None and {"epoch", "split", "delta"} <= set(rows.columns) and rows["epoch"].nunique() > 1:
        pooled = _where(rows, split="all")
        row = at_epoch(rows if pooled.empty else pooled, run, choice).iloc[-1]
        ends = _number(row, ("ci_low",)), _number(row, ("ci_high",))
        return Reading(_number(row, ("delta",)), *ends, _number(row, ("epoch",)))
    return _aggregate(run, ("signed_swap_effect", "swap_effect", "mean_delta"))


def _domain_probe(run: CollectedRun, choice: Choice) -> Reading | None:
    rows = _where(run.tables.get("probes"), target="domain")
    if rows.empty or "balanced_accuracy" not in rows.columns:
        return None
    if "layer" in rows.columns:
        layers = list(pd.unique(rows["layer"].astype(str)))
        layer = choice.layer if choice.layer in layers else layers[-1]
        rows = rows[rows["layer"].astype(str) == layer]
    rows = at_epoch(rows, run, choice)
    row = rows.iloc[0]
    ends = _number(row, ("ci_low",)), _number(row, ("ci_high",))
    return Reading(_number(row, ("balanced_accuracy",)), *ends, _number(row, ("epoch",)))


def _aggregate(run: CollectedRun, names: Sequence[str]) -> Reading | None:
    for name in names:
        for source in (run.aggregates, run.metrics):
            value = source.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                low, high = (source.get(f"{name}_{end}", math.nan) for end in ("ci_low", "ci_high"))
                return Reading(float(value), float(low), float(high))
    return None


ENDPOINTS: Mapping[str, Endpoint] = {
    "raw_ood_accuracy": Endpoint("OOD accuracy, unedited", "subspace_ablation", False, _raw),
    "ablation_delta_ood": Endpoint("change of OOD accuracy by ablation", "subspace_ablation", True, _ablation_delta),
    "steering_delta_acc": Endpoint(
        "OOD accuracy at +max minus at −max α", "activation_steering", True, _steering_delta
    ),
    "swap_effect": Endpoint("margin shift by the domain swap", "domain_swap", True, _swap),
    "domain_probe_accuracy": Endpoint("domain probe, balanced accuracy", "probe_trajectory", False, _domain_probe),
}
"""The endpoints by the name used in configs."""
