"""Compares metrics between groups of finished runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.compare import sentences
from paribus.compare.arms import COLUMNS, Intervals, Unadjusted, compare_arms, holm, one_arm
from paribus.compare.collect import select
from paribus.compare.compare import Compare
from paribus.compare.several import differing
from paribus.compare.values import number_of, value_of
from paribus.errors import ExperimentError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import INTERVAL, Aggregates, Figure, Table
from paribus.stats.spec import StatsSpec

MOST_GROUPS = 20


def run(experiment: Compare, setup: RunsSetup, recorder: Recorder) -> Aggregates:
    """Compare the runs of ``setup``.

    Raises:
        ExperimentError: If nothing can be compared, or something the settings refuse.
    """
    runs = _select(experiment, setup.runs, recorder)
    values = _values(experiment, runs, recorder)
    rng = setup.rng("compare")
    units = _unit_table(values)
    groups = _group_table(units, spec=setup.stats, rng=rng)
    tests = _tests(experiment, values, recorder, spec=setup.stats, rng=rng)
    kind = Evidence.COMPARISON
    recorder.table(Table("runs", "One row per run and metric.", kind, values))
    recorder.table(Table("units", "One row per metric, group and unit: the mean over its runs.", kind, units))
    recorder.table(Table("groups", "Mean of each metric in each group, over units.", kind, groups))
    recorder.table(Table("tests", "Pairs of groups, Holm over all rows; the floor of p first.", kind, tests))
    roles = {"x": "group", "y": "value", "pair": "unit", "panel": "metric", "mean": "mean", **INTERVAL}
    drawn = Figure.of("strip", "units", "groups", name="metrics_by_group", **roles)
    says = (
        "One point per unit; grey lines join units that several groups share. Bars: mean over units with the "
        "interval of the table `groups`."
    )
    looks = {"ylabel": "", "confidence": setup.stats.confidence}
    recorder.figure(drawn.titled(f"{', '.join(experiment.metrics)} by {', '.join(experiment.group_by)}", says, **looks))
    return _aggregates(values, groups, tests, setup.stats.confidence)


def _select(experiment: Compare, runs: Sequence[CollectedRun], recorder: Recorder) -> list[CollectedRun]:
    known = {run.experiment_type for run in runs}
    if experiment.experiment_type not in known:
        raise ExperimentError(
            f"compare: no run of {experiment.experiment_type!r}; {nearest(experiment.experiment_type, known)}"
        )
    experiment.check_runs(runs)
    selection = select(runs, (experiment.experiment_type,), experiment.where)
    if selection.mixed and experiment.mixed_code == "refuse":
        raise ExperimentError(f"compare: {selection.mixed[0]} mixed_code=flag compares them anyway")
    for line in (*selection.left_out, *selection.mixed):
        recorder.warn(line)
    return list(selection.runs)


def _values(experiment: Compare, runs: Sequence[CollectedRun], recorder: Recorder) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    unread: Counter[str] = Counter()
    for run in runs:
        parts = [value_of(run, name) for name in (*experiment.group_by, *experiment.unit)]
        absent = [n for n, part in zip((*experiment.group_by, *experiment.unit), parts, strict=True) if part is None]
        if absent:
            unread[f"without {', '.join(absent)}"] += 1
            continue
        group = ", ".join(map(str, parts[: len(experiment.group_by)]))
        unit = ", ".join(map(str, parts[len(experiment.group_by) :]))
        for metric in experiment.metrics:
            value, yes_no = number_of(run, metric)
            if not math.isfinite(value):
                unread[f"whose {metric} is {'infinite' if math.isinf(value) else 'missing'}"] += 1
            else:
                rows.append({"metric": metric, "group": group, "unit": unit, "value": value, "yes_no": yes_no,
                             "run_id": run.run_id, "identity": run.identity})  # fmt: skip
    if not rows:
        names = {key for run in runs for key in (*run.metrics, *run.aggregates)}
        raise ExperimentError(
            f"compare: none of {len(runs)} finished runs of {experiment.experiment_type!r} has "
            f"{', '.join(experiment.metrics)} and all of {', '.join((*experiment.group_by, *experiment.unit))}; "
            f"{nearest(experiment.metrics[0], names)}"
        )
    for why, n in sorted(unread.items()):
        recorder.warn(f"{n} {'run' if n == 1 else 'runs'} of {experiment.experiment_type} {why} left out.")
    table = pd.DataFrame(rows)
    repeated = table[table.duplicated(["metric", "group", "unit"], keep=False)]
    if len(repeated):
        by_id = {run.run_id: run for run in runs}
        shared = {
            (group, None, unit): [by_id[run_id] for run_id in part["run_id"].unique()]
            for (group, unit), part in repeated.groupby(["group", "unit"])
        }
        settings = [name for name in differing(shared) if name not in (*experiment.group_by, *experiment.unit)]
        inwhat = f", and differ in {', '.join(settings[:5])}" if settings else ""
        recorder.warn(
            f"{repeated['run_id'].nunique()} runs share group and unit with another{inwhat}: their mean stands for "
            "the unit."
        )
    if table["group"].nunique() > MOST_GROUPS:
        raise ExperimentError(f"compare: {table['group'].nunique()} groups, at most {MOST_GROUPS} can be compared")
    return table.sort_values(["metric", "group", "unit"], kind="stable", ignore_index=True)


def _tests(
    experiment: Compare, values: pd.DataFrame, recorder: Recorder, *, spec: StatsSpec, rng: np.random.Generator
) -> pd.DataFrame:
    names = list(pd.unique(values["group"]))
    if experiment.reference and experiment.reference not in names:
        raise ExperimentError(f"compare: no group {experiment.reference!r}; {nearest(experiment.reference, names)}")
    pairs = (
        [(name, experiment.reference) for name in names if name != experiment.reference]
        if experiment.reference
        else [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    )
    rows = []
    intervals: list[Intervals] = []
    for metric in experiment.metrics:
        mine = values[values["metric"] == metric]
        for group, reference in pairs:
            a, b = _units(mine, group), _units(mine, reference)
            # A unit of several runs may be half a yes: that is a number.
            whole = all(value in (0.0, 1.0) for value in (*a.values(), *b.values()))
            yes_no = bool(len(mine)) and bool(mine["yes_no"].all()) and whole
            found = compare_arms(a, b, spec=spec, rng=rng, yes_no=yes_no)
            intervals.append(found.intervals)
            if found.missing:
                line = f"{metric}, {group} against {reference}: units {found.missing}."
                if experiment.missing_units == "refuse":
                    raise ExperimentError(f"compare: {line} missing_units=flag compares what is there")
                recorder.warn(line)
            rest = {name: getattr(found, name) for name in COLUMNS}
            first = {"smallest_p": found.smallest_p, "endpoint": metric, "label": metric, "training": group}
            rows.append({**first, "reference": reference, **rest, "flag": found.missing})
    columns = ["smallest_p", "endpoint", "label", "training", "reference", *COLUMNS, "flag"]
    table = holm(Unadjusted(pd.DataFrame(rows, columns=columns), intervals), confidence=spec.confidence)
    return table.rename(columns={"training": "group"})


def _units(rows: pd.DataFrame, group: str) -> dict[str, float]:
    means = rows[rows["group"] == group].groupby("unit")["value"].mean()
    return {str(unit): float(value) for unit, value in means.items()}


def _unit_table(values: pd.DataFrame) -> pd.DataFrame:
    means = values.groupby(["metric", "group", "unit"], sort=False)["value"].agg(["mean", "size"]).reset_index()
    return means.rename(columns={"mean": "value", "size": "n_runs"})


def _group_table(units: pd.DataFrame, *, spec: StatsSpec, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for (metric, group), part in units.groupby(["metric", "group"], sort=False):
        found = one_arm(part["value"].tolist(), spec=spec, rng=rng)
        rows.append({"metric": metric, "group": group, "n_units": found.n, "mean": found.mean, "ci_low": found.ci_low,
                     "ci_high": found.ci_high, "ci_method": found.ci_method})  # fmt: skip
    return pd.DataFrame(rows)


def _aggregates(values: pd.DataFrame, groups: pd.DataFrame, tests: pd.DataFrame, confidence: float) -> Aggregates:
    named = tests.rename(columns={"group": "training"})
    lines = sentences.reach(named, confidence)
    lines += [
        f"{row['group']}: {row['metric']} {sentences.number(float(row['mean']))} "
        f"({sentences.interval(row, confidence)}; n = {int(row['n_units'])})."
        for _, row in groups.iterrows()
    ]
    lines += [sentences.contrast_line(row, confidence) for _, row in named.iterrows()]
    return Aggregates(
        n_samples=int(values["run_id"].nunique()),
        n_conditions=int(values["group"].nunique()),
        custom={
            "summary": lines,
            "n_established": sum(sentences.is_established(row, confidence) for _, row in tests.iterrows()),
            "smallest_p": None if tests["smallest_p"].isna().all() else float(tests["smallest_p"].min()),
        },
    )
