"""Outcomes read from a run: a metric, a declared endpoint, a table column, or a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paribus.compare.declared import ENDPOINTS, TYPE_OF
from paribus.compare.endpoints import Choice, Unread, at_epoch, read
from paribus.compare.honesty import Placed
from paribus.compare.quantities import Quantity
from paribus.compare.values import number_of
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.endpoint import ANY

EPOCH = "epoch"
MOST_NAMED = 4


@dataclass(frozen=True)
class Value:
    """The value of an outcome in a run, and whether it is binary."""

    number: float
    yes_no: bool = False


VALUES = ("metric", "group", "unit", "setting", "value", "yes_no", "run_id", "identity")
"""Columns of a table of values, one row per run and number."""


def value_row(name: str, placed: Placed, found: Value) -> dict[str, Any]:
    """Return the row of a number of a run, in the columns :data:`VALUES`."""
    where = (name, placed.group, placed.unit, placed.setting)
    return dict(zip(VALUES, (*where, found.number, found.yes_no, placed.run.run_id, placed.run.identity), strict=True))


@dataclass(frozen=True)
class Outcome:
    """One thing that is compared.

    Attributes:
        name: As it is named in the configuration, and in tables.
        label: What it is, for figures and sentences.
        kind: Type of the experiments whose runs have it.
        read: Returns its value in a run, or why there is none.
        bounds: Least and largest value that it can have.
        zero: Whether 0 means no effect.
        unit: What it is measured in; empty if nothing says so.
        ranked: Whether a change of AUROC accompanies it.
    """

    name: str
    label: str
    kind: str
    read: Callable[[CollectedRun], Value | Unread]
    bounds: tuple[float, float] = ANY
    zero: bool = False
    unit: str = ""
    ranked: bool = False


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

    ranked = declared.ranking is not None
    return Outcome(name, declared.label, TYPE_OF[name], value, declared.bounds, declared.zero, declared.unit, ranked)


def column(quantity: Quantity, kind: str, choice: Choice) -> Outcome:
    """Return a number of a table as an outcome; at the chosen checkpoint, where the table has several."""

    def value(run: CollectedRun) -> Value | Unread:
        rows = _at_checkpoint(rows_of(run, quantity), run, quantity, choice)
        if isinstance(rows, Unread):
            return Unread(f"({rows.reason})")
        if _length(rows) != 1:
            n = _length(rows)
            return Unread(f"({n} rows of its table {quantity.table!r} fit, not one{_apart(rows, quantity)})")
        found = rows[quantity.column][0]
        if isinstance(found, bool):
            return Value(float(found), True)
        number = _number(found)
        if not math.isfinite(number):
            return Unread(f"({quantity.column} of its table {quantity.table!r} is {found})")
        return Value(number)

    return Outcome(quantity.text, quantity.label, kind, value)


Points = list[tuple[Any, float]]
"""Levels and values of a curve."""


def curve_of(run: CollectedRun, quantity: Quantity, choice: Choice) -> Points | Unread:
    """Return the levels and values of a curve in a run, or why there is none; numeric levels are sorted."""
    rows = _at_checkpoint(rows_of(run, quantity), run, quantity, choice)
    if isinstance(rows, Unread):
        return rows
    pairs = zip(rows[quantity.level], rows[quantity.column], strict=True)
    found = [(level, _number(value)) for level, value in pairs if level is not None and level == level]
    if len({level for level, _ in found}) < len(found):
        return Unread(f"several rows of its table {quantity.table!r} have the same {quantity.level}"
                      f"{_apart(rows, quantity, quantity.level)}")  # fmt: skip
    if not any(math.isfinite(value) for _, value in found):
        return Unread(f"{quantity.column} of its table {quantity.table!r} holds no number")
    numeric = all(isinstance(level, int | float) and not isinstance(level, bool) for level, _ in found)
    return sorted(found) if numeric else found


Rows = Mapping[str, list[Any]]
"""Cells of a table by column."""


def rows_of(run: CollectedRun, quantity: Quantity) -> Rows | Unread:
    """Return the rows of a run's table that a quantity names, by column, or why there are none."""
    rows = cells_of(run, quantity.table)
    if rows is None:
        return Unread(f"its table {quantity.table!r} is not there; it has {', '.join(run.tables) or 'none'}")
    wanted = [quantity.column, *([quantity.level] if quantity.level else []), *quantity.rows]
    absent = [name for name in wanted if name not in rows]
    if absent:
        return Unread(f"its table {quantity.table!r} has no column {', '.join(absent)}")
    for name, value in quantity.rows.items():
        kept = [place for place, cell in enumerate(rows[name]) if _is(cell, value)]
        if not kept:
            known = ", ".join(list(dict.fromkeys(map(str, rows[name])))[:8]) or "none"
            return Unread(f"its table {quantity.table!r} has no row with {name}={value} (it has {known})")
        if len(kept) < len(rows[name]):
            rows = {column: [cells[place] for place in kept] for column, cells in rows.items()}
    return rows


def _at_checkpoint(rows: Rows | Unread, run: CollectedRun, quantity: Quantity, choice: Choice) -> Rows | Unread:
    """Return the rows of the chosen checkpoint, where rows of several fit and none was named."""
    if isinstance(rows, Unread) or EPOCH not in rows or EPOCH in (*quantity.rows, quantity.level):
        return rows
    if len(set(rows[EPOCH])) == 1:
        return rows
    chosen = at_epoch(pd.DataFrame(rows), run, choice)[0]
    return chosen if isinstance(chosen, Unread) else {str(name): chosen[name].tolist() for name in chosen}


def cells_of(run: CollectedRun, table: str) -> Rows | None:
    """Return the cells of a table by column, as stored where possible."""
    columns: Callable[[str], Rows | None] | None = getattr(run.tables, "columns", None)
    if columns is not None:
        return columns(table)
    frame = run.tables.get(table)
    return None if frame is None else {str(name): frame[name].tolist() for name in frame.columns}


def _is(cell: Any, value: str) -> bool:
    """Return whether a cell has a value, as numbers where both are."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            return cell == float(value)
        except ValueError:
            return False
    return str(cell).lower() == value.lower()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values()), []))


def _apart(rows: Rows, quantity: Quantity, *known: str) -> str:
    """Return by which columns the rows that fit can be told apart, those with few values first."""
    taken = {quantity.column, *quantity.rows, *known}
    values = {name: list(dict.fromkeys(map(str, cells))) for name, cells in rows.items()
              if name not in taken and not any(isinstance(cell, float) for cell in cells)}  # fmt: skip
    names = sorted((name for name in values if len(values[name]) > 1), key=lambda name: len(values[name]))
    shown = [f"@{name}={values[name][0]}" for name in names[:MOST_NAMED]]
    return f"; add {' or '.join(shown)}" if shown else ""
