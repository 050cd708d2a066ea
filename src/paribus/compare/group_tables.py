"""Tables of units, groups, pairs, and of cells of two params."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.compare.arms import one_arm
from paribus.stats.improvement import interquartile_mean
from paribus.stats.spec import StatsSpec

PAIRS = ("metric", "group", "reference", "comparison", "unit", "value", "value_reference", "difference")
CELLS = ("metric", "x", "y", "n_units", "mean", "sd")


def unit_table(values: pd.DataFrame) -> pd.DataFrame:
    """Return one row per metric, group and unit: the mean over its runs, and how many these are."""
    means = values.groupby(["metric", "group", "unit"], sort=False)["value"].agg(["mean", "size"]).reset_index()
    return means.rename(columns={"mean": "value", "size": "n_runs"})


def group_table(units: pd.DataFrame, *, spec: StatsSpec, rng: np.random.Generator) -> pd.DataFrame:
    """Return one row per metric and group: n, mean with its interval, sd and interquartile mean over units."""
    rows = []
    for (metric, group), part in units.groupby(["metric", "group"], sort=False):
        values = part["value"].to_numpy(float)
        found = one_arm(values.tolist(), spec=spec, rng=rng)
        rows.append({"metric": metric, "group": group, "n_units": found.n, "mean": found.mean, "ci_low": found.ci_low,
                     "ci_high": found.ci_high, "ci_method": found.ci_method,
                     "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
                     "iqm": interquartile_mean(values)})  # fmt: skip
    return pd.DataFrame(rows)


def pair_table(units: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Return one row per test and unit that both of its groups have."""
    rows: list[dict[str, Any]] = []
    by_place = {key: part.set_index("unit")["value"] for key, part in units.groupby(["metric", "group"], sort=False)}
    for metric, group, reference in zip(tests["endpoint"], tests["group"], tests["reference"], strict=True):
        a, b = (by_place.get((metric, each), pd.Series(dtype=float)) for each in (group, reference))
        for unit in [each for each in a.index if each in b.index]:
            rows.append({"metric": metric, "group": group, "reference": reference, "unit": unit,
                         "comparison": f"{group} − {reference}", "value": a[unit], "value_reference": b[unit],
                         "difference": a[unit] - b[unit]})  # fmt: skip
    return pd.DataFrame(rows, columns=list(PAIRS))


def cell_table(groups: pd.DataFrame, group_by: Sequence[str]) -> pd.DataFrame:
    """Return the means by two params, the first down (``y``), the second across (``x``); no row for other groupings."""
    rows = []
    if len(group_by) == 2:
        for _, row in groups.iterrows():
            parts = str(row["group"]).split(", ")
            if len(parts) != 2:
                return pd.DataFrame(columns=list(CELLS))
            rows.append({"metric": row["metric"], "x": _typed(parts[1]), "y": _typed(parts[0]),
                         "n_units": row["n_units"], "mean": row["mean"], "sd": row["sd"]})  # fmt: skip
    table = pd.DataFrame(rows, columns=list(CELLS))
    for name in ("x", "y"):
        if table[name].map(lambda value: isinstance(value, str)).any():
            table[name] = table[name].astype(str)
    return table


def _typed(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
