"""Interactions of pairs as a symmetric matrix, signed, with what is established marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from paribus.arrays import Floats
from paribus.figures import _cells, _panels, style
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("a", "b", "value")
OPTIONAL = ("p", "label", "panel")
OPTIONS = (
    "alpha", "symmetric", "value_label", "max_rows", "annotate", "format", "order", "diverging", "reach",
)  # fmt: skip
LEAST_CELL = 0.36
"""Least width of a cell, inches, that has room for a number and a word."""
MOST_NARROW = 18
"""Names in a column of print: more would lie over each other."""


def draw(request: Request) -> Figure:
    """Draw one square matrix per value of ``panel``; a star marks ``p <= alpha``."""
    frame = request.frame
    sections = parts(frame, request.one("panel"))[:6]
    names, total, empty = _names(request)
    cell = 0.66 if request.one("label") and len(names) <= 12 else 0.45
    shown = request.shown_all(names, 26)
    size = min(9.5, max(3.4, 1.9 + cell * len(names)))
    room = (size + 0.8, size)
    if request.narrow:
        width, beside = float(request.option("width")), 0.055 * max(map(len, shown), default=0)
        # a square beside and above its names, over the scale
        room = (width, max(1.2, width - beside - 0.3) + beside + 0.75)
    fig, axes = _panels.grid(request, len(sections), panel_size=room)
    values = numbers(frame, request.need("value"))
    reach = float(request.option("reach") or (np.nanmax(np.abs(values)) if np.isfinite(values).any() else 1.0))
    dashed = False
    for ax, rows in _panels.titled(request, sections, axes):
        dashed |= _panel(request, ax, rows, names, shown, reach or 1.0)
    if request.one("p"):
        _panels.note(fig, f"* {request.need('p').replace('_', ' ')} ≤ {float(request.option('alpha', 0.05)):g}.")
    if dashed:
        _panels.note(fig, f"A dash: below {style.number(-_cells.DASHED * reach, 2)}.")
    _panels.note(fig, "Grey, hatched: not measured.")
    if total > len(names):
        _panels.note(fig, f"{len(names)} of {total} shown (of the largest values); all are in the table.")
    if empty:
        _panels.note(fig, f"{empty} without any value left out.")
    return fig


def _names(request: Request) -> tuple[list[Any], int, int]:
    """Return the names on both axes, in the order asked or of appearance, capped to those of the largest values.

    Names without any value are left out where others have some.

    Returns:
        The names, how many have a value, how many were left out for having none.
    """
    a, b = request.frame[request.need("a")], request.frame[request.need("b")]
    every = list(dict.fromkeys(pd.concat([a, b]).dropna()))
    values = numbers(request.frame, request.need("value"))
    known = {*a[np.isfinite(values)], *b[np.isfinite(values)]} or set(every)
    names = [name for name in every if name in known]
    empty = len(every) - len(names)
    if (order := request.option("order")) is not None:
        names = [n for n in order if n in names] + [n for n in names if n not in order]
    most, total = int(request.option("max_rows", 30)), len(names)
    if request.narrow:
        most = min(most, MOST_NARROW)
    if total > most:
        sizes = np.abs(values)
        table = pd.DataFrame({"name": pd.concat([a, b]).to_numpy(), "size": np.concatenate([sizes, sizes])})
        kept = set(table.groupby("name")["size"].max().sort_values(ascending=False).index[:most])
        names = [n for n in names if n in kept]
    return names, total, empty


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, names: list[Any], shown: list[str], reach: float) -> bool:
    """Draw one matrix; return whether dashes mark its negative cells."""
    where = {name: i for i, name in enumerate(names)}
    cells: Floats = np.full((len(names), len(names)), np.nan)
    texts: dict[tuple[int, int], str] = {}
    values, p = numbers(rows, request.need("value")), numbers(rows, request.one("p"))
    label, alpha = request.one("label"), float(request.option("alpha", 0.05))
    words = rows[label].tolist() if label else [None] * len(rows)
    wanted = request.option("annotate", "auto")
    room = _panels.inches(ax)[0] / max(1, len(names))
    show = wanted is True or (wanted == "auto" and len(names) <= 12 and room >= LEAST_CELL)
    pattern = request.option("format")
    ends = zip(rows[request.need("a")], rows[request.need("b")], strict=True)
    for index, (a, b) in enumerate(ends):
        if a not in where or b not in where or not np.isfinite(values[index]):
            continue
        star = "*" if p is not None and p[index] <= alpha else ""
        number = (format(values[index], pattern) if pattern else style.number(float(values[index]), 2)) if show else ""
        word = f"\n{style.shorten(words[index], 11)}" if show and words[index] and pd.notna(words[index]) else ""
        both = ((a, b), (b, a)) if request.option("symmetric", True) else ((a, b),)
        for row, column in both:
            cells[where[row], where[column]] = values[index]
            texts[where[row], where[column]] = number + star + word
    if not np.isfinite(cells).any():
        _panels.no_data(ax)
        return False
    ax.patch.set(hatch="//////", edgecolor="#BDBDBD", linewidth=0)
    signed = bool(request.option("diverging", True))
    norm = TwoSlopeNorm(0.0, -reach, reach) if signed else Normalize(0.0, reach)
    colours = style.DIVERGING if signed else f"{style.SEQUENTIAL}_r"
    image = _cells.draw_cells(ax, cells, norm, colours, aspect="equal")
    _cells.lines_between(ax, cells)
    if request.narrow:
        ax.set_xticks(range(len(shown)), shown, rotation=90, fontsize=6.2)
        ax.set_yticks(range(len(shown)), shown, fontsize=6.2)
    else:
        _panels.categories(ax, shown, "x")
        _panels.categories(ax, shown, "y")
    for (row, column), text in texts.items():
        ink = _cells.ink_on(image, cells[row, column])
        ax.text(column, row, text, ha="center", va="center", fontsize=7.4, color=ink, linespacing=1.15)
    place: Any = {"location": "bottom", "aspect": 26} if request.narrow else {"location": "right", "shrink": 0.9}
    name = str(request.option("value_label", request.need("value").replace("_", " ")))
    bar = _cells.colour_bar(ax, image, name, fraction=0.05, **place)
    if request.narrow:
        bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    unnumbered = np.zeros(cells.shape, dtype=bool)
    for place, text in texts.items():
        unnumbered[place] = not text
    return signed and _cells.dashes(ax, cells, unnumbered & (cells <= -_cells.DASHED * reach), image)
