"""Points of two numbers, with intervals, names and groups; of effects and their p, where ``y`` is to be read as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._points import name_points
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("x", "y")
OPTIONAL = ("low", "high", "x_low", "x_high", "label", "group", "size", "panel")
OPTIONS = ("label_top", "identity", "hline", "vline", "logx", "logy", "trend", "y_is_p", "alpha", "min_effect")


def draw(request: Request) -> Figure:
    """Draw one panel per value of ``panel``; the points farthest out are named."""
    if request.option("y_is_p", False):
        return _volcano(request)
    sections = parts(request.frame, request.one("panel"))[: _panels.MAX_PANELS]
    fig, axes = _panels.grid(request, len(sections), share_x=True, share_y=True)
    handles: dict[str, Any] = {}
    for ax, rows in _panels.titled(request, sections, axes):
        _panel(request, ax, rows, handles)
        ax.set_xlabel(request.label("xlabel", "x"))
    for (_, rows), ax in zip(sections, axes, strict=True):  # names fix the limits, which panels share
        _name(request, ax, rows)
    axes[0].set_ylabel(request.label("ylabel", "y"))
    _panels.legend(request, _panels.upper_right(axes), list(handles.values()))
    return fig


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, handles: dict[str, Any]) -> None:
    x, y = numbers(rows, request.need("x")), numbers(rows, request.need("y"))
    if not (np.isfinite(x) & np.isfinite(y)).any():
        _panels.no_data(ax)
        return
    for index, each in enumerate(request.groups):
        mask = request.is_of(rows, each)
        look: dict[str, Any] = {"color": style.colour(index), "marker": style.marker(index)}
        ax.scatter(x[mask], y[mask], s=_sizes(request, rows)[mask], alpha=0.8, linewidths=0.5, edgecolors="white",
                   zorder=3, **look)  # fmt: skip
        _whiskers(request, ax, rows, mask, x, y, style.colour(index))
        if each is not None:
            text = request.shown(each)
            handles[text] = Line2D([], [], linestyle="None", label=text, **look)
    _panels.references(request, ax, handles)
    _panels.scale(ax, "x", request.option("logx", False), x)
    _panels.scale(ax, "y", request.option("logy", False), y)
    if request.option("identity", False):
        _identity(ax, handles)
    if request.option("trend", False):
        _trend(ax, x, y, handles)
    _panels.limits(request, ax)
    if request.one("label") is not None:
        ax.margins(0.24, 0.08)


def _name(request: Request, ax: Axes, rows: pd.DataFrame) -> None:
    """Name the points of a panel that are farthest out."""
    x, y = numbers(rows, request.need("x")), numbers(rows, request.need("y"))
    label = request.one("label")
    if label is None or not (np.isfinite(x) & np.isfinite(y)).any():
        return
    texts = [request.shown(value, 28) for value in rows[label]]
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


def _volcano(request: Request) -> Figure:
    """Draw effects across and ``-log10 p`` upwards, with the lines of ``alpha`` and ``min_effect``; both: named."""
    fig, axes = _panels.grid(request, 1, panel_size=(5.4, 4.2))
    ax, rows = axes[0], request.frame
    x, p = numbers(rows, request.need("x")), numbers(rows, request.need("y"))
    if not (np.isfinite(x) & np.isfinite(p)).any():
        _panels.no_data(ax)
        return fig
    alpha, least = float(request.option("alpha", 0.05)), float(request.option("min_effect", 0.0))
    with np.errstate(divide="ignore"):
        height = -np.log10(np.clip(p, 1e-300, 1.0))
    found = (p <= alpha) & (np.abs(x) >= least)
    handles = _established(request, ax, rows, x, height, found)
    ax.axhline(-np.log10(alpha), color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
    dashed = Line2D([], [], color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), label=f"p = {alpha:g}")
    ax.axvline(0, color="#B5B5B5", linewidth=0.8, zorder=1.4)
    for side in (-least, least) if least > 0 else ():
        ax.axvline(side, color=style.QUIET, linewidth=0.9, linestyle=":", zorder=1.5)
    ax.set_xlabel(request.label("xlabel", "x"))
    ax.set_ylabel(str(request.option("ylabel", f"−log10 {request.need('y').replace('_', ' ')}")))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.margins(0.42 if request.one("label") else 0.06, 0.06)
    ax.set_ylim(bottom=-0.03 * max(1.0, float(np.nanmax(height))))
    _panels.limits(request, ax)
    if (label := request.one("label")) is not None:
        texts = [request.shown(value, 28) for value in rows[label]]
        ranks = np.where(found, np.abs(x) * height, np.nan)
        name_points(ax, x, height, texts, ranks, int(request.option("label_top", 12)))
    _panels.legend(request, ax, [*handles, dashed])
    return fig


def _established(request: Request, ax: Axes, rows: pd.DataFrame, x: Floats, height: Floats, found: Any) -> list[Line2D]:
    if request.one("group") is not None:
        kinds = [
            (request.shown(each), request.is_of(rows, each), style.colour(i), style.marker(i))
            for i, each in enumerate(request.groups)
        ]
    else:
        kinds = [
            (f"raises ({int((found & (x > 0)).sum())})", found & (x > 0), style.colour(0), "^"),
            (f"lowers ({int((found & (x < 0)).sum())})", found & (x < 0), style.colour(1), "v"),
            (f"not established ({int((~found).sum())})", ~found, style.NULL, "o"),
        ]
    handles = []
    for text, mask, shade, mark in kinds:
        ax.scatter(x[mask], height[mask], s=24, color=shade, marker=mark, alpha=0.85, linewidths=0.4,
                   edgecolors="white", zorder=2 if shade == style.NULL else 3)  # fmt: skip
        handles.append(Line2D([], [], linestyle="None", color=shade, marker=mark, label=text))
    return handles
