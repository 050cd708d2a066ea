"""The independent units of a comparison, each the mean over the settings in which its runs were pooled."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

VALUE = "value"


@dataclass(frozen=True)
class Arms:
    """The outcomes of two groups by unit.

    Attributes:
        a: Of the group.
        b: Of the reference.
        left_out: Settings that were not used, as text; empty if all were.
    """

    a: dict[Any, float]
    b: dict[Any, float]
    left_out: str


@dataclass(frozen=True)
class Pooled:
    """Names of units and settings in sentences.

    Attributes:
        units: Units, in the plural.
        setting: The params in which runs of a unit differ.
        settings: Their values, in the plural.
    """

    units: str = "units"
    setting: str = "setting"
    settings: str = "settings"


NAMES = Pooled()


def unit_table(
    values: pd.DataFrame, columns: Collection[str] = (VALUE,), names: Pooled = NAMES
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per metric, group and unit: the mean over the settings that all units of the group have.

    Runs that share a unit are not independent; a mean over pooled settings compares units only where it is over the
    same settings. Where units of a group have none in common, each is the mean over its own.

    Args:
        values: One row per run: metric, group, unit, setting and the columns.
        columns: What is averaged, ``value`` first.
        names: What units and settings are called.

    Returns:
        The rows (with ``n_runs`` and ``n_settings``), and sentences about settings that were left out.

    Example:
        >>> rows = [("m", "a", "0", 100, 1.0), ("m", "a", "0", 300, 3.0), ("m", "a", "1", 100, 2.0)]
        >>> values = pd.DataFrame(rows, columns=["metric", "group", "unit", "setting", "value"])
        >>> unit_table(values)[0]["value"].tolist()
        [1.0, 2.0]
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for (metric, group), mine in values.groupby(["metric", "group"], sort=False):
        cells = {column: _by_unit(mine, column) for column in columns}
        chosen = _own(cells[VALUE])
        common = _shared(cells[VALUE])
        every = set().union(*cells[VALUE].values())
        if every - common:
            kept = f"only {names.setting}={_listed(common)} enters" if common else "each one's mean is over its own"
            notes.append(
                f"{metric}, {group}: not all {names.units} have {names.setting}={_listed(every - common)}; {kept}."
            )
        for unit, own in chosen.items():
            means = {column: _mean(cells[column][unit], own) for column in columns}
            counts = {"n_runs": sum(len(cells[VALUE][unit][each]) for each in own), "n_settings": len(own)}
            rows.append({"metric": metric, "group": group, "unit": unit, **means, **counts})
    return pd.DataFrame(rows, columns=["metric", "group", "unit", *columns, "n_runs", "n_settings"]), notes


def arms_of(values: pd.DataFrame, group: str, reference: str, column: str = VALUE, names: Pooled = NAMES) -> Arms:
    """Return the outcomes of a group and of the reference by unit, over the same settings.

    Where both have the same units, the outcomes of a unit are averaged over the settings that both groups have of it,
    so that a pair never differs in a setting; otherwise over those that all units of both groups have. Where they have
    none in common, units are as in :func:`unit_table`, with a remark.

    Args:
        values: One row per run of one metric.
        group: The first group.
        reference: The second one.
        column: The outcome.
        names: What units and settings are called.
    """
    a, b = (_by_unit(values[values["group"] == name], column) for name in (group, reference))
    own = [{unit: _mean(arm[unit], chosen) for unit, chosen in _own(arm).items()} for arm in (a, b)]
    if not a or not b:
        return Arms(own[0], own[1], "")
    if set(a) == set(b):
        shared = {unit: set(a[unit]) & set(b[unit]) for unit in a}
    else:
        common = set.intersection(*(set(found) for arm in (a, b) for found in arm.values()))
        shared = dict.fromkeys({*a, *b}, common)
    if not any(shared.values()):
        return Arms(
            own[0], own[1], f"no {names.setting} in common: the means of {names.units} are each arm's by itself"
        )
    kept = [{unit: _mean(arm[unit], shared[unit]) for unit in arm if shared[unit]} for arm in (a, b)]
    gone = {each for arm in (a, b) for unit, found in arm.items() for each in set(found) - shared[unit]}
    text = f"{names.settings} that not both arms have of a {names.units[:-1]} left out: {_listed(gone)}" if gone else ""
    return Arms(kept[0], kept[1], text)


Cells = Mapping[Any, Mapping[Any, list[float]]]
"""By unit the values of every setting."""


def _shared(cells: Cells) -> set[Any]:
    """Return the settings that all units of a group have."""
    return set.intersection(*map(set, cells.values())) if cells else set()


def _own(cells: Cells) -> dict[Any, Collection[Any]]:
    """Return by unit the settings that its mean is over: those that all units have, its own where there are none."""
    common = _shared(cells)
    return {unit: common or found.keys() for unit, found in cells.items()}


def _by_unit(rows: pd.DataFrame, column: str) -> Cells:
    """Return by unit the values of every setting; an unknown setting is None."""
    found: dict[Any, dict[Any, list[float]]] = {}
    for unit, setting, value in zip(rows["unit"], rows["setting"], rows[column], strict=True):
        key = None if pd.isna(setting) else setting
        found.setdefault(unit, {}).setdefault(key, []).append(float(value))
    return found


def _mean(found: Mapping[Any, list[float]], chosen: Collection[Any]) -> float:
    """Return the mean over settings, each the mean of its runs."""
    values = [math.fsum(runs) / len(runs) for setting, runs in found.items() if setting in chosen]
    return math.fsum(values) / len(values)  # exact, so that equal runs in another order are a difference of 0


def _listed(settings: Collection[Any]) -> str:
    return ", ".join("unknown" if each is None else str(each) for each in sorted(settings, key=str))
