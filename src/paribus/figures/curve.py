"""Lines over levels with intervals, a null band, groups and panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.arrays import Floats
from paribus.figures import _panels, style
from paribus.figures._request import Request, is_numeric, levels, numbers, parts, places

REQUIRED = ("x", "y")
OPTIONAL = ("low", "high", "group", "style", "panel", "null", "null_low", "null_high")
OPTIONS = (
    "null_label", "hline", "vline", "logx", "logy", "labels", "markers", "share_y", "panel_columns", "max_groups",
    "group_label",
)  # fmt: skip


def draw(request: Request) -> Figure:
    """Draw one panel per value of ``panel``, in it one line per ``group`` x ``style`` x column of ``y``."""
    frame = request.frame
    sections = parts(frame, request.one("panel"))
    notes: list[str] = []
    _panels.capped(notes, len(sections), _panels.MAX_PANELS, "panels", "the first ones")
    sections = sections[: _panels.MAX_PANELS]
    fig, axes = _panels.grid(
        request, len(sections), n_columns=request.option("panel_columns"), share_y=bool(request.option("share_y", True))
    )
    handles: dict[str, Any] = {}
    lines = _Lines(request, notes)
    for ax, rows in _panels.titled(request, sections, axes):
        lines.draw(ax, rows, handles)
        ax.set_xlabel(request.label("xlabel", "x"))
    across = len({round(ax.get_position().x0, 3) for ax in axes})
    for index, ax in enumerate(axes):
        if index % across == 0:
            ax.set_ylabel(request.label("ylabel", "y"))
    if len(handles) > 1 or (len(handles) == 1 and not lines.alone):
        _panels.legend(request, axes[across - 1], list(handles.values()), title=request.option("group_label"))
    for text in notes:
        _panels.note(fig, text)
    return fig


class _Lines:
    """Looks of the groups, the same in every panel."""

    def __init__(self, request: Request, notes: list[str]) -> None:
        self.request, self.notes = request, notes
        frame, group = request.frame, request.one("group")
        self.x = request.need("x")
        self.numeric = is_numeric(frame, self.x)
        self.levels = levels(frame, self.x)
        self.ys = request.many("y")
        labels = request.option("labels") or [column.replace("_", " ") for column in self.ys]
        self.labels = dict(zip(self.ys, labels, strict=False))
        groups = levels(frame, group) if group else [None]
        most = int(request.option("max_groups", 8))
        _panels.capped(notes, len(groups), most, "groups", "the first ones")
        self.groups = groups[:most]
        second = request.one("style")
        self.styles = levels(frame, second) if second else [None]
        self.alone = len(self.groups) * len(self.styles) * len(self.ys) == 1

    def draw(self, ax: Axes, rows: pd.DataFrame, handles: dict[str, Any]) -> None:
        request = self.request
        x_values, y_values = places(rows, self.x, self.levels), []
        self._null(ax, rows, handles)
        for g, group in enumerate(self.groups):
            for s, second in enumerate(self.styles):
                for k, column in enumerate(self.ys):
                    part = self._select(rows, group, second)
                    look = self._look(g, s, k)
                    y_values.append(self._line(ax, part, column, k, look))
                    self._entry(handles, group, second, column, look)
        drawn = np.concatenate(y_values) if y_values else np.empty(0)
        if not np.isfinite(drawn).any():
            _panels.no_data(ax)
            return
        _panels.references(request, ax, handles)
        if self.numeric:
            whole = bool(np.all(np.mod(x_values[np.isfinite(x_values)], 1) == 0))
            style.plain_linear(ax, "x", integer=whole)
            _panels.scale(ax, "x", request.option("logx", False), x_values)
        else:
            _panels.categories(ax, [request.shown(v, 24) for v in self.levels], "x")
        _panels.scale(ax, "y", request.option("logy", False), drawn)
        _panels.limits(request, ax)

    def _select(self, rows: pd.DataFrame, group: Any, second: Any) -> pd.DataFrame:
        rows = self.request.of_group(rows, group)
        if second is not None:
            rows = rows[rows[self.request.need("style")] == second]
        return rows

    def _look(self, g: int, s: int, k: int) -> dict[str, Any]:
        primary = g if len(self.groups) > 1 else (k if len(self.ys) > 1 else s)
        if len(self.styles) > 1:
            dashes = style.line(s)
        elif len(self.groups) > 1 and len(self.ys) > 1:
            dashes = style.line(k)
        else:
            dashes = style.line(primary)
        return {"color": style.colour(primary), "linestyle": dashes, "marker": style.marker(primary)}

    def _line(self, ax: Axes, rows: pd.DataFrame, column: str, k: int, look: dict[str, Any]) -> Floats:
        lows, highs = self.request.many("low"), self.request.many("high")
        wanted = [column, *(c[k] for c in (lows, highs) if k < len(c))]
        table = pd.DataFrame({name: numbers(rows, name) for name in wanted}, index=rows.index)
        table.insert(0, "x at", places(rows, self.x, self.levels))
        table = table.dropna(subset=["x at"])
        if table["x at"].duplicated().any():
            table = table.groupby("x at", as_index=False).mean()
            text = "Several rows have the same x: their mean is drawn."
            if text not in self.notes:
                self.notes.append(text)
        table = table.sort_values("x at")
        x, y = table["x at"].to_numpy(float), table[column].to_numpy(float)
        show = self.request.option("markers", "auto")
        look = dict(look)
        if show is False or (show == "auto" and len(x) > 30):
            look["marker"] = "None" if len(x) > 1 else look["marker"]
        ax.plot(x, y, **look, markeredgecolor="white", markeredgewidth=0.6)
        if k < len(lows) and k < len(highs):
            low, high = table[lows[k]].to_numpy(float), table[highs[k]].to_numpy(float)
            _panels.band(ax, x, low, high, look["color"], 0.18, look["linestyle"])
            y = np.concatenate([y, low, high])
        return np.asarray(y, dtype=np.float64)

    def _null(self, ax: Axes, rows: pd.DataFrame, handles: dict[str, Any]) -> None:
        request = self.request
        low, high, middle = request.one("null_low"), request.one("null_high"), request.one("null")
        if not ((low and high) or middle):
            return
        columns = [c for c in (low, high, middle) if c]
        table = pd.DataFrame({c: numbers(rows, c) for c in columns}, index=rows.index)
        table["x at"] = places(rows, self.x, self.levels)
        group = request.one("group")
        same = table.groupby("x at")[columns].nunique().max().max() <= 1 if len(table) else True
        pieces = [(None, table)] if same or group is None else [(v, table[rows[group] == v]) for v in self.groups]
        for index, (value, piece) in enumerate(pieces):
            piece = piece.groupby("x at", as_index=False)[columns].mean().sort_values("x at")
            x = piece["x at"].to_numpy(float)
            shade = style.NULL if value is None else style.colour(index)
            if low and high:
                ends = piece[low].to_numpy(float), piece[high].to_numpy(float)
                _panels.null_band(ax, x, *ends)
                if value is not None:
                    for end in ends:
                        ax.plot(x, end, color=shade, linewidth=0.7, linestyle=":", zorder=1.7)
            if middle:
                self._middle(ax, x, piece[middle].to_numpy(float), shade, handles, banded=bool(low and high))
        if low and high and table[[low, high]].notna().all(axis=1).any():
            patch = _panels.null_patch(request)
            handles[str(patch.get_label())] = patch

    def _middle(self, ax: Axes, x: Floats, y: Floats, shade: str, handles: dict[str, Any], *, banded: bool) -> None:
        """Draw the middle of a null; where no band names the null, the line does."""
        look: dict[str, Any] = {"color": shade, "linewidth": 1.1, "linestyle": (0, (1, 1.3)), "zorder": 1.9}
        ax.plot(x, y, **look)
        if not banded and np.isfinite(y).any():
            text = str(self.request.option("null_label", "null"))
            handles[text] = Line2D([], [], label=text, **{**look, "color": style.QUIET})

    def _entry(self, handles: dict[str, Any], group: Any, second: Any, column: str, look: dict[str, Any]) -> None:
        named = [self.request.shown(value) for value in (group, second) if value is not None]
        if len(self.ys) > 1:
            named.append(self.labels.get(column, column))
        text = ", ".join(named) or self.labels.get(column, column)
        if text not in handles:
            handles[text] = Line2D([], [], label=text, markeredgecolor="white", markeredgewidth=0.6, **look)
