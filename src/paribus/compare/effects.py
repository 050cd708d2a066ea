"""Effects of all runs as tidy tables: one row per run and endpoint, and the curves of the comparison figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pandas as pd

from paribus.compare.declared import ENDPOINTS, TYPE_OF
from paribus.compare.endpoints import Choice, Reading, Unread, at_epoch, chosen_rows, model_of, read, readings
from paribus.compare.several import one_each
from paribus.compare.values import setting_text, value_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.endpoint import Endpoint
from paribus.results.words import counted

EFFECT_COLUMNS = (
    "endpoint", "label", "unit", "training", "n_train", "seed", "value", "ci_low", "ci_high", "auroc_change", "epoch",
    "run_id", "identity", "experiment_type", "code_version",
)  # fmt: skip
OF_THE_RUN = ("n_train", "seed", "run_id", "identity", "experiment_type", "code_version")
"""Columns that hold the run's field of that name."""
ABLATION_COLUMNS = ("training", "n_train", "seed", "epoch", "raw", "ablated", "run_id")
STEERING_COLUMNS = ("training", "n_train", "seed", "alpha", "accuracy", "run_id")
SETTINGS = ("experiment.", "data.", "model.")
"""Settings that compared runs must share; the training condition is what is compared."""
UNIT_SETTINGS = ("data.seed", "data.n_train", "data.path", "model.run", "model.weights")
"""Settings that distinguish units, or are paths."""
EPOCH_OF = {"peak_val": "peak_val_epoch", "final": "final_epoch"}
"""The training run's name for the epoch that a rule chooses."""


def chosen_epochs(runs: Sequence[CollectedRun], at: str) -> dict[Hashable, float]:
    """Return the epoch of the chosen checkpoint of every trained model (:func:`paribus.compare.endpoints.model_of`).

    Models whose training run is not among ``runs`` are missing. Two trainings may share condition, size and seed and
    differ in another setting, so that a unit does not tell them apart.

    Args:
        runs: Runs of the study; training runs know their ``peak_val_epoch`` and ``final_epoch``.
        at: ``peak_val``, ``final``, or ``epoch:N``.
    """
    if at.startswith("epoch:"):
        return {model_of(run): float(at.removeprefix("epoch:")) for run in runs}
    found: dict[Hashable, float] = {}
    for run in (each for each in runs if each.experiment_type == "train_classifier"):
        epoch = value_of(run, EPOCH_OF[at])
        if epoch is not None:
            found[model_of(run)] = float(epoch)
    return found


def run_effects(
    runs: Sequence[CollectedRun], endpoints: Sequence[str], choice: Choice, reference: str = ""
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per trained model and endpoint, and sentences about what was not read or read elsewhere.

    Endpoints come as declared, the ``reference`` condition first.

    Raises:
        ExperimentError: If two runs measured the same of one model (condition, size, seed) and differ in a setting.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for name in endpoints:
        mine = _of_type(runs, TYPE_OF[name])
        found, unread = readings((run, _read(ENDPOINTS[name], run, choice)) for run in mine)
        remarks = Counter(reading.remark for _, reading in found)
        rows_of = {run.run_id: _row(name, run, reading) for run, reading in found}
        chosen = one_each(name, (run for run, _ in found), runs)
        rows += [rows_of[run_id] for run_id in chosen]
        notes += _mixed_settings(TYPE_OF[name], [run for run in runs if run.run_id in chosen])
        notes += [
            f"{name}: {counted(n, 'run')} of {TYPE_OF[name]} left out: {why}." for why, n in sorted(unread.items())
        ]
        notes += [f"{name}: {counted(n, 'run')} {how}." for how, n in sorted(remarks.items()) if how]
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    table = table.sort_values(["n_train", "seed"], kind="stable").sort_values("training", kind="stable")
    ranks = {name: index for index, name in enumerate(endpoints)}
    order = table["endpoint"].map(ranks).astype(float) * 2 + (table["training"] != reference)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True), notes


def _read(endpoint: Endpoint, run: CollectedRun, choice: Choice) -> Reading | Unread:
    for name, value in (("training condition", run.condition), ("seed", run.seed)):
        if value is None:
            return Unread(f"they do not name their {name}")
    return read(endpoint, run, choice)


def as_values(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects in the columns of every comparison: a condition is a group, a seed a unit.

    Runs of one seed on training sets of several sizes are pooled over the sizes.
    """
    names = {"endpoint": "metric", "training": "group", "seed": "unit"}
    sizes = [None if pd.isna(size) else int(size) for size in effects["n_train"]]
    kept = effects[[*names, "value", "auroc_change"]].rename(columns=names)
    return kept.assign(setting=pd.Series(sizes, dtype=object, index=kept.index), yes_no=False)


def _mixed_settings(experiment_type: str, runs: Sequence[CollectedRun]) -> list[str]:
    """Return a sentence for every setting in which the compared runs differ."""
    notes = []
    for name in sorted({key for run in runs for key in run.params}):
        if not name.startswith(SETTINGS) or name in UNIT_SETTINGS:
            continue
        counts = Counter(setting_text(run.params[name]) if name in run.params else "not said" for run in runs)
        if len(counts) > 1:
            most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:4]
            listed = ", ".join(f"{value} ({n})" for value, n in most)
            notes.append(f"The compared runs of {experiment_type} differ in {name}: {listed}.")
    return notes


def _row(name: str, run: CollectedRun, found: Reading) -> dict[str, Any]:
    return {
        "endpoint": name,
        "label": ENDPOINTS[name].label,
        "unit": ENDPOINTS[name].unit,
        "training": run.condition,
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "auroc_change": found.ranking,
        "epoch": found.epoch,
        **{field: getattr(run, field) for field in OF_THE_RUN},
    }


def ablation_curves(runs: Sequence[CollectedRun], choice: Choice) -> pd.DataFrame:
    """Return raw and ablated OOD accuracy over epochs of every trained model with a run of ``subspace_ablation``.

    Raises:
        ExperimentError: If two runs measured it on one model and differ in a setting.
    """
    columns = ("split", "method", "epoch", "head_acc_raw", "head_acc_ablated")

    def curve(run: CollectedRun) -> pd.DataFrame | Unread:
        rows = chosen_rows(run, "ablation", {"split": "ood", "method": choice.method}, columns)
        if isinstance(rows, Unread):
            return rows
        return rows.rename(columns={"head_acc_raw": "raw", "head_acc_ablated": "ablated"})[["epoch", "raw", "ablated"]]

    found, _ = _curves(runs, "subspace_ablation", curve)  # the endpoints report why a curve is missing
    return _joined(found, ABLATION_COLUMNS, "epoch")


def steering_curves(runs: Sequence[CollectedRun], choice: Choice) -> tuple[pd.DataFrame, list[str]]:
    """Return OOD accuracy over alpha of every model with a run of ``activation_steering``, at the chosen checkpoint.

    Returns:
        The curves, and sentences about runs that could not be read.

    Raises:
        ExperimentError: If two runs measured it on one model and differ in a setting.
    """
    columns = ("direction", "epoch", "alpha", "head_ood_acc")

    def curve(run: CollectedRun) -> pd.DataFrame | Unread:
        rows = chosen_rows(run, "sweep", {"direction": choice.direction}, columns)
        rows = rows if isinstance(rows, Unread) else at_epoch(rows, run, choice)[0]
        if isinstance(rows, Unread):
            return rows
        return rows.rename(columns={"head_ood_acc": "accuracy"})[["alpha", "accuracy"]]

    found, unread = _curves(runs, "activation_steering", curve)
    notes = [f"steering curves: {counted(n, 'run')} left out: {why}." for why, n in sorted(unread.items())]
    return _joined(found, STEERING_COLUMNS, "alpha"), notes


def _curves(
    runs: Sequence[CollectedRun], experiment_type: str, read: Callable[[CollectedRun], pd.DataFrame | Unread]
) -> tuple[list[pd.DataFrame], Counter[str]]:
    """Return the curve of every trained model that has one, and why others have none."""
    mine = [each for each in _of_type(runs, experiment_type) if each.condition is not None]
    found, unread = readings((run, read(run)) for run in mine)
    curves = {
        run.run_id: rows.assign(training=run.condition, n_train=run.n_train, seed=run.seed, run_id=run.run_id)
        for run, rows in found
    }
    chosen = one_each(f"the curve of {experiment_type}", (run for run, _ in found), runs)
    return [curves[run_id] for run_id in chosen], unread


def described(runs: Sequence[CollectedRun]) -> str:
    """Return data set and site of the runs, for a heading: ``digits_scanners, site fc input, ``."""
    edited = [run for run in runs if run.experiment_type in ("subspace_ablation", "activation_steering")]
    data = sorted({str(run.params["data"]) for run in edited if run.params.get("data")})
    sites = sorted({str(run.aggregates["site"]) for run in edited if run.aggregates.get("site")})
    named = [*([" and ".join(data)] if data else []), *([f"site {' and '.join(sites)}"] if sites else [])]
    return "".join(f"{each}, " for each in named)


def chance_of(runs: Sequence[CollectedRun]) -> float | None:
    """Return the chance accuracy of the label, from the runs' probes; None where they give none, or several."""
    known: set[float] = set()
    for run in _of_type(runs, "probe_trajectory"):
        rows = chosen_rows(run, "probes", {"target": "label"}, ("target", "chance"))
        if not isinstance(rows, Unread):
            known |= {float(value) for value in rows["chance"]}
    return known.pop() if len(known) == 1 else None


def _of_type(runs: Sequence[CollectedRun], experiment_type: str) -> list[CollectedRun]:
    """Return the runs of a type, the earliest first."""
    mine = [run for run in runs if run.experiment_type == experiment_type]
    return sorted(mine, key=lambda each: each.started_at or "")


def _joined(pieces: list[pd.DataFrame], columns: Sequence[str], x: str) -> pd.DataFrame:
    if not pieces:
        return pd.DataFrame(columns=list(columns))
    joined = pd.concat(pieces, ignore_index=True)[list(columns)]
    return joined.sort_values(["training", "n_train", "seed", x], kind="stable", ignore_index=True)
