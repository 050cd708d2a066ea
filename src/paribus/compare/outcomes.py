"""What is compared, read from a run: a metric, a declared endpoint, a number of a table, or a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from paribus.compare.declared import ENDPOINTS, TYPE_OF
from paribus.compare.endpoints import Choice, Unread, at_epoch, read
from paribus.compare.quantities import Quantity
from paribus.compare.values import number_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.endpoint import ANY

EPOCH = "epoch"
MOST_NAMED = 4


@dataclass(frozen=True)
class Value:
    """What was read of a run: a number, and whether it is a yes or no."""

    number: float
    yes_no: bool = False


@dataclass(frozen=True)
class Outcome:
    """One thing that is compared.

    Attributes:
        name: As it is named in the configuration, and in tables.
        label: What it is, for figures and sentences.
        kind: Type of the experiments whose runs hold it.
        read: Returns its value in a run, or why there is none.
        bounds: Least and largest value that it can have.
    """

    name: str
    label: str
    kind: str
    read: Callable[[CollectedRun], Value | Unread]
    bounds: tuple[float, float] = ANY


def metric(name: str, kind: str) -> Outcome:
    """Return a metric or aggregate as an outcome."""

    def value(run: CollectedRun) -> Value | Unread:
        number, yes_no = number_of(run, name)
        if not math.isfinite(number):
            return Unread(f"whose {name} is {'infinite' if math.isinf(number) else 'missing'}")
        return Value(number, yes_no)

    return Outcome(name, name, kind, value)


def endpoint(name: str, choice: Choice) -> Outcome:
    """Return a declared endpoint as an outcome."""
    declared = ENDPOINTS[name]

    def value(run: CollectedRun) -> Value | Unread:
        found = read(declared, run, choice)
        return Unread(f"({found.reason})") if isinstance(found, Unread) else Value(found.value)

    return Outcome(name, declared.label, TYPE_OF[name], value, declared.bounds)


def column(quantity: Quantity, kind: str, choice: Choice) -> Outcome:
    """Return a number of a table as an outcome; at the chosen checkpoint, where the table has several."""

    def value(run: CollectedRun) -> Value | Unread:
        rows = rows_of(run, quantity)
        if not isinstance(rows, Unread) and len(rows) > 1 and EPOCH in rows and EPOCH not in quantity.rows:
            rows = at_epoch(rows, run, choice)[0]
        if isinstance(rows, Unread):
            return Unread(f"({rows.reason})")
        if len(rows) != 1:
            return Unread(f"({len(rows)} rows of its table {quantity.table!r} fit, not one{_apart(rows, quantity)})")
        found = rows.iloc[0][quantity.column]
        if isinstance(found, bool):
            return Value(float(found), True)
        number = pd.to_numeric(found, errors="coerce")
        if not math.isfinite(number):
            return Unread(f"({quantity.column} of its table {quantity.table!r} is {found})")
        return Value(float(number))

    return Outcome(quantity.text, quantity.label, kind, value)


def curve_of(run: CollectedRun, quantity: Quantity) -> pd.DataFrame | Unread:
    """Return the levels and values of a curve in a run, or why there is none.

    Returns:
        Columns ``level`` and ``value``, one row per level, levels rising where they are numbers.
    """
    rows = rows_of(run, quantity)
    if isinstance(rows, Unread):
        return rows
    found = pd.DataFrame({"level": rows[quantity.level].to_numpy(), "value": pd.to_numeric(rows[quantity.column])})
    found = found[found["level"].notna()]
    if found["level"].duplicated().any():
        return Unread(f"several rows of its table {quantity.table!r} have the same {quantity.level}"
                      f"{_apart(rows, quantity, quantity.level)}")  # fmt: skip
    if found["value"].notna().sum() == 0:
        return Unread(f"{quantity.column} of its table {quantity.table!r} holds no number")
    numeric = pd.api.types.is_numeric_dtype(found["level"])
    return found.sort_values("level", ignore_index=True) if numeric else found.reset_index(drop=True)


def rows_of(run: CollectedRun, quantity: Quantity) -> pd.DataFrame | Unread:
    """Return the rows of a run's table that a quantity names, or why there are none."""
    frame = run.tables.get(quantity.table)
    if frame is None:
        return Unread(f"its table {quantity.table!r} is not there; it has {', '.join(run.tables) or 'none'}")
    wanted = [quantity.column, *([quantity.level] if quantity.level else []), *quantity.rows]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        return Unread(f"its table {quantity.table!r} has no column {', '.join(absent)}")
    for name, value in quantity.rows.items():
        chosen = frame[_equal(frame[name], value)]
        if chosen.empty:
            known = ", ".join(str(each) for each in pd.unique(frame[name])[:8]) or "none"
            return Unread(f"its table {quantity.table!r} has no row with {name}={value} (it has {known})")
        frame = chosen
    return frame


def _equal(column: pd.Series, value: str) -> pd.Series:
    """Return where a column has a value, as numbers where both are."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        try:
            return column == float(value)
        except ValueError:
            pass
    return column.astype(str).str.lower() == value.lower()


def _apart(rows: pd.DataFrame, quantity: Quantity, *known: str) -> str:
    """Return by which columns the rows that fit can be told apart, those with few values first."""
    taken = {quantity.column, *quantity.rows, *known}
    counts = {
        str(name): rows[name].nunique()
        for name in rows.columns
        if name not in taken and not pd.api.types.is_float_dtype(rows[name]) and rows[name].nunique() > 1
    }
    names: Sequence[str] = sorted(counts, key=lambda name: counts[name])[:MOST_NAMED]
    shown = [f"@{name}={pd.unique(rows[name])[0]}" for name in names]
    return f"; add {' or '.join(shown)}" if shown else ""
