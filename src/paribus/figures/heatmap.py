"""Cells over two factors; what was not measured stays blank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from paribus.arrays import Bools, Floats
from paribus.figures import _cells, _panels, style
from paribus.figures._request import Request, levels, numbers, parts

REQUIRED = ("x", "y", "value")
OPTIONAL = ("panel", "mark", "outline", "n")
OPTIONS = (
    "diverging", "center", "vmin", "vmax", "value_label", "annotate", "format", "x_order", "y_order", "share_scale",
    "min_n",
)  # fmt: skip

ANNOTATED_CELLS = 130
ANNOTATED_WIDTH = 0.27
"""Least width of a cell, inches, that has room for a number."""
MOST_LEVELS = 120


def draw(request: Request) -> Figure:
    """Draw one panel per value of ``panel`` and per column of ``value``."""
    values, sections = request.many("value"), parts(request.frame, request.one("panel"))
    wanted = [(index, column, key, rows) for key, rows in sections for index, column in enumerate(values)]
    notes: list[str] = []
    _panels.capped(notes, len(wanted), _panels.MAX_PANELS, "panels", "the first ones")
    wanted = wanted[: _panels.MAX_PANELS]
    xs = levels(request.frame, request.need("x"), request.option("x_order"))
    ys = levels(request.frame, request.need("y"), request.option("y_order"))
    _panels.capped(notes, len(xs), MOST_LEVELS, "levels of x", "the first ones")
    _panels.capped(notes, len(ys), MOST_LEVELS, "levels of y", "the first ones")
    xs, ys = xs[:MOST_LEVELS], ys[:MOST_LEVELS]
    size = (min(9.0, max(3.6, 1.7 + 0.42 * len(xs))), min(9.0, max(2.6, 1.1 + 0.34 * len(ys))))
    across = len(values) if len(sections) > 1 and len(values) in (2, 3) else None
    fig, axes = _panels.grid(request, len(wanted), panel_size=size, n_columns=across)
    grids = [_pivoted(request, rows, column, xs, ys, notes) for _, column, _, rows in wanted]
    dashed = False
    for (index, column, key, rows), cells, ax in zip(wanted, grids, axes, strict=True):
        shared = [g for g, other in zip(grids, wanted, strict=True) if other[1] == column]
        pool = np.concatenate([g.ravel() for g in shared]) if request.option("share_scale", True) else cells.ravel()
        label = request.option_of("value_label", index, column.replace("_", " "))
        dashed |= _panel(request, ax, rows, cells, pool, (xs, ys), index, label)
        titles = [request.panel(key, 38)] if key is not None else []
        if len(values) > 1:
            titles.append(label)
        _panels.panel_title(ax, ": ".join(titles))
    if any(np.isnan(cells).any() and np.isfinite(cells).any() for cells in grids):
        notes.append("Grey cells: not measured.")
    if dashed:
        outlined = " or outlined" if request.one("outline") else ""
        notes.append(f"A dash: negative, beyond a quarter of the scale{outlined}.")
    for text in dict.fromkeys(notes):
        _panels.note(fig, text)
    return fig


def _pivoted(
    request: Request, rows: pd.DataFrame, column: str, xs: list[Any], ys: list[Any], notes: list[str]
) -> Floats:
    x, y = request.need("x"), request.need("y")
    table = rows[[x, y]].assign(value=numbers(rows, column))
    counts, least = numbers(rows, request.one("n")), request.option("min_n")
    if counts is not None and least is not None:
        few = counts < float(least)
        if few.any():
            table.loc[few, "value"] = np.nan
            notes.append(f"Cells with n < {least} are left blank.")
    if table.duplicated([x, y]).any():
        notes.append("Several rows fall into one cell: their mean is drawn.")
    wide = table.groupby([y, x], sort=False)["value"].mean().unstack()
    return np.asarray(wide.reindex(index=ys, columns=xs).to_numpy(dtype=np.float64))


def _norm(request: Request, pool: Floats, index: int) -> tuple[Normalize, str]:
    finite = pool[np.isfinite(pool)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    center = request.option("center")
    signed = request.option_of("diverging", index, center is not None or (low < 0 < high))
    if signed:
        middle = float(center or 0.0)
        reach = max(abs(low - middle), abs(high - middle)) or 1.0
        return TwoSlopeNorm(middle, middle - reach, middle + reach), style.DIVERGING
    low, high = float(request.option("vmin", low)), float(request.option("vmax", high))
    return Normalize(low, high if high > low else low + 1.0), style.SEQUENTIAL


def _panel(
    request: Request,
    ax: Axes,
    rows: pd.DataFrame,
    cells: Floats,
    pool: Floats,
    orders: tuple[list[Any], list[Any]],
    index: int,
    label: str,
) -> bool:
    """Draw one map; return whether dashes mark its negative cells."""
    if not np.isfinite(cells).any():
        _panels.no_data(ax)
        return False
    xs, ys = orders
    norm, colours = _norm(request, pool, index)
    image = _cells.draw_cells(ax, cells, norm, colours, aspect="auto", origin="lower")
    if cells.size <= 900:
        _cells.lines_between(ax, cells)
    _panels.categories(ax, [request.shown(v, 24) for v in xs], "x")
    _panels.categories(ax, [request.shown(v, 30) for v in ys], "y")
    ax.set_xlabel(request.label("xlabel", "x"))
    ax.set_ylabel(request.label("ylabel", "y"))
    _cells.colour_bar(ax, image, label, fraction=0.06)
    wanted = request.option("annotate", "auto")
    marks = _flagged(request, "mark", rows, xs, ys)
    outlined = _flagged(request, "outline", rows, xs, ys)
    for row, column in zip(*np.nonzero(outlined), strict=True):
        corner = (float(column) - 0.42, float(row) - 0.42)  # inside the lines between cells, which are white
        ink = _cells.ink_on(image, cells[row, column])
        ax.add_patch(Rectangle(corner, 0.84, 0.84, fill=False, edgecolor=ink, linewidth=1.4))
    room = _panels.inches(ax)[0] / max(1, len(xs))
    if wanted is True or (wanted == "auto" and cells.size <= ANNOTATED_CELLS and room >= ANNOTATED_WIDTH):
        _annotate(ax, cells, image, request.option("format"), marks)
        return False
    for row, column in zip(*np.nonzero(marks & np.isfinite(cells)), strict=True):
        ink = _cells.ink_on(image, cells[row, column])
        ax.text(float(column), float(row) - 0.1, "*", ha="center", va="center", color=ink, fontsize=8)
    if not isinstance(norm, TwoSlopeNorm) or norm.vmax is None:
        return False
    far = cells <= norm.vcenter - _cells.DASHED * (norm.vmax - norm.vcenter)
    return _cells.dashes(ax, cells, ~marks & (far | (outlined & (cells < norm.vcenter))), image)


def _flagged(request: Request, role: str, rows: pd.DataFrame, xs: list[Any], ys: list[Any]) -> Bools:
    """Return the cells ``[y, x]`` with a row that is true in the column of a role."""
    mark = request.one(role)
    found = np.zeros((len(ys), len(xs)), dtype=bool)
    if mark is None:
        return found
    for x, y, flag in zip(rows[request.need("x")], rows[request.need("y")], rows[mark], strict=True):
        if x in xs and y in ys and pd.notna(flag) and bool(flag):
            found[ys.index(y), xs.index(x)] = True
    return found


def _annotate(ax: Axes, cells: Floats, image: ScalarMappable, pattern: str | None, marks: np.ndarray[Any, Any]) -> None:
    size = 8.0 if cells.shape[1] <= 9 else 6.8
    finite = np.abs(cells[np.isfinite(cells)])
    digits = 2 if finite.size and finite.max() < 1000 else 3
    for (row, column), value in np.ndenumerate(cells):
        if np.isnan(value):
            continue
        text = format(value, pattern) if pattern else style.number(float(value), digits)
        if abs(value) < 1 and "." in text:  # 0.70 beside 0.74
            text += "0" * (digits - len(text.partition(".")[2]))
        text += "*" if marks[row, column] else ""
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=_cells.ink_on(image, value))
