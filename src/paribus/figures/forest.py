"""Effects with their intervals, one line each, against a reference and their nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.figures import _panels, _rows, style
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("label", "value")
OPTIONAL = ("low", "high", "group", "panel", "null", "null_low", "null_high", "n", "p", "unit", "tick", "flag")
OPTIONS = ("reference", "null_label", "sort", "logx", "max_rows", "labels", "together", "tick_label", "alpha")


def draw(request: Request) -> Figure:
    """Draw one line per label and group, in one panel per value of ``panel`` or per column of ``value``."""
    columns = request.many("value")
    together = len(columns) > 1 and bool(request.option("together"))
    request = _rows.long(request, "group" if together else "panel")
    frame, label, value = request.frame, request.need("label"), request.need("value")
    sections = parts(frame, request.one("panel"))[: _panels.MAX_PANELS]
    labels = _rows.chosen(request, frame, label, value)
    groups = request.groups
    per_row = 0.27 + 0.12 * (len(groups) - 1)
    size = (4.6 if len(sections) == 1 else 3.4, _rows.height(len(labels), per_row))
    fig, axes = _panels.grid(request, len(sections), panel_size=size, share_y=True)
    has_null = False
    for index, (ax, rows) in enumerate(_panels.titled(request, sections, axes)):
        _rows.prepare(request, ax, labels)
        has_null |= _panel(request, ax, rows, labels, groups, index)
        text = request.option_of("xlabel", index, request.label("xlabel", "value"))
        if (unit := request.one("unit")) is not None and len(rows):
            text = f"{text} ({request.shown(rows[unit].iloc[0], 60)})"
        _panels.wide_label(ax, text)
    if request.options.get("ylabel"):
        axes[0].set_ylabel(str(request.options["ylabel"]))
    handles = _handles(request, groups)
    if has_null:
        handles.append(_panels.null_patch(request))
    beside = len(groups) == 1 and (request.one("n") or _written(request)) or request.one("flag")
    if handles and beside and not request.narrow:
        axes[0].legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
    else:
        _panels.legend(request, _panels.upper_right(axes), handles)
    _panels.note(fig, _rows.cap_note(frame[label].nunique(), len(labels)))
    return fig


def _written(request: Request) -> str | None:
    """Return the column of p where it is written beside the rows: unless ``alpha`` makes it fill the points."""
    return None if "alpha" in request.options else request.one("p")


def _handles(request: Request, groups: list[Any]) -> list[Any]:
    made: list[Any] = []
    if request.one("group") is not None:
        for index, group in enumerate(groups):
            look: dict[str, Any] = {"color": style.colour(index), "marker": style.marker(index), "linewidth": 1.4}
            made.append(Line2D([], [], label=request.shown(group), **look))
    if request.one("p") and (alpha := request.option("alpha")) is not None:
        for face, sign in ((style.colour(0), "≤"), ("white", ">")):
            look = {"marker": style.marker(0), "markeredgecolor": style.colour(0), "markerfacecolor": face}
            made.append(Line2D([], [], linestyle="None", label=f"p {sign} {float(alpha):g}", **look))
    if (tick := request.one("tick")) is not None:
        text = str(request.option("tick_label", tick.replace("_", " ")))
        look = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6, "color": style.INK}
        made.append(Line2D([], [], linestyle="None", label=text, **look))
    return made


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, labels: list[Any], groups: list[Any], panel: int) -> bool:
    places = {each: i for i, each in enumerate(labels)}
    group, label, flag = request.one("group"), request.need("label"), request.one("flag")
    table = rows[rows[label].isin(labels) & (True if group is None else rows[group].isin(groups))]
    roles = ("value", "low", "high", "null_low", "null_high", "null", "p", "tick")
    ends: dict[str, Any] = {role: numbers(table, request.one(role)) for role in roles}
    shown, alpha = ends["value"], request.option("alpha")
    if not np.isfinite(shown).any():
        ax.text(0.5, 0.5, "no data yet", transform=ax.transAxes, ha="center", va="center", color=style.QUIET)
        return False
    step = 0.72 / len(groups) if len(groups) > 1 else 0.0
    has_null = False
    for index, (_, row) in enumerate(table.iterrows()):
        which = groups.index(row[group]) if group else 0
        place = places[row[label]] + (which - (len(groups) - 1) / 2) * step
        has_null |= _null(ax, place, ends, index, 0.62 if len(groups) == 1 else step * 0.85)
        if _both(ends["low"], ends["high"], index):
            low, high = ends["low"][index], ends["high"][index]
            ax.hlines(place, low, high, color=style.colour(which), linewidth=1.7, zorder=3)
        p = ends["p"]
        look: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.6}
        if alpha is not None and p is not None and p[index] > float(alpha):
            look = {"markeredgecolor": style.colour(which), "markeredgewidth": 1.1, "markerfacecolor": "white"}
        ax.plot(
            shown[index], place, marker=style.marker(which), color=style.colour(which), markersize=5.5, zorder=4, **look
        )
        if (tick := ends["tick"]) is not None:
            ax.plot(tick[index], places[row[label]], marker="|", markersize=11, color=style.INK, mew=1.6, zorder=3.5)
        if flag is not None and isinstance(row[flag], str):
            _rows.side_text(ax, places[row[label]], style.shorten(row[flag], 24))
        elif len(groups) == 1:
            _rows.side_text(ax, place, _rows.counts_and_p(row, request.one("n"), _written(request)))
    _panels.reference_lines(ax, request.option_of("reference", panel, 0), "x")
    _panels.scale(ax, "x", request.option_of("logx", panel, False), shown)
    _panels.limits(request, ax, "x")
    return has_null


def _both(low: Any, high: Any, index: int) -> bool:
    return low is not None and high is not None and bool(np.isfinite([low[index], high[index]]).all())


def _null(ax: Axes, place: float, ends: dict[str, Any], index: int, thickness: float) -> bool:
    low, high, middle = ends["null_low"], ends["null_high"], ends["null"]
    drawn = _both(low, high, index)
    if drawn:
        width = max(high[index] - low[index], 1e-12)
        _panels.unstick(ax.barh(place, width, thickness, left=low[index], zorder=1.6, **_panels.null_look()))
    if middle is not None and np.isfinite(middle[index]):
        ax.vlines(
            middle[index], place - thickness / 2, place + thickness / 2, color=style.QUIET, linewidth=1.0, zorder=1.7
        )
    return drawn
