"""Distributions with marked values, per group or per column; one group may be a null, with an observed value beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._request import Request, numbers, parts

REQUIRED = ("value",)
OPTIONAL = ("group", "panel")
LEAST_OF_A_NULL = 20
"""Draws below which a null's quantiles are not marked."""
OPTIONS = (
    *("bins", "density", "share", "lines", "interval", "interval_label", "labels", "cumulative"),
    *("observed", "p", "null_group"),
)


def draw(request: Request) -> Figure:
    """Draw one outlined histogram per group or column, with reference lines."""
    sections = parts(request.frame, request.one("panel"))[: _panels.MAX_PANELS]
    fig, axes = _panels.grid(request, len(sections), share_x=True)
    handles: dict[str, Any] = {}
    observed = request.option("observed")
    beside = [] if observed is None else [np.array([float(observed)])]
    edges = bin_edges(request, [*(numbers(request.frame, column) for column in request.many("value")), *beside])
    for ax, rows in _panels.titled(request, sections, axes):
        _panel(request, ax, rows, edges, handles)
        ax.set_xlabel(request.label("xlabel", "value"))
    counted = "density" if request.option("density") else "share" if request.option("share") else "count"
    axes[0].set_ylabel(str(request.option("ylabel", counted)))
    single = request.one("group") is None and len(request.many("value")) == 1
    if not single or len(handles) > 1:
        _panels.legend(request, _panels.upper_right(axes), list(handles.values()))
    return fig


def bin_edges(request: Request, values: list[Floats]) -> Floats:
    """Return common edges of all samples, by Freedman and Diaconis' rule within 8 to 60 bins unless asked."""
    pool = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.empty(0)
    if pool.size == 0:
        return np.array([0.0, 1.0])
    low, high = float(pool.min()), float(pool.max())
    if high - low < 1e-12 * max(1.0, abs(high)):
        half = 0.5 if low == 0 else abs(low) * 0.05
        return np.linspace(low - half, high + half, 12)
    asked = request.option("bins")
    if asked is None:
        spread = float(np.subtract(*np.percentile(pool, [75, 25])))
        width = 2 * spread / pool.size ** (1 / 3) if spread > 0 else (high - low) / 20
        asked = int(np.clip(np.ceil((high - low) / width), 8, 60))
    return np.linspace(low, high, int(asked) + 1)


def _panel(request: Request, ax: Axes, rows: pd.DataFrame, edges: Floats, handles: dict[str, Any]) -> None:
    group, columns = request.one("group"), request.many("value")
    names = request.option("labels") or [column.replace("_", " ") for column in columns]
    index, drawn = 0, False
    for each in request.groups:
        part = request.of_group(rows, each)
        for k, column in enumerate(columns):
            values = numbers(part, column)
            values = values[np.isfinite(values)]
            text = ", ".join(
                ([request.shown(each)] if each is not None else []) + ([names[k]] if k or not group else [])
            )
            null = _is_null(request, each)
            shade = style.NULL if null else style.colour(index)
            line: Any = "-" if null else style.line(index)
            if values.size:
                drawn = True
                _draw_one(ax, values, edges, (shade, line), request)
            if null and values.size >= LEAST_OF_A_NULL:
                _mark_null(ax, values, handles)
            if text not in handles:
                of = f" ({values.size})" if request.option("share", False) else ""
                handles[text] = Patch(
                    facecolor=(shade, 0.3), edgecolor=shade, linestyle=line, linewidth=1.4,
                    hatch=style.NULL_HATCH if null else None,
                    label=("null" if null and each is None else text) + of,
                )  # fmt: skip
            index += 1
    if not drawn:
        _panels.no_data(ax)
        return
    mark_values(request, ax, handles)
    if request.options.get("xlim") is not None or request.options.get("ylim") is not None:
        _panels.limits(request, ax)


def _is_null(request: Request, group: Any) -> bool:
    """Return whether a group is the null that an observed value is held against: the only one, or that named so."""
    if request.one("group") is None:
        return request.option("observed") is not None
    return bool(group == request.option("null_group", object()))


def _mark_null(ax: Axes, values: Floats, handles: dict[str, Any]) -> None:
    look: dict[str, Any] = {"color": style.QUIET, "linewidth": 1.0, "linestyle": ":"}
    for end in np.percentile(values, [2.5, 97.5]):
        ax.axvline(float(end), zorder=3, **look)
    handles["quantiles of the null"] = Line2D([], [], label="central 95 % of the null", **look)


def _draw_one(ax: Axes, values: Floats, edges: Floats, look: tuple[str, Any], request: Request) -> None:
    """Draw one sample: a faint fill and an outline whose style differs between groups."""
    weights = np.full(values.size, 1.0 / values.size if request.option("share", False) else 1.0)
    shared: dict[str, Any] = {
        "bins": edges.tolist(), "weights": weights, "density": bool(request.option("density", False)),
        "cumulative": bool(request.option("cumulative", False)),
    }  # fmt: skip
    shade, line = look
    fill: dict[str, Any] = (
        _panels.null_look() if shade == style.NULL else {"color": shade, "alpha": 0.25, "linewidth": 0}
    )
    ax.hist(values, histtype="stepfilled", zorder=2, **fill, **shared)
    ax.hist(values, histtype="step", color=shade, linestyle=line, linewidth=1.4, zorder=3, **shared)


def mark_values(request: Request, ax: Axes, handles: dict[str, Any]) -> None:
    """Draw the value ``observed``, the option ``lines`` (mapping of label to value) and the shaded ``interval``."""
    observed, p = request.option("observed"), request.option("p")
    if observed is not None and np.isfinite(float(observed)):
        ax.axvline(float(observed), color=style.INK, linewidth=2.0, zorder=5)
        beside = f", {style.p_value(float(p))}" if p is not None else ""
        text = f"observed = {style.number(float(observed))}{beside}"
        handles["observed value"] = Line2D([], [], color=style.INK, linewidth=2.0, label=text)
    for index, (label, at) in enumerate(dict(request.option("lines", {})).items()):
        if at is None or not np.isfinite(at):
            continue
        dashes: Any = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))[index % 4]
        ax.axvline(float(at), color=style.INK, linewidth=1.5, linestyle=dashes, zorder=4)
        text = f"{label} = {style.number(float(at))}"
        handles[text] = Line2D([], [], color=style.INK, linewidth=1.5, linestyle=dashes, label=text)
    if (interval := request.option("interval")) is not None:
        ax.axvspan(float(interval[0]), float(interval[1]), zorder=0.5, **_panels.null_look())
        text = str(request.option("interval_label", "95 % of the null"))
        handles[text] = Patch(label=text, **_panels.null_look())
