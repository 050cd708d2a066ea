"""Labelling the most extreme points of a scatter without overlapping labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from paribus.arrays import Floats
from paribus.figures import _panels, style


def name_points(ax: Axes, x: Floats, y: Floats, texts: Sequence[str], ranks: Floats, most: int) -> None:
    """Write the texts of the ``most`` highest-ranked points beside them; names of one side are pushed apart.

    Args:
        ax: The panel, its limits final.
        x: Places of the points.
        y: Places of the points.
        texts: One name per point.
        ranks: How extreme a point is; NaN leaves it out.
        most: The most names.
    """
    ax.set_xlim(ax.get_xlim())
    ax.set_ylim(ax.get_ylim())
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(ranks))
    order = there[np.argsort(-ranks[there], kind="stable")][:most]
    if order.size == 0:
        return
    at = ax.transAxes.inverted().transform(ax.transData.transform(np.column_stack([x[order], y[order]])))
    gap = 0.17 / max(1.0, _panels.inches(ax)[1])
    middle = float(np.median(ax.transAxes.inverted().transform(ax.transData.transform(_pairs(x, y)))[:, 0]))
    for right in (False, True):
        side = np.flatnonzero((at[:, 0] >= middle) == right)
        side = side[np.argsort(at[side, 1], kind="stable")]
        heights = _apart(at[side, 1], gap)
        for index, height in zip(side, heights, strict=True):
            outward = 1 if right else -1
            ax.annotate(
                texts[int(order[index])], xy=(at[index, 0], at[index, 1]), xycoords="axes fraction",
                xytext=(at[index, 0] + outward * 0.025, height), textcoords="axes fraction", fontsize=7.6,
                ha="left" if right else "right", va="center", color=style.INK, zorder=6, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": "#A5A5A5", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
            )  # fmt: skip


def _apart(heights: Floats, gap: float) -> Floats:
    """Return ascending heights at least ``gap`` apart, moved as one block back inside [0, 1]."""
    placed = heights.copy()
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if len(placed) and placed[-1] > 1.0:
        placed[-1] = 1.0
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - gap)
    return placed


def _pairs(x: Floats, y: Floats) -> Floats:
    """Return the finite points, [n, 2]."""
    there = np.isfinite(x) & np.isfinite(y)
    return np.column_stack([x[there], y[there]])
