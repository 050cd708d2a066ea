"""Bars with intervals and nulls, vertical, or horizontal when there are many or their names are long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from paribus.arrays import Floats
from paribus.figures import _panels, _rows, style
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("label", "value")
OPTIONAL = ("low", "high", "group", "panel", "null", "null_low", "null_high")
OPTIONS = ("reference", "null_label", "sort", "horizontal", "labels", "max_rows", "logx", "hline")

HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++", "ooo", "--")


def draw(request: Request) -> Figure:
    """Draw one bar per label and group (or per label and column of ``value``)."""
    request = _rows.long(request, "group")
    frame, label, group = request.frame, request.need("label"), request.one("group")
    sections = parts(frame, request.one("panel"))[: _panels.MAX_PANELS]
    labels = _rows.chosen(request, frame, label, request.need("value"))
    groups = request.groups
    texts = [request.shown(each) for each in labels]
    lying = request.option("horizontal", "auto")
    if lying == "auto":
        lying = len(labels) * len(groups) > 14 or max(map(len, texts), default=0) > 12 or len(labels) > 8
    if lying:
        size = (4.6, _rows.height(len(labels), 0.24 + 0.12 * (len(groups) - 1)))
    else:
        size = (max(3.2, 1.2 + 0.28 * len(labels) * (len(groups) + 0.8)), style.PANEL[1])
    fig, axes = _panels.grid(request, len(sections), panel_size=size, share_y=True)
    has_null = False
    for ax, rows in _panels.titled(request, sections, axes):
        has_null |= _Bars(request, ax, bool(lying), labels, groups).draw(rows)
        value_label = request.label("xlabel" if lying and "ylabel" not in request.options else "ylabel", "value")
        if lying:
            ax.set_xlabel(value_label)
        elif ax is axes[0]:
            ax.set_ylabel(value_label)
            ax.set_xlabel(str(request.option("xlabel", "")))
    handles: list[Any] = []
    if group:
        for i, each in enumerate(groups):
            patch = Patch(facecolor=style.colour(i), hatch=HATCHES[i], edgecolor="white", label=request.shown(each))
            handles.append(patch)
    if has_null:
        handles.append(_panels.null_patch(request))
    _panels.legend(request, _panels.upper_right(axes), handles)
    _panels.note(fig, _rows.cap_note(frame[label].nunique(), len(labels)))
    return fig


def _are_counts(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known)) and bool((known == np.round(known)).all() and known.max() > 1)


class _Bars:
    def __init__(self, request: Request, ax: Axes, lying: bool, labels: list[Any], groups: list[Any]) -> None:
        self.request, self.ax, self.lying, self.groups = request, ax, lying, groups
        self.labels = labels
        self.along = "x" if lying else "y"
        self.thickness = 0.74 / len(groups)

    def draw(self, rows: pd.DataFrame) -> bool:
        request, ax = self.request, self.ax
        if self.lying:
            _rows.prepare(request, ax, self.labels)
        else:
            ax.set_xlim(-0.6, len(self.labels) - 0.4)
            _panels.categories(ax, [request.shown(each) for each in self.labels], "x")
            ax.grid(visible=False, axis="x")
        has_null = False
        for index, each in enumerate(self.groups):
            part = request.of_group(rows, each)
            part = part[part[request.need("label")].isin(self.labels)]
            has_null |= self._draw_group(index, part)
        _panels.reference_lines(ax, request.option("reference", 0), self.along)
        _panels.reference_lines(ax, request.option("hline"), self.along)
        values = numbers(rows, request.need("value"))
        if self.lying:
            _panels.scale(ax, "x", request.option("logx", False), values)
        if not request.option("logx", False) and _are_counts(values):
            style.plain_linear(ax, self.along, integer=True)
        if not np.isfinite(values).any():
            ax.text(0.5, 0.5, "no data yet", transform=ax.transAxes, ha="center", va="center", color=style.QUIET)
        _panels.limits(request, ax, self.along)
        return has_null

    def _draw_group(self, index: int, part: pd.DataFrame) -> bool:
        request = self.request
        offset = (index - (len(self.groups) - 1) / 2) * self.thickness
        where = {each: i for i, each in enumerate(self.labels)}
        places = np.array([where[each] for each in part[request.need("label")]], dtype=np.float64) + offset
        values = numbers(part, request.need("value"))
        base = request.option("reference", 0)
        base = float(base) if isinstance(base, int | float) else 0.0
        single = len(self.groups) == 1
        face = [style.colour(index)] * len(values)
        if single and (values < base).any():
            face = [style.colour(1) if value < base else style.colour(0) for value in values]
        look: dict[str, Any] = {"color": face, "hatch": HATCHES[index], "edgecolor": "white", "linewidth": 0.4}
        self._bars(places, base, values - base, self.thickness * 0.94, zorder=2, **look)
        drawn = self._null(places, part)
        low, high = numbers(part, request.one("low")), numbers(part, request.one("high"))
        if low is not None and high is not None:
            lines = self.ax.hlines if self.lying else self.ax.vlines
            there = np.isfinite(low) & np.isfinite(high)
            lines(places[there], low[there], high[there], color="white", linewidth=3.2, zorder=3.9)  # seen on its bar
            lines(places[there], low[there], high[there], color=style.INK, linewidth=1.3, zorder=4)
        return drawn

    def _null(self, places: Floats, part: pd.DataFrame) -> bool:
        low, high = (numbers(part, self.request.one(role)) for role in ("null_low", "null_high"))
        middle, half = numbers(part, self.request.one("null")), self.thickness * 0.47
        lines = self.ax.vlines if self.lying else self.ax.hlines
        if middle is not None:
            there = np.isfinite(middle)
            lines(middle[there], places[there] - half, places[there] + half, color=style.QUIET, linewidth=1.0, zorder=3)
        if low is None or high is None:
            return False
        there = np.isfinite(low) & np.isfinite(high)
        look = _panels.null_look()
        _panels.unstick(self._bars(places[there], low[there], (high - low)[there], half, zorder=3, **look))
        return bool(there.any())

    def _bars(self, places: Floats, start: Any, length: Floats, thickness: float, **look: Any) -> BarContainer:
        if self.lying:
            return self.ax.barh(places, length, thickness, left=start, **look)
        return self.ax.bar(places, length, thickness, bottom=start, **look)
