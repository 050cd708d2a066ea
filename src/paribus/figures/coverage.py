"""How often a token occurs in core and in tail contexts, against its base rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paribus.arrays import Floats
from paribus.figures import _panels, _rows, style
from paribus.figures._request import Request, numbers

REQUIRED = ("label", "core", "tail")
OPTIONAL = ("base", "core_low", "core_high", "tail_low", "tail_high", "flag")
OPTIONS = ("max_rows", "sort", "core_label", "tail_label", "base_label")


def draw(request: Request) -> Figure:
    """Draw both shares of a token on one line, joined; the base rate as a tick."""
    label, total = request.need("label"), request.frame[request.need("label")].nunique()
    frame = _sorted(request)
    fig, axes = _panels.grid(request, 1, panel_size=(5.2, _rows.height(len(frame), 0.28)))
    ax = axes[0]
    _rows.prepare(request, ax, frame[label].tolist())
    core, tail, base = (numbers(frame, request.one(role)) for role in ("core", "tail", "base"))
    assert core is not None and tail is not None
    places = np.arange(len(frame), dtype=np.float64)
    ax.hlines(places, np.minimum(core, tail), np.maximum(core, tail), color="#B8B8B8", linewidth=2.2, zorder=2)
    handles: list[Any] = [
        _series(ax, core, places - 0.0, _ends(request, frame, "core"), 0, str(request.option("core_label", "core"))),
        _series(ax, tail, places + 0.0, _ends(request, frame, "tail"), 1, str(request.option("tail_label", "tail"))),
    ]
    if base is not None:
        ax.scatter(base, places, marker="|", s=110, color=style.INK, linewidths=1.6, zorder=4)
        handles.append(
            Line2D([], [], linestyle="None", marker="|", markersize=9, markeredgewidth=1.6, color=style.INK,
                   label=str(request.option("base_label", "base rate")))
        )  # fmt: skip
    ax.set_xlabel(str(request.option("xlabel", "share of contexts that hold it")))
    _panels.limits(request, ax)
    if (flag := request.one("flag")) is not None:
        for place, text in zip(places, frame[flag], strict=True):
            if isinstance(text, str) and text:
                _rows.side_text(ax, float(place), style.shorten(text, 24))
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
    else:
        _panels.legend(request, ax, handles)
    _panels.note(fig, _rows.cap_note(request, total, len(frame)))
    return fig


def _sorted(request: Request) -> pd.DataFrame:
    frame = request.frame.drop_duplicates(request.need("label"))
    core, tail = numbers(frame, request.need("core")), numbers(frame, request.need("tail"))
    assert core is not None and tail is not None
    frame = frame.assign(**{"core minus tail": core - tail, "core share": core})
    most = int(request.option("max_rows", _panels.MAX_ROWS))
    if len(frame) > most:
        kept = frame["core minus tail"].abs().sort_values(ascending=False, kind="stable").index[:most]
        frame = frame[frame.index.isin(kept)]
    by = {"gap": "core minus tail", "core": "core share"}.get(str(request.option("sort", "gap")))
    return frame if by is None else frame.sort_values(by, ascending=False, kind="stable")


def _ends(request: Request, frame: pd.DataFrame, part: str) -> tuple[Floats | None, Floats | None]:
    return numbers(frame, request.one(f"{part}_low")), numbers(frame, request.one(f"{part}_high"))


def _series(ax: Axes, values: Floats, places: Floats, ends: tuple[Any, Any], index: int, text: str) -> Line2D:
    low, high = ends
    if low is not None and high is not None:
        shift = (-0.16, 0.16)[index]
        ax.hlines(places + shift, low, high, color=style.colour(index), linewidth=1.1, alpha=0.8, zorder=2.5)
    ax.scatter(values, places, s=38, marker=style.marker(index), color=style.colour(index), edgecolors="white",
               linewidths=0.6, zorder=3)  # fmt: skip
    return Line2D([], [], linestyle="None", marker=style.marker(index), color=style.colour(index), label=text)
