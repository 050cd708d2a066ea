"""What every run measured, as tidy tables: one row per run and effect, and the curves of the comparison figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per run and endpoint, and sentences about models with several runs of one endpoint.

    Endpoints stand as declared, the ``reference`` condition first. Where several runs measured the same endpoint of the
    same (condition, size, seed), the latest is used.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for name in endpoints:
        endpoint = ENDPOINTS[name]
        latest: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
        sources: dict[tuple[Any, Any, Any], list[CollectedRun]] = {}
        for run in sorted(runs, key=lambda each: each.started_at or ""):
            if run.experiment_type != endpoint.experiment_type or run.condition is None:
                continue
            reading = endpoint.read(run, choice)
            if reading is None or not math.isfinite(reading.value):
                continue
            sources.setdefault(unit(run), []).append(run)
            latest[unit(run)] = {
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
        rows.extend(latest.values())
        notes.extend(_several(name, sources))
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    table = table.sort_values(["n_train", "seed"], kind="stable").sort_values("training", kind="stable")
    ranks = {name: index for index, name in enumerate(endpoints)}
    order = table["endpoint"].map(ranks).astype(float) * 2 + (table["training"] != reference)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True), notes


def _several(endpoint: str, sources: Mapping[tuple[Any, Any, Any], list[CollectedRun]]) -> list[str]:
    crowded = [runs for runs in sources.values() if len(runs) > 1]
    if not crowded:
        return []
    keys = sorted({key for runs in crowded for run in runs for key in run.params})
    differing = [k for k in keys if any(len({str(run.params.get(k)) for run in runs}) > 1 for runs in crowded)]
    inwhat = f", which differ in {', '.join(differing[:5])}" if differing else ""
    return [
        f"{endpoint}: {len(crowded)} of the trained models have several runs{inwhat}; the latest was used. "
        "Restrict with `where` to compare one setting."
    ]


def ablation_curves(runs: Sequence[CollectedRun], choice: Choice) -> pd.DataFrame:
    """Return raw and ablated OOD accuracy over epochs of every run of ``subspace_ablation``."""
    pieces = []
    for run in _of(runs, "subspace_ablation"):
        rows = ablation_rows(run, choice.method, "ood")
        names = {"head_acc_raw": "raw", "head_acc_ablated": "ablated"}
        if rows.empty:
            rows = run.tables.get("trajectory", pd.DataFrame())
            names = {"head_ood_acc_raw": "raw", "head_ood_acc_ablated": "ablated"}
        if not rows.empty and {"epoch", *names} <= set(rows.columns):
            pieces.append(_curve(run, rows.rename(columns=names)[["epoch", "raw", "ablated"]]))
    return _joined(pieces, ABLATION_COLUMNS, "epoch")


def steering_curves(runs: Sequence[CollectedRun], choice: Choice) -> pd.DataFrame:
    """Return OOD accuracy over alpha of every run of ``activation_steering``, at the chosen checkpoint."""
    pieces = []
    for run in _of(runs, "activation_steering"):
        rows = at_epoch(steering_rows(run, choice.direction), run, choice)
        if not rows.empty and {"alpha", "head_ood_acc"} <= set(rows.columns):
            pieces.append(_curve(run, rows.rename(columns={"head_ood_acc": "accuracy"})[["alpha", "accuracy"]]))
    return _joined(pieces, STEERING_COLUMNS, "alpha")


def _of(runs: Sequence[CollectedRun], experiment_type: str) -> list[CollectedRun]:
    """Return the latest run of a type for every trained model."""
    latest = {}
    for run in sorted(runs, key=lambda each: each.started_at or ""):
        if run.experiment_type == experiment_type and run.condition is not None:
            latest[unit(run)] = run
    return list(latest.values())


def _curve(run: CollectedRun, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(training=run.condition, n_train=run.n_train, seed=run.seed, run_id=run.run_id)


def _joined(pieces: list[pd.DataFrame], columns: Sequence[str], x: str) -> pd.DataFrame:
    if not pieces:
        return pd.DataFrame(columns=list(columns))
    joined = pd.concat(pieces, ignore_index=True)[list(columns)]
    return joined.sort_values(["training", "n_train", "seed", x], kind="stable", ignore_index=True)
