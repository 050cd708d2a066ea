"""A response over doses with its interval and null, and below it how often the feature fires and how many contexts."""

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
OPTIONAL = ("low", "high", "null", "null_low", "null_high", "firing", "n", "support", "group")
OPTIONS = ("baseline", "null_label", "threshold", "firing_baseline", "hline")


def draw(request: Request) -> Figure:
    """Draw the response on top; firing rate and number of contexts below it where their roles are declared."""
    firing, n = request.one("firing"), request.one("n")
    heights = [3.4] + [1.25] * (firing is not None) + [0.9] * (n is not None)
    width = float(request.option("width", 6.4))
    fig = style.blank_figure(width, request.option("height", sum(heights) * min(1.0, max(0.7, width / 6.4)) + 0.6))
    axes = fig.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights).ravel().tolist()
    doses = _Doses(request)
    handles = doses.response(axes[0])
    axes[0].set_ylabel(request.label("ylabel", "y"))
    following = iter(axes[1:])
    if firing is not None:
        doses.rate(next(following), firing)
    if n is not None:
        doses.counts(next(following), n)
    doses.ticks(axes[-1])
    axes[-1].set_xlabel(request.label("xlabel", "x"))
    _panels.legend(request, axes[0], handles)
    return fig


class _Doses:
    """The places of the doses, common to the stacked panels."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.column = request.need("x")
        self.numeric = is_numeric(request.frame, self.column)
        self.levels = levels(request.frame, self.column)
        self.sections = parts(request.frame, request.one("group"))[:8]

    def at(self, rows: pd.DataFrame) -> Floats:
        return places(rows, self.column, self.levels)

    def response(self, ax: Axes) -> list[Any]:
        request, handles = self.request, []
        anything = False
        for index, (key, rows) in enumerate(self.sections):
            rows = rows.iloc[np.argsort(self.at(rows), kind="stable")]
            x, y = self.at(rows), numbers(rows, request.need("y"))
            anything |= bool(np.isfinite(y).any())
            shade = style.colour(index)
            look: dict[str, Any] = {"linestyle": style.line(index) if len(self.sections) > 1 else "-"}
            ends = [numbers(rows, request.one(role)) for role in ("low", "high", "null_low", "null_high", "null")]
            _panels.null_band(ax, x, ends[2], ends[3])
            if ends[4] is not None:
                ax.plot(x, ends[4], color=style.QUIET, linestyle=":", linewidth=1.0, zorder=1.9)
            _panels.band(ax, x, ends[0], ends[1], shade, 0.2, look["linestyle"])
            ax.plot(x, y, color=shade, **look, zorder=3)
            own = self._own(rows)
            mark: dict[str, Any] = {"color": shade, "marker": style.marker(index), "linestyle": "None", "zorder": 4}
            ax.plot(x[~own], y[~own], **mark, markeredgecolor="white", markeredgewidth=0.6)
            ax.plot(x[own], y[own], **mark, markerfacecolor="white", markeredgecolor=shade)
            if key is not None:
                handles.append(
                    Line2D([], [], color=shade, marker=style.marker(index), label=request.shown(key), **look)
                )
        if not anything:
            _panels.no_data(ax)
            return []
        return handles + self._references(ax)

    def _references(self, ax: Axes) -> list[Any]:
        request = self.request
        handles: list[Any] = []
        if (baseline := request.option("baseline")) is not None:
            handles += _panels.reference_lines(ax, {"baseline": baseline}, "y")
        handles += _panels.reference_lines(ax, request.option("hline"), "y")
        if (threshold := request.option("threshold")) is not None and np.isfinite(float(threshold)):
            ax.axvline(float(threshold), color=style.colour(1), linewidth=1.1, linestyle=(0, (1, 1.2)), zorder=1.6)
            handles.append(
                Line2D([], [], color=style.colour(1), linewidth=1.1, linestyle=(0, (1, 1.2)),
                       label=f"threshold: {request.shown(float(threshold))}")
            )  # fmt: skip
        low, high = (numbers(request.frame, request.one(role)) for role in ("null_low", "null_high"))
        if low is not None and high is not None and np.isfinite(low + high).any():
            handles.append(_panels.null_patch(request))
        if self._own(request.frame).any():
            handles.append(
                Line2D([], [], linestyle="None", marker="o", markerfacecolor="white", markeredgecolor=style.colour(0),
                       label="paired on its own contexts")
            )  # fmt: skip
        _panels.limits(request, ax)
        return handles

    def _own(self, rows: pd.DataFrame) -> Any:
        support = self.request.one("support")
        if support is None:
            return np.zeros(len(rows), dtype=bool)
        return (rows[support].astype(str) == "own").to_numpy(bool)

    def rate(self, ax: Axes, column: str) -> None:
        for index, (_, rows) in enumerate(self.sections):
            rows = rows.iloc[np.argsort(self.at(rows), kind="stable")]
            look = style.line(index) if len(self.sections) > 1 else "-"
            rates = numbers(rows, column)
            ax.plot(self.at(rows), rates, color=style.colour(index), linestyle=look,
                    marker=style.marker(index), markersize=3.5)  # fmt: skip
        _panels.reference_lines(ax, self.request.option("firing_baseline"), "y")
        ax.set_ylim(-0.04, 1.04)
        ax.set_yticks([0, 0.5, 1])
        ax.set_ylabel("fires")

    def counts(self, ax: Axes, column: str) -> None:
        doses = self.at(self.request.frame)
        gaps = np.diff(np.unique(doses[np.isfinite(doses)]))
        gap = float(gaps.min()) if len(gaps) else 1.0
        width = gap * 0.7 / len(self.sections)
        for index, (_, rows) in enumerate(self.sections):
            offset = (index - (len(self.sections) - 1) / 2) * width
            counts = numbers(rows, column)
            ax.bar(self.at(rows) + offset, counts, width, color=style.colour(index), alpha=0.55, linewidth=0)
        ax.set_ylim(bottom=0)
        ax.locator_params(axis="y", nbins=3)
        ax.set_ylabel("n")

    def ticks(self, ax: Axes) -> None:
        if not self.numeric:
            _panels.categories(ax, [self.request.shown(v, 24) for v in self.levels], "x")
        elif 0 < len(self.levels) <= 40:
            kept = _readable([float(v) for v in self.levels])
            ax.set_xticks(kept, [self.request.shown(v) for v in kept])


def _readable(values: list[float]) -> list[float]:
    """Return the levels that get a tick: no two closer than a sixteenth of the axis, the last one always."""
    gap = (values[-1] - values[0]) / 16
    kept = values[:1]
    for value in values[1:]:
        if value - kept[-1] >= gap:
            kept.append(value)
    if kept[-1] != values[-1]:
        kept[-1] = values[-1]
    return kept
