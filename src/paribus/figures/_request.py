"""The request for a drawing: tables, the roles of their columns, and options, read safely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.figures.style import NARROW, shorten, shorten_all

MOST_SHOWN = 400
"""Longer names are cut to this many characters."""
MOST_GROUPS = 8
"""Groups that are drawn: there are as many colours."""
COMMON_OPTIONS = ("xlabel", "ylabel", "xlim", "ylim", "least_span", "width", "height", "legend", "names", "note")


@dataclass(frozen=True)
class Request:
    """Tables and settings of one drawing, after its roles and options were checked.

    Attributes:
        frames: The tables in the order the figure declares them.
        columns: Role to column name or names.
        options: Plain settings.
    """

    frames: tuple[pd.DataFrame, ...]
    columns: Mapping[str, str | Sequence[str]]
    options: Mapping[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """The main table."""
        return self.frames[0]

    def many(self, role: str) -> list[str]:
        """Return the columns of a role; none if it was not declared."""
        value = self.columns.get(role)
        if value is None:
            return []
        return [value] if isinstance(value, str) else list(value)

    def one(self, role: str) -> str | None:
        """Return the first column of a role, or None."""
        names = self.many(role)
        return names[0] if names else None

    def need(self, role: str) -> str:
        """Return the column of a role that was checked to be there."""
        return self.many(role)[0]

    def option(self, name: str, default: Any = None) -> Any:
        """Return an option; one that is None counts as not given."""
        value = self.options.get(name)
        return default if value is None else value

    def option_of(self, name: str, index: int, otherwise: Any = None) -> Any:
        """Return an option that is one value for all columns of ``value``, or a list with one for each."""
        value = self.options.get(name)
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = value[index] if index < len(value) else None
        return otherwise if value is None else value

    def shown(self, value: object, limit: int = 38) -> str:
        """Return the text shown for a raw value: its name if the options give one, numbers without needless digits."""
        names: Mapping[Any, str] = self.option("names", {})
        if value in names:
            return shorten(names[value], limit)
        if isinstance(value, float | np.floating):
            return f"{value:g}"
        text = str(value)
        return shorten(names.get(text, text), limit)

    def shown_all(self, values: Sequence[object], limit: int = 38) -> list[str]:
        """Return the labels of several values, shortened so that they stay distinct."""
        return shorten_all([self.shown(value, MOST_SHOWN) for value in values], limit)

    def panel(self, value: object, limit: int = 90) -> str:
        """Return the title of the panel of a value; a number with its column: ``epoch 15``."""
        text, column = self.shown(value, limit), self.one("panel")
        named: Mapping[Any, str] = self.option("names", {})
        if column is None or isinstance(value, str) or value in named:
            return text
        what = column.replace("_", " ")
        return f"{what} {text}" if column == "epoch" else f"{what} = {text}"

    @property
    def groups(self) -> list[Any]:
        """The values of ``group``, at most eight; None alone where there are no groups."""
        group = self.one("group")
        return levels(self.frame, group)[:MOST_GROUPS] if group else [None]

    def is_of(self, rows: pd.DataFrame, group: Any) -> Bools:
        """Return which rows are of one of :attr:`groups`."""
        return np.ones(len(rows), dtype=bool) if group is None else (rows[self.need("group")] == group).to_numpy(bool)

    def of_group(self, rows: pd.DataFrame, group: Any) -> pd.DataFrame:
        """Return the rows of one of :attr:`groups`."""
        return rows[self.is_of(rows, group)]

    @property
    def narrow(self) -> bool:
        """Whether the figure is as narrow as a printed column."""
        width = self.options.get("width")
        return width is not None and float(width) < NARROW

    def label(self, option: str, role: str) -> str:
        """Return an axis label: the option, or the role's column with spaces for underscores."""
        given = self.options.get(option)
        if given is not None:
            return str(given)
        columns = self.many(role)
        return columns[0].replace("_", " ") if len(columns) == 1 else ""


@overload
def numbers(frame: pd.DataFrame, column: str) -> Floats: ...


@overload
def numbers(frame: pd.DataFrame, column: str | None) -> Floats | None: ...


def numbers(frame: pd.DataFrame, column: str | None) -> Floats | None:
    """Return a column as floats; what is not a finite number is NaN. None if there is no such column declared."""
    if column is None:
        return None
    values = np.array(pd.to_numeric(frame[column], errors="coerce"), dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def is_numeric(frame: pd.DataFrame, column: str) -> bool:
    """Return whether a column holds numbers (not booleans, not texts)."""
    return pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column])


def levels(frame: pd.DataFrame, column: str, order: Sequence[Any] | None = None) -> list[Any]:
    """Return the distinct values of a column: as ``order`` says, numbers ascending, texts as they appear."""
    found = list(pd.unique(frame[column].dropna()))
    if order is not None:
        return [value for value in order if value in found] + [value for value in found if value not in order]
    return sorted(found) if is_numeric(frame, column) else found


def places(rows: pd.DataFrame, column: str, known: Sequence[Any]) -> Floats:
    """Return where the values of a column stand on its axis: numbers at themselves, others by their place in ``known``.

    NaN is for those that are not known.
    """
    if is_numeric(rows, column):
        return numbers(rows, column)
    return np.array([known.index(value) if value in known else np.nan for value in rows[column]], dtype=np.float64)


def parts(
    frame: pd.DataFrame, column: str | None, order: Sequence[Any] | None = None
) -> list[tuple[Any, pd.DataFrame]]:
    """Split a table by the values of a column; the whole table under None if there is no such column."""
    if column is None:
        return [(None, frame)]
    return [(value, frame[frame[column] == value]) for value in levels(frame, column, order)]
