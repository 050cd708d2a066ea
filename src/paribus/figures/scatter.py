"""Points of two numbers, with intervals, names and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._points import name_points
from paribus.figures._request import Request, levels, numbers, parts

REQUIRED = ("x", "y")
OPTIONAL = ("low", "high", "x_low", "x_high", "label", "group", "size", "panel")
OPTIONS = ("label_top", "identity", "hline", "vline", "logx", "logy", "trend")


def draw(request: Request) -> Figure:
    """Draw one panel per value of ``panel``; the points farthest out are named."""
    sections = parts(request.frame, request.one("panel"))[: _panels.MAX_PANELS]
    fig, axes = _panels.grid(request, len(sections), share_x=True, share_y=True)
    handles: dict[str, Any] = {}
    for (key, rows), ax in zip(sections, axes, strict=True):
        _panel(request, ax, rows, handles)
        if key is not None:
            _panels.panel_title(ax, request.shown(key, 90))
        ax.set_xlabel(request.label("xlabel", "x"))
    axes[0].set_ylabel(request.label("ylabel", "y"))
    _panels.legend(request, axes[min(len(axes), 3) - 1], list(handles.values()))
    return fig


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, handles: dict[str, Any]) -> None:
    x, y = numbers(rows, request.need("x")), numbers(rows, request.need("y"))
    assert x is not None and y is not None
    if not (np.isfinite(x) & np.isfinite(y)).any():
        _panels.no_data(ax)
        return
    group = request.one("group")
    for index, each in enumerate(levels(request.frame, group)[:8] if group else [None]):
        mask = np.ones(len(rows), dtype=bool) if group is None else (rows[group] == each).to_numpy(bool)
        look: dict[str, Any] = {"color": style.colour(index), "marker": style.marker(index)}
        ax.scatter(x[mask], y[mask], s=_sizes(request, rows)[mask], alpha=0.8, linewidths=0.5, edgecolors="white",
                   zorder=3, **look)  # fmt: skip
        _whiskers(request, ax, rows, mask, x, y, style.colour(index))
        if each is not None:
            text = request.shown(each)
            handles[text] = Line2D([], [], linestyle="None", label=text, **look)
    for line in (*_panels.reference_lines(ax, request.option("hline"), "y"),
                 *_panels.reference_lines(ax, request.option("vline"), "x")):  # fmt: skip
        handles[str(line.get_label())] = line
    _panels.scale(ax, "x", request.option("logx", False), x)
    _panels.scale(ax, "y", request.option("logy", False), y)
    if request.option("identity", False):
        _identity(ax, handles)
    if request.option("trend", False):
        _trend(ax, x, y, handles)
    _panels.limits(request, ax)
    if (label := request.one("label")) is not None:
        texts = [request.shown(value, 28) for value in rows[label]]
        ax.margins(0.24, 0.08)
        far = np.hypot(_standard(x), _standard(y))
        name_points(ax, x, y, texts, far, int(request.option("label_top", 12)))


def _sizes(request: Request, rows: pd.DataFrame) -> Floats:
    size = numbers(rows, request.one("size"))
    if size is None:
        return np.full(len(rows), 30.0)
    top = np.nanmax(size) if np.isfinite(size).any() else 1.0
    return np.nan_to_num(12.0 + 130.0 * np.clip(size, 0, None) / (top or 1.0), nan=12.0)


def _standard(values: Floats) -> Floats:
    spread = float(np.nanstd(values)) or 1.0
    return (values - float(np.nanmean(values))) / spread


def _whiskers(request: Request, ax: Axes, rows: pd.DataFrame, mask: Any, x: Floats, y: Floats, colour: str) -> None:
    low, high = numbers(rows, request.one("low")), numbers(rows, request.one("high"))
    if low is not None and high is not None:
        ax.vlines(x[mask], low[mask], high[mask], color=colour, linewidth=0.9, alpha=0.7, zorder=2.5)
    low, high = numbers(rows, request.one("x_low")), numbers(rows, request.one("x_high"))
    if low is not None and high is not None:
        ax.hlines(y[mask], low[mask], high[mask], color=colour, linewidth=0.9, alpha=0.7, zorder=2.5)


def _identity(ax: Axes, handles: dict[str, Any]) -> None:
    low = max(ax.get_xlim()[0], ax.get_ylim()[0])
    high = min(ax.get_xlim()[1], ax.get_ylim()[1])
    if high > low:
        ax.plot([low, high], [low, high], color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
        handles["x = y"] = Line2D([], [], color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), label="x = y")


def _trend(ax: Axes, x: Floats, y: Floats, handles: dict[str, Any]) -> None:
    there = np.isfinite(x) & np.isfinite(y)
    if there.sum() < 3 or np.ptp(x[there]) == 0:
        return
    slope, start = np.polyfit(x[there], y[there], 1)
    ends = np.array([x[there].min(), x[there].max()])
    ax.plot(ends, start + slope * ends, color=style.INK, linewidth=1.2, zorder=2)
    handles["trend"] = Line2D([], [], color=style.INK, linewidth=1.2, label="least squares")
