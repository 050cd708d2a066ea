"""How much more often itemsets occur in the high group, and what inserting them does."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.arrays import Floats
from paribus.figures import _panels, _rows, style
from paribus.figures._request import Request, numbers

REQUIRED = ("label", "lift")
OPTIONAL = ("low", "high", "support", "p", "effect", "effect_low", "effect_high")
OPTIONS = ("alpha", "effect_label", "max_rows", "sort")


def draw(request: Request) -> Figure:
    """Draw lift on a logarithmic axis with intervals; beside it, where declared, the effect of inserting the set."""
    frame, label = request.frame, request.need("label")
    labels = _rows.chosen(request, frame, label, request.need("lift"), "value")
    frame = frame[frame[label].isin(labels)].drop_duplicates(label).set_index(label, drop=False).reindex(labels)
    effect = request.one("effect")
    size = (4.4, _rows.height(len(labels), 0.29))
    fig, axes = _panels.grid(request, 1 if effect is None else 2, panel_size=size, share_y=True)
    for ax in axes:
        _rows.prepare(request, ax, labels)
    p = numbers(frame, request.one("p"))
    alpha = float(request.option("alpha", 0.05))
    found = np.ones(len(frame), dtype=bool) if p is None else np.asarray(p <= alpha)
    lift, support = numbers(frame, request.need("lift")), numbers(frame, request.one("support"))
    assert lift is not None
    ends = numbers(frame, request.one("low")), numbers(frame, request.one("high"))
    _points(axes[0], lift, ends, found, support, style.colour(0))
    axes[0].axvline(1.0, color=style.QUIET, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1.5)
    finite = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in (lift, *ends) if v is not None])
    if finite.size:
        axes[0].set_xscale("log")
        axes[0].set_xlim(min(0.8, float(finite.min()) * 0.9), max(1.25, float(finite.max()) * 1.12))
        style.plain_log(axes[0].xaxis)
    axes[0].set_xlabel(str(request.option("xlabel", "lift (observed, log scale)")))
    if effect is not None:
        ends = numbers(frame, request.one("effect_low")), numbers(frame, request.one("effect_high"))
        values = numbers(frame, effect)
        assert values is not None
        _points(axes[1], values, ends, np.ones(len(frame), dtype=bool), None, style.colour(2))
        axes[1].axvline(0.0, color=style.QUIET, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1.5)
        axes[1].set_xlabel(str(request.option("effect_label", "effect of inserting it (intervention)")))
    _panels.legend(request, axes[-1], _handles(p is not None, alpha, support))
    if support is not None:
        _panels.note(fig, "Larger points: larger support.")
    _panels.note(fig, _rows.cap_note(request, request.frame[label].nunique(), len(labels)))
    return fig


def _points(
    ax: Axes,
    values: Floats,
    ends: tuple[Floats | None, Floats | None],
    found: Any,
    support: Floats | None,
    shade: str,
) -> None:
    places = np.arange(len(values), dtype=np.float64)
    low, high = ends
    if low is not None and high is not None:
        ax.hlines(places, low, high, color=shade, linewidth=1.5, zorder=2)
    top = float(np.nanmax(support)) if support is not None and np.isfinite(support).any() else 0.0
    sizes = np.full(len(values), 34.0) if support is None or top <= 0 else 16 + 90 * np.nan_to_num(support) / top
    faces = [shade if yes else "white" for yes in found]
    ax.scatter(values, places, s=sizes, c=faces, edgecolors=shade, linewidths=1.1, zorder=3)


def _handles(tested: bool, alpha: float, support: Floats | None) -> list[Line2D]:
    if not tested:
        return []
    look: dict[str, Any] = {"linestyle": "None", "marker": "o", "markeredgecolor": style.colour(0)}
    return [
        Line2D([], [], markerfacecolor=style.colour(0), label=f"p ≤ {alpha:g}", **look),
        Line2D([], [], markerfacecolor="white", label=f"p > {alpha:g}", **look),
    ]
