"""Every single value per category, pairs joined, with mean and interval: for a handful of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._request import Request, levels, numbers, parts
from paribus.stats.few import student_interval

REQUIRED = ("x", "y")
OPTIONAL = ("pair", "group", "panel", "null_low", "null_high", "unit", "mean", "low", "high")
OPTIONS = ("interval", "confidence", "hline", "null_label")
TABLES_OF = {"x": (0, 1), "panel": (0, 1), "mean": (1,), "low": (1,), "high": (1,)}


def draw(request: Request) -> Figure:
    """Draw one panel per value of ``panel``; in it a column of points per category, beside it their mean."""
    sections = parts(request.frame, request.one("panel"))
    notes: list[str] = []
    _panels.capped(notes, len(sections), _panels.MAX_PANELS, "panels", "the first ones")
    sections = sections[: _panels.MAX_PANELS]
    categories = levels(request.frame, request.need("x"))[:20]
    # in a column of print many names stand upright and take the height of the panel
    size = (max(2.6, 1.2 + 0.75 * len(categories)), 4.6 if request.narrow and len(categories) > 4 else 3.2)
    fig, axes = _panels.grid(request, len(sections), panel_size=size)
    handles: dict[str, Any] = {}
    for (key, rows), ax in zip(sections, axes, strict=True):
        _panel(request, ax, rows, _bars(request, rows, key, categories), categories, handles)
        if key is not None:
            _panels.panel_title(ax, request.panel(key))
        if (unit := request.one("unit")) is not None and len(rows):
            _panels.tall_label(ax, request.shown(rows[unit].iloc[0], 60))
    if len({round(ax.get_position().x0, 6) for ax in axes}) == 1:
        for ax in axes[:-1]:  # one below the other: the categories stand under the last
            ax.tick_params(axis="x", labelbottom=False)
    if request.one("unit") is None:
        axes[0].set_ylabel(request.label("ylabel", "y"))
    if request.option("xlabel"):
        axes[0].set_xlabel(str(request.option("xlabel")))
    if request.option("interval", "t") == "t":
        made = "" if request.one("mean") else " (t)"
        handles["mean"] = Line2D([], [], color=style.INK, marker="_", markersize=11, linewidth=1.6,
                                 label=f"mean, {100 * _confidence(request):g} %{made}")  # fmt: skip
    _panels.legend(request, _panels.upper_right(axes), list(handles.values()))
    for text in notes:
        _panels.note(fig, text)
    return fig


def mean_interval(values: Floats, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student's t interval of independent values; no interval below four, or where all are equal.

    Example:
        >>> import numpy as np
        >>> [round(one, 2) for one in mean_interval(np.array([1.0, 2.0, 3.0]))]
        [2.0, nan, nan]
    """
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan, np.nan, np.nan
    around = student_interval(values, confidence)
    return float(values.mean()), around.low, around.high


def _confidence(request: Request) -> float:
    return float(request.option("confidence", 0.95))


def _bars(
    request: Request, rows: pd.DataFrame, key: Any, categories: list[Any]
) -> dict[int, tuple[float, float, float]]:
    """Return mean and interval by category: of the second table where it gives them, else Student's t of the points."""
    x = request.need("x")
    if (mean := request.one("mean")) is None:
        y = numbers(rows, request.need("y"))
        here = rows[x].to_numpy()
        return {c: mean_interval(y[here == each], _confidence(request)) for c, each in enumerate(categories)}
    table = request.frames[1] if len(request.frames) > 1 else pd.DataFrame()
    if table.empty:
        return {}
    if (panel := request.one("panel")) is not None:
        table = table[table[panel] == key]
    columns = [numbers(table, column) for column in (mean, request.one("low"), request.one("high"))]
    means, low, high = (np.full(len(table), np.nan) if each is None else each for each in columns)
    places = [categories.index(each) if each in categories else -1 for each in table[x]]
    return {c: (means[i], low[i], high[i]) for i, c in enumerate(places) if c >= 0}


def _joins(ax: Axes, places: Floats, y: Floats, at: Floats) -> None:
    """Join the points of one pair from category to category; where a category has several, none of them is joined."""
    alone = [c for c in np.unique(at[np.isfinite(at)]) if (at == c).sum() == 1]
    chosen = np.array([int(np.flatnonzero(at == c)[0]) for c in alone], dtype=np.int64)
    if len(chosen) > 1:
        ax.plot(places[chosen], y[chosen], color="#B8B8B8", linewidth=0.8, zorder=2)


def _panel(
    request: Request,
    ax: Axes,
    rows: pd.DataFrame,
    bars: dict[int, tuple[float, float, float]],
    categories: list[Any],
    handles: dict[str, Any],
) -> None:
    y = numbers(rows, request.need("y"))
    if not np.isfinite(y).any():
        _panels.no_data(ax)
        return
    group, x = request.one("group"), request.need("x")
    at = np.array([categories.index(v) if v in categories else np.nan for v in rows[x]], dtype=np.float64)
    place = at.copy()
    for c in range(len(categories)):
        here = np.flatnonzero((at == c) & np.isfinite(y))
        spread = (np.arange(len(here)) - (len(here) - 1) / 2) * min(0.06, 0.3 / max(1, len(here)))
        place[here[np.argsort(y[here], kind="stable")]] += spread
    if (pair := request.one("pair")) is not None:
        keys = pair if group is None else [pair, group]
        for _, members in rows.reset_index(drop=True).groupby(keys).groups.items():
            found = np.asarray(members, dtype=np.int64)
            _joins(ax, place[found], y[found], at[found])
    for index, each in enumerate(request.groups):
        mask = request.is_of(rows, each)
        shades = [style.colour(int(a)) if group is None and np.isfinite(a) else style.colour(index) for a in at[mask]]
        ax.scatter(place[mask], y[mask], color=shades, marker=style.marker(index), s=30, zorder=3, linewidths=0.5,
                   edgecolors="white")  # fmt: skip
        if each is not None:
            text = request.shown(each)
            handles[text] = Line2D([], [], linestyle="None", color=style.colour(index), marker=style.marker(index),
                                   label=text)  # fmt: skip
    if request.option("interval", "t") == "t":
        for c, (mean, low, high) in bars.items():
            ax.plot([c + 0.26, c + 0.42], [mean, mean], color=style.INK, linewidth=2.0, zorder=4)
            if np.isfinite(low) and np.isfinite(high):
                ax.vlines(c + 0.34, low, high, color=style.INK, linewidth=1.3, zorder=4)
    _null(request, ax, rows, handles)
    _panels.references(request, ax, handles)
    ax.set_xlim(-0.5, len(categories) - 0.35)
    _panels.categories(ax, [request.shown(v, 26) for v in categories], "x")
    ax.grid(visible=False, axis="x")
    _panels.limits(request, ax)


def _null(request: Request, ax: Axes, rows: pd.DataFrame, handles: dict[str, Any]) -> None:
    low, high = numbers(rows, request.one("null_low")), numbers(rows, request.one("null_high"))
    if low is None or high is None or not (np.isfinite(low) & np.isfinite(high)).any():
        return
    ax.axhspan(float(np.nanmean(low)), float(np.nanmean(high)), zorder=1, **_panels.null_look())
    patch = _panels.null_patch(request)
    handles[str(patch.get_label())] = patch
