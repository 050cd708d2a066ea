"""The figures of a comparison: units and means, differences, paired differences, cells of two params, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from paribus.compare.declared import ENDPOINTS
from paribus.results.schema import INTERVAL, Figure

if TYPE_CHECKING:
    from paribus.compare.compare import Compare

MOST_COMPARED = 8
"""Number of pairs of groups up to which paired differences are drawn."""
MOST_UNITS = 12
"""Number of units up to which each gets a panel of its own."""


def figures(experiment: Compare, tables: Mapping[str, pd.DataFrame], confidence: float, note: str) -> list[Figure]:
    """Return the figures of those tables that have rows.

    Args:
        experiment: What was asked.
        tables: Its tables by name.
        confidence: Of the intervals.
        note: Note on admitted findings, shown on every figure.
    """
    of_all = {
        **({"note": note} if note else {}),
        "names": {**_labels(experiment), **_units(experiment, tables["units"])},
    }
    drawn = [_by_group(experiment, confidence)] if len(tables["units"]) else []
    tests = tables["tests"]
    if len(tests) and tests["ci_low"].notna().any():
        drawn.append(_differences(tests, confidence))
    if 0 < tables["pairs"]["comparison"].nunique() <= MOST_COMPARED:
        drawn.append(_paired(experiment))
    if "cells" in tables:
        drawn.append(_cells(experiment))
    if "curves" in tables:
        drawn.append(_curves(experiment, tables["curves"], confidence))
        if tables["curve_units"]["unit"].nunique() <= MOST_UNITS:
            drawn.append(_multiples(experiment))
    return [replace(figure, options={**figure.options, **of_all}) for figure in drawn]


def _labels(experiment: Compare) -> dict[str, str]:
    """Return the labels of table columns, curves and endpoints."""
    found = {quantity.text: quantity.label for quantity in (*experiment.numbers(), *experiment.whole_curves())}
    return found | {name: ENDPOINTS[name].label for name in experiment.endpoints}


def _units(experiment: Compare, units: pd.DataFrame) -> dict[str, str]:
    """Return the labels of units that are plain numbers."""
    if len(experiment.unit) > 1:
        return {}
    name = _params(experiment.unit).replace("_", " ")
    return {str(unit): f"{name} {unit}" for unit in pd.unique(units["unit"]) if str(unit).isdigit()}


def _by_group(experiment: Compare, confidence: float) -> Figure:
    roles = {"x": "group", "y": "value", "pair": "unit", "panel": "metric", "mean": "mean", **INTERVAL}
    says = (
        "One point per unit; grey lines join units that several groups share. Bars: mean over units with the "
        "interval of the table `groups`."
    )
    looks = {"ylabel": "", "confidence": confidence}
    title = f"{_named(experiment)} by {_params(experiment.group_by)}"
    return Figure.of("strip", "units", "groups", name="metrics_by_group", **roles).titled(title, says, **looks)


def _differences(tests: pd.DataFrame, confidence: float) -> Figure:
    roles = {"label": "group", "value": "difference", "panel": "endpoint", "p": "p_adj", "n": "n", **INTERVAL}
    references = pd.unique(tests["reference"])
    if len(references) > 1:
        roles |= {"group": "reference"}
        del roles["n"], roles["p"]
    against = f" from {references[0]}" if len(references) == 1 else ""
    says = (
        "Mean difference over units with the interval that inverts its test. p is adjusted over the family of the "
        "table `tests`."
    )
    what = against or ": row minus the group in the legend"
    options = {"reference": 0.0, "xlabel": f"difference{what}, {100 * confidence:g} %"}
    return Figure.of("forest", "tests", name="differences", **roles).titled(
        f"Differences{against or ' between groups'}", says, **options
    )


def _paired(experiment: Compare) -> Figure:
    roles = {"x": "group" if experiment.reference else "comparison", "y": "difference", "panel": "metric"}
    says = "One point per unit that both groups have; the bar is Student's t interval of the points, for the eye only."
    return Figure.of("strip", "pairs", name="paired_differences", **roles).titled(
        f"Paired differences{f' from {experiment.reference}' if experiment.reference else ''}",
        says,
        ylabel="difference",
        hline=0.0,
    )


def _cells(experiment: Compare) -> Figure:
    down, across = experiment.group_by
    roles = {"x": "x", "y": "y", "value": "mean", "panel": "metric", "n": "n_units"}
    return Figure.of("heatmap", "cells", name="means_by_two", **roles).titled(
        f"Means by {down} and {across}", "Mean over units in each cell; n is in the table.",
        xlabel=across, ylabel=down, share_scale=False, value_label="mean",
    )  # fmt: skip


def _curves(experiment: Compare, table: pd.DataFrame, confidence: float) -> Figure:
    several = table["curve"].nunique() > 1
    roles = {"x": "level", "y": "mean", "group": "line", **INTERVAL}
    options: dict[str, Any] = {"xlabel": _levels(experiment), "ylabel": "mean over units"}
    if several:
        roles["panel"] = "curve"
        options["share_y"] = False
    elif experiment.facet_by:
        roles["panel"] = "panel"
        if rest := [name for name in experiment.group_by if name not in experiment.facet_by]:
            options["group_label"] = _params(rest)
        if len(experiment.facet_by) == 2:
            options["panel_columns"] = table["panel"].str.rpartition(" · ")[2].nunique()
    bands = f"Mean over units; bands: {100 * confidence:g} % at each level alone, not for the curve as a whole."
    title = f"{_curves_named(experiment)} by {_params(experiment.group_by)}"
    return Figure.of("curve", "curves", name="curves", **roles).titled(title, bands, **options)


def _multiples(experiment: Compare) -> Figure:
    roles = {"x": "level", "y": "value", "group": "group", "panel": "unit"}
    if len(experiment.curves) > 1:
        roles |= {"style": "curve"}
    return Figure.of("curve", "curve_units", name="curves_by_unit", **roles).titled(
        f"{_curves_named(experiment)}: every unit", "One panel per unit, one line per group.",
        xlabel=_levels(experiment), ylabel="value",
    )  # fmt: skip


def _named(experiment: Compare) -> str:
    names = _labels(experiment)
    return ", ".join(names.get(name, name) for name in experiment.compared())


def _curves_named(experiment: Compare) -> str:
    return ", ".join(quantity.label for quantity in experiment.whole_curves())


def _levels(experiment: Compare) -> str:
    return " / ".join(dict.fromkeys(quantity.level.replace("_", " ") for quantity in experiment.whole_curves()))


def _params(names: Sequence[str]) -> str:
    return ", ".join(name.rpartition(".")[2] for name in names)
