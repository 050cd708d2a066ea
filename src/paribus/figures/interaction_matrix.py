"""Interactions of pairs as a symmetric matrix, signed, with what is established marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("a", "b", "value")
OPTIONAL = ("p", "label", "panel")
OPTIONS = ("alpha", "symmetric", "value_label", "max_rows", "annotate", "format", "order")
LEAST_CELL = 0.36
"""Least width of a cell, inches, that has room for a number and a word."""


def draw(request: Request) -> Figure:
    """Draw one square matrix per value of ``panel``; a star marks ``p <= alpha``."""
    frame = request.frame
    sections = parts(frame, request.one("panel"))[:6]
    names, total = _names(request)
    cell = 0.66 if request.one("label") and len(names) <= 12 else 0.45
    size = min(9.5, max(3.4, 1.9 + cell * len(names)))
    fig, axes = _panels.grid(request, len(sections), panel_size=(size + 0.8, size))
    values = numbers(frame, request.need("value"))
    assert values is not None
    reach = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    for (key, rows), ax in zip(sections, axes, strict=True):
        _panel(request, ax, rows, names, reach or 1.0)
        if key is not None:
            _panels.panel_title(ax, request.panel(key))
    if request.one("p"):
        _panels.note(fig, f"* {request.need('p').replace('_', ' ')} ≤ {float(request.option('alpha', 0.05)):g}.")
    _panels.note(fig, "Grey: not measured.")
    if total > len(names):
        _panels.note(fig, f"{len(names)} of {total} shown (in the largest interactions); all are in the table.")
    return fig


def _names(request: Request) -> tuple[list[Any], int]:
    """Return the names on both axes, in the order asked or of appearance, capped to the largest interactions."""
    a, b = request.frame[request.need("a")], request.frame[request.need("b")]
    names = list(dict.fromkeys(pd.concat([a, b]).dropna()))
    if (order := request.option("order")) is not None:
        names = [n for n in order if n in names] + [n for n in names if n not in order]
    most, total = int(request.option("max_rows", 30)), len(names)
    if total > most:
        values = numbers(request.frame, request.need("value"))
        assert values is not None
        sizes = np.abs(values)
        table = pd.DataFrame({"name": pd.concat([a, b]).to_numpy(), "size": np.concatenate([sizes, sizes])})
        kept = set(table.groupby("name")["size"].max().sort_values(ascending=False).index[:most])
        names = [n for n in names if n in kept]
    return names, total


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, names: list[Any], reach: float) -> None:
    where = {name: i for i, name in enumerate(names)}
    cells: Floats = np.full((len(names), len(names)), np.nan)
    texts: dict[tuple[int, int], str] = {}
    values, p = numbers(rows, request.need("value")), numbers(rows, request.one("p"))
    assert values is not None
    label, alpha = request.one("label"), float(request.option("alpha", 0.05))
    words = rows[label].tolist() if label else [None] * len(rows)
    wanted = request.option("annotate", "auto")
    room = ax.get_position().width * ax.get_figure().get_figwidth() / max(1, len(names))  # type: ignore[union-attr]
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
        return
    ax.grid(visible=False)
    ax.set_facecolor(style.BLANK)
    norm = TwoSlopeNorm(0.0, -reach, reach)
    image = ax.imshow(np.ma.masked_invalid(cells), norm=norm, cmap=style.DIVERGING, aspect="equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    ax.grid(visible=True, which="minor", color="white", linewidth=1.0)
    ax.tick_params(which="minor", length=0)
    shown = [request.shown(name, 26) for name in names]
    _panels.categories(ax, shown, "x")
    _panels.categories(ax, shown, "y")
    for (row, column), text in texts.items():
        ink = style.ink_on(image.to_rgba(cells[row, column])[:3])
        ax.text(column, row, text, ha="center", va="center", fontsize=7.4, color=ink, linespacing=1.15)
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, shrink=0.9)
    bar.outline.set_visible(False)
    bar.set_label(str(request.option("value_label", request.need("value").replace("_", " "))))
