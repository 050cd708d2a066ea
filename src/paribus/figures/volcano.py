"""Size of an effect against how surprising it is; what is both is named."""

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
from paribus.figures._request import Request, levels, numbers

REQUIRED = ("x", "p")
OPTIONAL = ("label", "group")
OPTIONS = ("alpha", "min_effect", "label_top")


def draw(request: Request) -> Figure:
    """Draw the effect across and ``-log10 p`` upwards, with the line of ``alpha`` and of ``min_effect``."""
    fig, axes = _panels.grid(request, 1, panel_size=(5.4, 4.2))
    ax, rows = axes[0], request.frame
    x, p = numbers(rows, request.need("x")), numbers(rows, request.need("p"))
    assert x is not None and p is not None
    if not (np.isfinite(x) & np.isfinite(p)).any():
        _panels.no_data(ax)
        return fig
    alpha, least = float(request.option("alpha", 0.05)), float(request.option("min_effect", 0.0))
    with np.errstate(divide="ignore"):
        height = -np.log10(np.clip(p, 1e-300, 1.0))
    found = (p <= alpha) & (np.abs(x) >= least)
    handles = _points(request, ax, rows, x, height, found)
    ax.axhline(-np.log10(alpha), color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
    dashed = Line2D([], [], color=style.QUIET, linewidth=1.0, linestyle=(0, (4, 3)), label=f"p = {alpha:g}")
    ax.axvline(0, color="#B5B5B5", linewidth=0.8, zorder=1.4)
    for side in (-least, least) if least > 0 else ():
        ax.axvline(side, color=style.QUIET, linewidth=0.9, linestyle=":", zorder=1.5)
    ax.set_xlabel(request.label("xlabel", "x"))
    ax.set_ylabel(str(request.option("ylabel", f"−log10 {request.need('p').replace('_', ' ')}")))
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


def _points(request: Request, ax: Axes, rows: pd.DataFrame, x: Floats, height: Floats, found: Any) -> list[Line2D]:
    group = request.one("group")
    if group is not None:
        kinds = [
            (request.shown(each), (rows[group] == each).to_numpy(bool), style.colour(i), style.marker(i))
            for i, each in enumerate(levels(rows, group)[:8])
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
