"""What every interval and every p of a result must keep, found by the names of the columns."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from paribus.stats.effects import established
from paribus.stats.intervals import EQUAL_UNITS, is_none

NO_INTERVALS = {"share_low", "lower_rung", "n_low", "n_high"}
"""Columns with low or high in their name that are no ends of intervals."""
VALUES = {
    "ci": ("head_ood_acc", "balanced_accuracy", "mean_retention", "frequency", "top_k_overlap", "pooled_mean",
           "interaction", "interaction_activation", "third_difference", "mean_delta", "delta"),
    "ci_z": ("interaction_z", "interaction_preactivation", "third_difference_z"),
    "ci_absent": ("interaction_absent",),
    "ci_present": ("interaction_present",),
    "own_ci": ("own_delta",),
    "causal_ci": ("causal_delta",),
    "delta_ci": ("delta",),
    "removal_ci": ("removal_delta",),
    "head_id_ci": ("head_id_acc",),
    "head_val_ci": ("head_val_acc",),
    "core": ("core_share",),
    "tail": ("tail_share",),
    "gap": ("core_tail_gap",),
    "odds": ("odds_ratio",),
    "auroc_ci": ("auroc_delta",),
    "slope_ci": ("slope_in_sd",),
    "inserted": ("inserted_delta",),
    "": ("delta",),
}  # fmt: skip
"""What an interval is of, first come first; where it is not listed, ``x_low`` and ``x_ci_low`` are of ``x``."""
SHARES = re.compile(r"(^|_)(acc|accuracy|auroc|share|coverage|frequency|overlap|firing_rate|accuracy_area|auroc_area)$")
GAPS = {"auroc_delta", "delta_acc", "core_tail_gap"}
OF_ACCURACY = {"ablation", "trajectory", "k_sweep", "k_sweep_shown", "k_leakage", "sweep"}
"""Tables whose ``delta`` is a change of accuracy."""
RATIOS = {"odds_ratio", "lift", "core_lift", "ratio"}
RANGES = {"share": (0, 1), "gap": (-1, 1), "ratio": (0, np.inf), "free": (-np.inf, np.inf)}


def ends(frame):
    """Return ``(low, high, method, simultaneous)`` column names of every interval of a table."""
    found = []
    for low in map(str, frame.columns):
        if low in NO_INTERVALS or "null" in low or not re.search(r"(^|_)low($|_)", low):
            continue
        method = re.sub(r"(^|_)low($|_)", r"\1method\2", low.replace("adj_", ""))
        found.append((low, re.sub(r"(^|_)low($|_)", r"\1high\2", low), method, "adj_" in low))
    return found


def value_of(frame, low):
    """Return the column that an interval is of."""
    name = re.sub(r"(^|_)low($|_)", r"\2", low.replace("adj_", "")).strip("_")
    for column in VALUES.get(name, (name.removesuffix("_ci"),)):
        if column in frame:
            return column
    raise AssertionError(f"no column that {low} is the lower end of")


def range_of(table, value):
    """Return the range of a column's quantity."""
    if value in RATIOS:
        return RANGES["ratio"]
    if value in GAPS or (value == "delta" and table in OF_ACCURACY) or table == "top_k_changes":
        return RANGES["gap"]
    return RANGES["share" if SHARES.search(value) else "free"]


def problems(table):
    """Return what is wrong with the intervals and p of a table, one line each."""
    frame, wrong = table.frame, []

    def must(holds, rows, what):
        bad = np.flatnonzero(~np.asarray(holds)[rows])
        if len(bad):
            at = np.flatnonzero(rows)[bad[0]]
            wrong.append(f"{table.name}: {what} (row {at}: {frame.iloc[at].to_dict()})")

    for low, high, method, together in ends(frame):
        if high not in frame or method not in frame:
            wrong.append(f"{table.name}: {low} has no {high} or no {method}")
            continue
        if not len(frame):
            continue
        named = frame[method].astype(str)
        lower, upper = frame[low].to_numpy(float), frame[high].to_numpy(float)
        value = frame[value_of(frame, low)].to_numpy(float)
        none, some = is_none(named), ~np.isnan(lower) & ~np.isnan(upper)
        every = np.ones(len(frame), bool)
        exact = (named == "exact_zero").to_numpy()
        must(np.isnan(lower) == np.isnan(upper), every, f"{low} without {high}")
        must(~none | ~some, every, f"{method} says none, but {low} is there")
        if not together:
            must(none | some, every, f"{method} names a method, but {low} is missing")
        must((upper - lower > 1e-9 * np.abs(value)) | exact, some, f"{low} to {high} has no width")
        must((lower <= value + 1e-9) & (value - 1e-9 <= upper), some, f"{low} to {high} does not hold its value")
        least, most = range_of(table.name, value_of(frame, low))
        must((lower >= least) & (upper <= most), some, f"{low} to {high} leaves [{least}, {most}]")
        if "n_clusters" in frame:
            must((frame["n_clusters"] >= 6).to_numpy() | exact, some, f"{low} of fewer than 6 clusters")
        if together:
            own = [frame[end.replace("adj_", "")].to_numpy(float) for end in (low, high)]
            must((lower <= own[0]) & (upper >= own[1]), some, f"{low} to {high} lies inside the row's own interval")
    for p in map(str, frame.columns):
        if frame[p].dtype.kind == "f" and re.search(r"(^|_)p($|_)", p) and "adj" not in p:
            names = (f"{p}_method", re.sub(r"(^|_)p($|_)", r"\1p_method\2", p))
            method = next((name for name in names if name in frame), None)
            if method is None:
                wrong.append(f"{table.name}: {p} has no {names[0]}")
                continue
            must(is_none(frame[method].astype(str)) == frame[p].isna(), np.ones(len(frame), bool), f"{p} and {method}")
    return wrong


def unsound(frame, level, **names):
    """Return the rows called established whose adjusted p or simultaneous interval says otherwise."""
    found = established(frame, level=level, **names)
    name = names.get("names", "{}").format
    apart = (frame[name("ci_adj_low")] > 0) | (frame[name("ci_adj_high")] < 0)
    equal = frame[name("ci_method")] == EQUAL_UNITS
    return frame[found & ~((frame[name("p_adj")] <= level) & (apart | equal)).to_numpy()]


def kept_numbers(values: dict):
    """Return keys of aggregates that hold an interval or a p without saying how it was made."""
    missing = []
    for key, value in values.items():
        if not isinstance(value, float | int) or isinstance(value, bool) or "null" in key or key in NO_INTERVALS:
            continue
        if key.endswith("_low") and f"{key[:-4]}_method" not in values:
            missing.append(key)
        if re.search(r"(^|_)p$", key) and not {f"{key}_method", re.sub(r"p$", "method", key)} & set(values):
            missing.append(key)
    return missing


def shares_in(text: str):
    """Return the percentages that a text names."""
    return [float(each) for each in re.findall(r"(-?\d+(?:\.\d+)?) ?%", text.replace("\N{MINUS SIGN}", "-"))]


def table_of(name: str, **columns):
    """Return a table of one row for tests of these rules."""
    from paribus.results.evidence import Evidence
    from paribus.results.schema import Table

    return Table(name, "one row", Evidence.INTERVENTIONAL, pd.DataFrame({key: [each] for key, each in columns.items()}))
