"""What every run measured, as tidy tables: one row per run and effect, and the curves of the comparison figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from paribus.compare.collect import value_of
from paribus.compare.endpoints import (
    ENDPOINTS,
    Choice,
    ablation_rows,
    at_epoch,
    steering_rows,
    unit,
)
from paribus.compare.several import one_each
from paribus.experiments.setup_runs import CollectedRun

EFFECT_COLUMNS = (
    "endpoint", "label", "training", "n_train", "seed", "value", "ci_low", "ci_high", "epoch", "run_id", "identity",
    "experiment_type", "code_version",
)  # fmt: skip
ABLATION_COLUMNS = ("training", "n_train", "seed", "epoch", "raw", "ablated", "run_id")
STEERING_COLUMNS = ("training", "n_train", "seed", "alpha", "accuracy", "run_id")


def chosen_epochs(runs: Sequence[CollectedRun], at: str) -> dict[tuple[Any, Any, Any], float]:
    """Return the epoch of the chosen checkpoint of every trained model.

    Args:
        runs: Runs of the study; training runs know their ``peak_val_epoch``.
        at: ``peak_val``, ``final`` (then nothing is chosen and the last epoch is used), or ``epoch:N``.
    """
    if at == "final":
        return {}
    if at.startswith("epoch:"):
        return {unit(run): float(at.removeprefix("epoch:")) for run in runs}
    found = {}
    for run in (each for each in runs if each.experiment_type == "train_classifier"):
        epoch = value_of(run, "peak_val_epoch")
        if epoch is not None:
            found[unit(run)] = float(epoch)
    return found


def run_effects(
    runs: Sequence[CollectedRun], endpoints: Sequence[str], choice: Choice, reference: str = ""
) -> pd.DataFrame:
    """Return one row per trained model and endpoint.

    Endpoints stand as declared, the ``reference`` condition first.

    Raises:
        ExperimentError: If two runs measured the same of one model (condition, size, seed) and differ in a setting.
    """
    rows: list[dict[str, Any]] = []
    for name in endpoints:
        endpoint = ENDPOINTS[name]
        read: dict[str, dict[str, Any]] = {}
        sources: dict[tuple[Any, Any, Any], list[CollectedRun]] = {}
        for run in sorted(runs, key=lambda each: each.started_at or ""):
            if run.experiment_type != endpoint.experiment_type or run.condition is None:
                continue
            reading = endpoint.read(run, choice)
            if reading is None or not math.isfinite(reading.value):
                continue
            sources.setdefault(unit(run), []).append(run)
            read[run.run_id] = {
                "endpoint": name,
                "label": endpoint.label,
                "training": run.condition,
                "n_train": run.n_train,
                "seed": run.seed,
                "value": reading.value,
                "ci_low": reading.low,
                "ci_high": reading.high,
                "epoch": reading.epoch,
                "run_id": run.run_id,
                "identity": run.identity,
                "experiment_type": run.experiment_type,
                "code_version": run.code_version,
            }
        rows.extend(read[run_id] for run_id in one_each(name, sources, runs))
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    table = table.sort_values(["n_train", "seed"], kind="stable").sort_values("training", kind="stable")
    ranks = {name: index for index, name in enumerate(endpoints)}
    order = table["endpoint"].map(ranks).astype(float) * 2 + (table["training"] != reference)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def ablation_curves(runs: Sequence[CollectedRun], choice: Choice) -> pd.DataFrame:
    """Return raw and ablated OOD accuracy over epochs of every trained model with a run of ``subspace_ablation``.

    Raises:
        ExperimentError: If two runs measured it on one model and differ in a setting.
    """

    def curve(run: CollectedRun) -> pd.DataFrame:
        rows = ablation_rows(run, choice.method, "ood")
        names = {"head_acc_raw": "raw", "head_acc_ablated": "ablated"}
        if rows.empty:
            rows = run.tables.get("trajectory", pd.DataFrame())
            names = {"head_ood_acc_raw": "raw", "head_ood_acc_ablated": "ablated"}
        if rows.empty or not {"epoch", *names} <= set(rows.columns):
            return pd.DataFrame()
        return rows.rename(columns=names)[["epoch", "raw", "ablated"]]

    return _joined(_curves(runs, "subspace_ablation", curve), ABLATION_COLUMNS, "epoch")


def steering_curves(runs: Sequence[CollectedRun], choice: Choice) -> pd.DataFrame:
    """Return OOD accuracy over alpha of every model with a run of ``activation_steering``, at the chosen checkpoint.

    Raises:
        ExperimentError: If two runs measured it on one model and differ in a setting.
    """

    def curve(run: CollectedRun) -> pd.DataFrame:
        rows = at_epoch(steering_rows(run, choice.direction), run, choice)
        if rows.empty or not {"alpha", "head_ood_acc"} <= set(rows.columns):
            return pd.DataFrame()
        return rows.rename(columns={"head_ood_acc": "accuracy"})[["alpha", "accuracy"]]

    return _joined(_curves(runs, "activation_steering", curve), STEERING_COLUMNS, "alpha")


def _curves(
    runs: Sequence[CollectedRun], experiment_type: str, read: Callable[[CollectedRun], pd.DataFrame]
) -> list[pd.DataFrame]:
    """Return the curve of every trained model with a run of a type that holds one."""
    curves: dict[str, pd.DataFrame] = {}
    sources: dict[tuple[Any, Any, Any], list[CollectedRun]] = {}
    for run in sorted(runs, key=lambda each: each.started_at or ""):
        if run.experiment_type == experiment_type and run.condition is not None and not (rows := read(run)).empty:
            curves[run.run_id] = _curve(run, rows)
            sources.setdefault(unit(run), []).append(run)
    return [curves[run_id] for run_id in one_each(f"the curve of {experiment_type}", sources, runs)]


def _curve(run: CollectedRun, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(training=run.condition, n_train=run.n_train, seed=run.seed, run_id=run.run_id)


def _joined(pieces: list[pd.DataFrame], columns: Sequence[str], x: str) -> pd.DataFrame:
    if not pieces:
        return pd.DataFrame(columns=list(columns))
    joined = pd.concat(pieces, ignore_index=True)[list(columns)]
    return joined.sort_values(["training", "n_train", "seed", x], kind="stable", ignore_index=True)
