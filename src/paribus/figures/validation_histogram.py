"""The distribution of a validation statistic beside the one under its null, with the value that was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from paribus.figures import _panels, style
from paribus.figures._request import Request, levels, numbers, parts
from paribus.figures.histogram import bin_edges

REQUIRED = ("value",)
OPTIONAL = ("group", "panel")
OPTIONS = ("observed", "null_group", "p", "bins")


def draw(request: Request) -> Figure:
    """Draw the groups as densities (the null grey, its central 95 % marked) and the observed value as a line."""
    sections = parts(request.frame, request.one("panel"))[: _panels.MAX_PANELS]
    fig, axes = _panels.grid(request, len(sections))
    handles: dict[str, Any] = {}
    group, null_group = request.one("group"), request.option("null_group")
    groups = levels(request.frame, group)[:8] if group else [None]
    observed = request.option("observed")
    for (key, rows), ax in zip(sections, axes, strict=True):
        values = numbers(rows, request.need("value"))
        assert values is not None
        if not np.isfinite(values).any():
            _panels.no_data(ax)
            continue
        extra = [] if observed is None else [np.array([float(observed)])]
        edges = bin_edges(request, [values, *extra])
        for index, each in enumerate(groups):
            chosen = values if group is None else values[(rows[group] == each).to_numpy(bool)]
            chosen = chosen[np.isfinite(chosen)]
            is_null = group is None or each == null_group
            shade = style.NULL if is_null else style.colour(index)
            text = str(request.shown(each)) if each is not None else "null"
            if chosen.size:
                weights = np.full(chosen.size, 1.0 / chosen.size)
                bins = edges.tolist()
                ax.hist(chosen, bins=bins, weights=weights, color=shade, alpha=0.4, histtype="stepfilled", zorder=2)
                ax.hist(chosen, bins=bins, weights=weights, color=shade, histtype="step", linewidth=1.3, zorder=3)
            if is_null and chosen.size >= 20:
                for end in np.percentile(chosen, [2.5, 97.5]):
                    ax.axvline(float(end), color=style.QUIET, linewidth=1.0, linestyle=":", zorder=3)
                handles["quantiles of the null"] = Line2D([], [], color=style.QUIET, linestyle=":", linewidth=1.0,
                                              label="central 95 % of the null")  # fmt: skip
            handles[f"group {text}"] = Patch(facecolor=shade, alpha=0.5, label=f"{text} ({chosen.size})")
        if observed is not None and np.isfinite(float(observed)):
            ax.axvline(float(observed), color=style.INK, linewidth=2.0, zorder=5)
            p = request.option("p")
            text = f"observed = {style.number(float(observed))}" + (
                f", {style.p_value(float(p))}" if p is not None else ""
            )
            handles["observed value"] = Line2D([], [], color=style.INK, linewidth=2.0, label=text)
        if key is not None:
            _panels.panel_title(ax, request.shown(key, 90))
        ax.set_xlabel(request.label("xlabel", "value"))
        _panels.limits(request, ax)
    axes[0].set_ylabel(str(request.option("ylabel", "share")))
    _panels.legend(request, axes[min(len(axes), 3) - 1], list(handles.values()))
    return fig
