"""Rows of categories on a vertical axis: sorted, capped, labelled; shared by forest and bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paribus.figures import _panels, style
from paribus.figures._request import Request, numbers

OF_A_VALUE = ("low", "high", "null_low", "null_high", "null", "p")
"""Roles that belong to a column of values."""


def chosen(request: Request, frame: pd.DataFrame, label: str, value: str) -> list[Any]:
    """Return the labels to draw, top to bottom, sorted as the options say and capped at ``max_rows``."""
    table = pd.DataFrame({"label": frame[label], "value": numbers(frame, value)}).dropna(subset=["label"])
    largest = table.assign(size=table["value"].abs()).groupby("label", sort=False)
    sizes = largest["size"].max().fillna(-1.0)
    labels = list(sizes.index)
    most = int(request.option("max_rows", _panels.MAX_ROWS))
    if len(labels) > most:
        kept = set(sizes.sort_values(ascending=False, kind="stable").index[:most])
        labels = [each for each in labels if each in kept]
    how = request.option("sort", "none")
    if how == "abs":
        labels.sort(key=lambda each: -float(sizes[each]))
    elif how == "value":
        means = largest["value"].mean().fillna(-np.inf)
        labels.sort(key=lambda each: -float(means[each]))
    elif how == "gap":
        gaps = largest["value"].agg(lambda of_row: of_row.iloc[0] - of_row.iloc[-1]).fillna(-np.inf)
        labels.sort(key=lambda each: -float(gaps[each]))
    return labels


def cap_note(total: int, shown: int) -> str:
    """Return the note that says how many rows were left out; empty when none were."""
    if total <= shown:
        return ""
    return f"{shown} of {total} rows shown (largest in size); all are in the table."


def prepare(request: Request, ax: Axes, labels: list[Any]) -> None:
    """Set up a vertical axis with one line per label, the first on top."""
    ax.set_ylim(len(labels) - 0.4, -0.6)
    _panels.categories(ax, request.shown_all(labels, 30 if request.narrow else 52), "y")
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    for place in range(0, len(labels), 2):
        ax.axhspan(place - 0.5, place + 0.5, color="#F6F6F6", zorder=0, linewidth=0)


def height(n: int, per_row: float = 0.27) -> float:
    """Return the height of a panel with ``n`` rows, inches."""
    return float(min(12.0, max(2.0, 0.9 + per_row * n)))


def side_text(ax: Axes, place: float, text: str) -> None:
    """Write counts and p values beside a row, right of the axis."""
    if text:
        ax.text(
            1.015, place, text, transform=ax.get_yaxis_transform(), va="center", ha="left",
            fontsize=6.3 if style.small() else 7.8,
            color=style.QUIET,
        )  # fmt: skip


def counts_and_p(row: pd.Series[Any], n: str | None, p: str | None) -> str:
    """Return ``n = 12, p = .03`` for the roles that are declared."""
    pieces = []
    if n is not None and pd.notna(row[n]):
        pieces.append(f"n = {int(float(row[n])):,}".replace(",", " "))
    if p is not None and pd.notna(row[p]):
        pieces.append(style.p_value(float(row[p])))
    return "   ".join(pieces)


def long(request: Request, series: str) -> Request:
    """Return a request with one column of values: several become rows, each column a value of the role ``series``.

    The columns of an interval, a null or a p belong to the values in their order; the option ``labels`` names them.
    """
    values = request.many("value")
    if len(values) < 2:
        return request
    names = request.option("labels") or [column.replace("_", " ") for column in values]
    along = [role for role in OF_A_VALUE if request.many(role)]
    pieces = []
    for k, column in enumerate(values):
        piece = request.frame.assign(**{"row value": request.frame[column], "row series": names[k]})
        for role in along:
            columns = request.many(role)
            piece[f"row {role}"] = request.frame[columns[k]] if k < len(columns) else np.nan
        pieces.append(piece)
    others = {role: column for role, column in request.columns.items() if role not in (*OF_A_VALUE, "value", series)}
    roles = {**others, **{role: f"row {role}" for role in along}, "value": "row value", series: "row series"}
    return Request((pd.concat(pieces, ignore_index=True),), roles, request.options)
