"""Effects with their intervals, one line each, against a reference and their nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.figures import _panels, _rows, style
from paribus.figures._request import Request, levels, numbers, parts

REQUIRED = ("label", "value")
OPTIONAL = ("low", "high", "group", "panel", "null", "null_low", "null_high", "n", "p", "unit")
OPTIONS = ("reference", "null_label", "sort", "logx", "max_rows")


def draw(request: Request) -> Figure:
    """Draw one line per label and group, in one panel per value of ``panel``."""
    frame, label, value = request.frame, request.need("label"), request.need("value")
    sections = parts(frame, request.one("panel"))[: _panels.MAX_PANELS]
    labels = _rows.chosen(request, frame, label, value)
    group = request.one("group")
    groups = levels(frame, group)[:8] if group else [None]
    per_row = 0.27 + 0.12 * (len(groups) - 1)
    size = (4.6 if len(sections) == 1 else 3.4, _rows.height(len(labels), per_row))
    fig, axes = _panels.grid(request, len(sections), panel_size=size, share_y=True)
    has_null = False
    for (key, rows), ax in zip(sections, axes, strict=True):
        _rows.prepare(request, ax, labels)
        has_null |= _panel(request, ax, rows, labels, groups)
        if key is not None:
            _panels.panel_title(ax, request.shown(key, 90))
        text = request.label("xlabel", "value")
        if (unit := request.one("unit")) is not None and len(rows):
            text = f"{text} ({request.shown(rows[unit].iloc[0], 60)})"
        ax.set_xlabel(text)
    if request.options.get("ylabel"):
        axes[0].set_ylabel(str(request.options["ylabel"]))
    handles: list[Any] = [] if group is None else [_handle(request, i, each) for i, each in enumerate(groups)]
    if has_null:
        handles.append(_panels.null_patch(request))
    beside = len(groups) == 1 and (request.one("n") or request.one("p"))
    if handles and beside:
        axes[0].legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
    else:
        _panels.legend(request, axes[min(len(axes), 3) - 1], handles)
    _panels.note(fig, _rows.cap_note(request, frame[label].nunique(), len(labels)))
    return fig


def _handle(request: Request, index: int, group: Any) -> Line2D:
    return Line2D(
        [], [], color=style.colour(index), marker=style.marker(index), linewidth=1.4, label=request.shown(group)
    )


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, labels: list[Any], groups: list[Any]) -> bool:
    places = {each: i for i, each in enumerate(labels)}
    columns = {role: request.one(role) for role in ("low", "high", "null_low", "null_high", "null", "n", "p", "group")}
    table = rows[rows[request.need("label")].isin(labels)]
    shown = numbers(table, request.need("value"))
    assert shown is not None
    if not np.isfinite(shown).any():
        ax.text(0.5, 0.5, "no data yet", transform=ax.transAxes, ha="center", va="center", color=style.QUIET)
        return False
    ends = {role: numbers(table, columns[role]) for role in ("low", "high", "null_low", "null_high", "null")}
    step = 0.72 / len(groups) if len(groups) > 1 else 0.0
    has_null = False
    for index, (_, row) in enumerate(table.iterrows()):
        which = groups.index(row[columns["group"]]) if columns["group"] and row[columns["group"]] in groups else 0
        if columns["group"] and row[columns["group"]] not in groups:
            continue
        place = places[row[request.need("label")]] + (which - (len(groups) - 1) / 2) * step
        has_null |= _null(ax, place, ends, index, 0.62 if len(groups) == 1 else step * 0.85)
        low, high = ends["low"], ends["high"]
        if low is not None and high is not None and np.isfinite([low[index], high[index]]).all():
            ax.hlines(place, low[index], high[index], color=style.colour(which), linewidth=1.7, zorder=3)
        ax.plot(
            shown[index], place, marker=style.marker(which), color=style.colour(which), markersize=5.5, zorder=4,
            markeredgecolor="white", markeredgewidth=0.6,
        )  # fmt: skip
        if len(groups) == 1:
            _rows.side_text(ax, place, _rows.counts_and_p(request, row, columns["n"], columns["p"]))
    _panels.reference_lines(ax, request.option("reference", 0), "x")
    _panels.scale(ax, "x", request.option("logx", False), shown)
    _panels.limits(request, ax)
    return has_null


def _null(ax: Axes, place: float, ends: dict[str, Any], index: int, thickness: float) -> bool:
    low, high, middle = ends["null_low"], ends["null_high"], ends["null"]
    drawn = False
    if low is not None and high is not None and np.isfinite([low[index], high[index]]).all():
        width = max(high[index] - low[index], 1e-12)
        ax.barh(place, width, thickness, left=low[index], color=style.NULL, alpha=0.35, linewidth=0, zorder=1.6)
        drawn = True
    if middle is not None and np.isfinite(middle[index]):
        ax.vlines(
            middle[index], place - thickness / 2, place + thickness / 2, color=style.QUIET, linewidth=1.0, zorder=1.7
        )
    return drawn
