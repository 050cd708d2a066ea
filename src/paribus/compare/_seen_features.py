"""What runs found about each feature of each model: effects, established drivers, cores and checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from paribus.arrays import Floats
from paribus.compare.compare_features import CHECKS, CORES, batteries
from paribus.compare.values import value_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.stats.effects import established


@dataclass
class Seen:
    """One feature of one model.

    Attributes:
        model: Its model.
        feature: Its name.
        effects: Effect by edit.
        tested: Edits that were tested.
        drivers: Edits that are established, with their effect.
        cores: Its minimal cores; None where none were looked for.
        checks: Whether each check of stability passed.
        halves: Correlations of its effects in halves of the data.
        condition: How its model was trained.
        own: Edits of parts that only its model has.
        again: Edits that several runs measured; the latest counts.
    """

    model: str
    feature: str
    effects: dict[str, float] = field(default_factory=dict)
    tested: set[str] = field(default_factory=set)
    drivers: dict[str, float] = field(default_factory=dict)
    cores: frozenset[str] | None = None
    checks: list[bool] = field(default_factory=list)
    halves: list[float] = field(default_factory=list)
    condition: str = ""
    own: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)


def gathered(runs: Sequence[CollectedRun], battery: Sequence[str], level: float) -> list[Seen]:
    """Return what the runs found about each feature, by model and feature.

    Args:
        runs: Finished runs, one per identity.
        battery: Types whose effects count.
        level: Level of the adjusted p.
    """
    found: dict[tuple[str, str], Seen] = {}
    for each in sorted(runs, key=lambda run: run.started_at or ""):
        feature = each.tags.get("feature")
        if feature is None:
            continue
        model = each.model_run[:8] if each.model_run else (each.tags.get("model") or "")[:32]
        one = found.setdefault((model, feature), Seen(model, feature, condition=each.condition or ""))
        if each.experiment_type in battery and _about_the_feature(each):
            _add(one, each, level)
        elif each.experiment_type in CORES:
            table, column = CORES[each.experiment_type]
            if table in each.tables:
                one.cores = (one.cores or frozenset()) | frozenset(map(str, each.tables[table][column]))
        elif each.experiment_type in CHECKS and "passed" in each.aggregates:
            one.checks.append(bool(each.aggregates["passed"]))
            if "split_half_r" in each.metrics:
                one.halves.append(float(each.metrics["split_half_r"]))
    kept = [one for one in found.values() if one.effects]
    if len({one.model for one in kept}) > 1:
        kept = [_of_its_model(one) for one in kept]
    return sorted(kept, key=lambda one: (one.model, len(one.feature), one.feature))


def _of_its_model(one: Seen) -> Seen:
    """Return a feature with its model in the names of edits of model parts: unit 3 differs between models."""

    def named(edit: str) -> str:
        return f"{edit} of {one.model}" if edit in one.own else edit

    return replace(
        one,
        effects={named(edit): value for edit, value in one.effects.items()},
        tested={named(edit) for edit in one.tested},
        drivers={named(edit): value for edit, value in one.drivers.items()},
    )


def _about_the_feature(run: CollectedRun) -> bool:
    """Return whether a run's readout is its feature: not another readout, and not a feature that the run edited."""
    named = batteries()[run.experiment_type].named
    edited = bool(named) and str(run.params.get(named, "[]")) == "[]"
    return not edited and str(run.params.get("experiment.readout", "feature")) in ("auto", "feature")


def _add(one: Seen, run: CollectedRun, level: float) -> None:
    source = batteries()[run.experiment_type]
    if source.table not in run.tables:
        return
    frame = run.tables[source.table]
    if "epoch" in frame.columns and len(frame):
        frame = frame[frame["epoch"] == frame["epoch"].max()]
    if "k" in frame.columns:
        frame = frame[frame["k"] == 1]
    words = [str(value) for value in (value_of(run, name) for name in source.under) if value is not None]
    own = _edits_parts(run)
    for row, driver in zip(frame.to_dict("records"), established(frame, level=level, value=source.value), strict=True):
        value = float(row[source.value])
        if not math.isfinite(value) or (row.get("p_method") == "reference"):
            continue
        label = " ".join([*words, *(str(row[column]) for column in source.label)])
        edit = f"{run.experiment_type}: {label}"
        if edit in one.effects:
            one.again.add(edit)
            one.tested.discard(edit)
            one.drivers.pop(edit, None)
        one.effects[edit] = value
        if own:
            one.own.add(edit)
        if math.isfinite(float(row["p_adj"])):
            one.tested.add(edit)
        if driver:
            one.drivers[edit] = value


def _edits_parts(run: CollectedRun) -> bool:
    """Return whether a run edits parts that only its network has."""
    own = batteries()[run.experiment_type].own
    return any(name in run.params and (not of or str(run.params[name]) in of) for name, of in own.items())


def mean_of_known(values: Floats) -> float:
    """Return the mean of the finite values; NaN without any.

    >>> mean_of_known(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
