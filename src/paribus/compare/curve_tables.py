"""Curves of runs by group: each unit's curve, the mean with an interval at each level, and the mean of each curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paribus.compare.arms import one_arm
from paribus.compare.endpoints import Choice, readings
from paribus.compare.honesty import Placed, in_order
from paribus.compare.outcomes import VALUES, Points, Value, curve_of, value_row
from paribus.compare.quantities import Quantity
from paribus.compare.values import value_of
from paribus.errors import ExperimentError
from paribus.results.words import counted
from paribus.stats.few import spread, student_interval

if TYPE_CHECKING:
    from paribus.compare.compare import Compare
    from paribus.stats.spec import StatsSpec

UNITS = ("curve", "panel", "line", "group", "unit", "level", "value", "n_runs")
GROUPS = ("curve", "panel", "line", "group", "level", "n", "mean", "sd", "ci_low", "ci_high", "ci_method")
MOST_ENUMERATED = 12
"""Units up to which the interval of a point inverts the exact sign flip; above, Student's t, which is close by then."""
BETWEEN = " · "


@dataclass(frozen=True)
class Curves:
    """The curves of a comparison.

    Attributes:
        units: One row per curve, unit and level.
        groups: One row per curve, group and level.
        means: For each run and curve the mean over the levels that all runs of the curve have, as rows of values.
        left_out: Which runs have none, and why.
        read: Ids of the runs in which each was read.
    """

    units: pd.DataFrame
    groups: pd.DataFrame
    means: pd.DataFrame
    left_out: tuple[str, ...]
    read: Mapping[str, Collection[str]]


def curve_tables(
    experiment: Compare, placed: Sequence[Placed], choice: Choice, spec: StatsSpec, rng: np.random.Generator
) -> Curves:
    """Read the curves of all runs.

    Args:
        experiment: Which curves, and which params make groups and panels.
        placed: The runs, with group and unit.
        choice: Which checkpoint is read where a table has several.
        spec: Settings of the intervals.
        rng: Randomness of flips that cannot be enumerated.

    Raises:
        ExperimentError: If one of the curves is in no run.
    """
    wanted, kind = experiment.whole_curves(), experiment.experiment_type
    mine = [each for each in placed if each.run.experiment_type == kind]
    units: list[tuple[Any, ...]] = []
    means: list[pd.DataFrame] = []
    left_out: list[str] = []
    read: dict[str, Collection[str]] = {}
    for quantity in wanted:
        found, unread = readings((each, curve_of(each.run, quantity, choice)) for each in mine)
        left_out += [f"{counted(n, 'run')} of {kind} ({why})" for why, n in sorted(unread.items())]
        if mine and not found:
            why = max(unread, key=lambda each: unread[each])
            raise ExperimentError(f"compare: {quantity.text}: none of {len(mine)} runs of {kind!r} holds it: {why}")
        read[quantity.text] = {each.run.run_id for each, _ in found}
        units += [row for each, curve in found for row in _of_unit(experiment, quantity, each, curve)]
        means.append(_means(quantity, found))
    if not units:
        nothing = (pd.DataFrame(columns=list(UNITS)), pd.DataFrame(columns=list(GROUPS)))
        return Curves(*nothing, pd.DataFrame(columns=list(VALUES)), tuple(left_out), read)
    table = _averaged(pd.DataFrame(units, columns=[*UNITS[:-1]]))
    # the order of groups of the other tables, so that a group has one colour in all figures
    places = {quantity.text: place for place, quantity in enumerate(wanted)}
    keys = [(places[curve], in_order(group)) for curve, group in zip(table["curve"], table["group"], strict=True)]
    by_group = sorted(range(len(keys)), key=lambda row: keys[row])
    table = _panels_in_order(table.iloc[by_group].reset_index(drop=True), placed, experiment.facet_by)
    return Curves(table, _groups(table, spec, rng), pd.concat(means, ignore_index=True), tuple(left_out), read)


def _of_unit(experiment: Compare, quantity: Quantity, each: Placed, curve: Points) -> list[tuple[Any, ...]]:
    values = {name: str(value_of(each.run, name)) for name in experiment.group_by}
    panel = _panel({name: values[name] for name in experiment.facet_by})
    line = ", ".join(value for name, value in values.items() if name not in experiment.facet_by) or each.group
    return [(quantity.text, panel, line, each.group, each.unit, level, value) for level, value in curve]


def _panel(values: Mapping[str, str]) -> str:
    """Return the name of a panel: its params with their values."""
    return BETWEEN.join(f"{name.rpartition('.')[2]}={value}" for name, value in values.items())


def _averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per curve, unit and level: the mean over the unit's runs that hold the level."""
    keys = ["curve", "panel", "line", "group", "unit", "level"]
    found = table.groupby(keys, sort=False)["value"].agg(["mean", "count"]).reset_index()
    return found.rename(columns={"mean": "value", "count": "n_runs"})[list(UNITS)]


def _panels_in_order(table: pd.DataFrame, placed: Sequence[Placed], facet_by: Sequence[str]) -> pd.DataFrame:
    """Return the rows panel by panel, as a grid is filled: rows of panels first; a panel without runs has one row."""
    if not facet_by:
        return table
    values = [sorted({str(value_of(each.run, name)) for each in placed}, key=in_order) for name in facet_by]
    order = [_panel(dict(zip(facet_by, combined, strict=True))) for combined in itertools.product(*values)]
    first = table.iloc[0]
    empty = [
        {"curve": first["curve"], "panel": panel, "line": first["line"], "group": "", "unit": "",
         "level": first["level"], "value": math.nan, "n_runs": 0}
        for panel in order if panel not in set(table["panel"])
    ]  # fmt: skip
    whole = pd.concat([table, pd.DataFrame(empty, columns=list(UNITS))], ignore_index=True) if empty else table
    place = {panel: index for index, panel in enumerate(order)}
    return whole.iloc[whole["panel"].map(place).argsort(kind="stable")].reset_index(drop=True)


def _means(quantity: Quantity, found: Sequence[tuple[Placed, Points]]) -> pd.DataFrame:
    """Return for each run the mean of its curve over the levels that all runs have a value at; none without any."""
    levels = [{level for level, value in curve if math.isfinite(value)} for _, curve in found]
    common = set.intersection(*levels) if levels else set()
    rows: list[dict[str, Any]] = []
    for each, curve in found if common else ():
        value = math.fsum(value for level, value in curve if level in common) / len(common)
        rows.append(value_row(quantity.text, each, Value(value)))
    return pd.DataFrame(rows, columns=list(VALUES))


def _groups(units: pd.DataFrame, spec: StatsSpec, rng: np.random.Generator) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    keys = ["curve", "panel", "line", "group", "level"]
    for key, part in units.groupby(keys, sort=False):
        values = part["value"].dropna().to_numpy(float)
        if len(values) <= MOST_ENUMERATED:
            found = one_arm(values.tolist(), spec=spec, rng=rng)
            low, high, method = found.ci_low, found.ci_high, found.ci_method
        else:
            around = student_interval(values, spec.confidence)
            low, high, method = around.low, around.high, around.method
        named = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        mean = float(values.mean()) if len(values) else math.nan
        rows.append({**named, "n": len(values), "mean": mean, "sd": spread(values), "ci_low": low, "ci_high": high,
                     "ci_method": method})  # fmt: skip
    return pd.DataFrame(rows, columns=list(GROUPS))
