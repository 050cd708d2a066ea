"""Panels, notes, legends, reference lines and bands: what several kinds of drawing share."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from paribus.arrays import Floats
from paribus.figures import style
from paribus.figures._request import Request

MAX_PANELS = 12
MAX_ROWS = 40


def grid(
    request: Request,
    n: int,
    *,
    panel_size: tuple[float, float] = style.PANEL,
    n_columns: int | None = None,
    share_x: bool = False,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``n`` panels, row by row; at most three side by side unless asked."""
    across = min(n, n_columns or (2 if n == 4 else 3))
    asked = request.option("width")
    if asked is not None:
        across = max(1, min(across, int(float(asked) / style.LEAST_PANEL)))
    down = math.ceil(n / across)
    width = float(asked or across * panel_size[0] + (1.6 if n == 1 else 0.8))
    tall = panel_size[1] * min(1.0, max(0.62, width / across / panel_size[0]))
    height = request.option("height", down * tall + 0.5)
    fig = style.blank_figure(width, height)
    axes = fig.subplots(down, across, squeeze=False, sharex=share_x, sharey=share_y).ravel().tolist()
    for spare in axes[n:]:
        spare.remove()
    return fig, axes[:n]


def upper_right(axes: Sequence[Axes]) -> Axes:
    """Return the last panel of the first row, beside which a legend covers nothing."""
    firsts = [index for index, ax in enumerate(axes) if (spec := ax.get_subplotspec()) and spec.rowspan.start == 0]
    return axes[firsts[-1]]


def no_data(ax: Axes) -> None:
    """Turn a panel into one that says there is nothing to show."""
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_facecolor("#F7F7F7")
    without_frame(ax)
    ax.text(0.5, 0.5, "no data yet", transform=ax.transAxes, ha="center", va="center", color=style.QUIET, fontsize=11)


def heading(fig: Figure, text: str) -> None:
    """Write the title of a figure at its upper left, wrapped to its width."""
    if text:
        per_inch = 120.0 / float(mpl.rcParams["figure.titlesize"])
        lines = [" ".join(line.split()) for line in text.splitlines()]
        wide = max(20, int(fig.get_figwidth() * per_inch))
        wrapped = "\n".join(textwrap.fill(line, wide, max_lines=3) for line in lines)
        fig.suptitle(wrapped, x=0.012, ha="left", color=style.INK)


def inches(ax: Axes) -> tuple[float, float]:
    """Return width and height of a panel as it stands before the layout, in inches."""
    figure, place = ax.get_figure(), ax.get_position()
    assert isinstance(figure, Figure)
    return place.width * figure.get_figwidth(), place.height * figure.get_figheight()


def panel_title(ax: Axes, text: str) -> None:
    """Write the title of a panel, wrapped to its width so that neighbours do not touch."""
    ax.set_title(wrapped(text, max(14, int(inches(ax)[0] * 9.5))))


def titled(
    request: Request, sections: Sequence[tuple[Any, pd.DataFrame]], axes: Sequence[Axes]
) -> Iterator[tuple[Axes, pd.DataFrame]]:
    """Yield each panel with its rows; it gets the title of its section once it is drawn."""
    for (key, rows), ax in zip(sections, axes, strict=True):
        yield ax, rows
        if key is not None:
            panel_title(ax, request.panel(key))


def tall_label(ax: Axes, text: str) -> None:
    """Label the axis of values, wrapped to the height that a panel has above its categories."""
    ax.set_ylabel(wrapped(text, max(16, int(inches(ax)[1] * 9.0))))


def wide_label(ax: Axes, text: str) -> None:
    """Label the axis below, wrapped to the width of the panel."""
    ax.set_xlabel(wrapped(text, max(24, int(inches(ax)[0] * 12.0))))


def wrapped(text: str, width: int) -> str:
    """Return a text on several lines; a name that is longer than a line is broken behind an underscore.

    Example:
        >>> wrapped("init_scale_grokfast: steered", 14).splitlines()
        ['init_scale_', 'grokfast:', 'steered']
    """
    words = [word.replace("_", "_ ") if len(word) > width else word for word in text.split()]
    filled = textwrap.fill(" ".join(words), width, max_lines=3)
    return filled.replace("_ ", "_") if any("_ " in word for word in words) else filled


def note(fig: Figure, text: str) -> None:
    """Add a sentence to the small print under a figure."""
    if not text:
        return
    known = getattr(fig, "_supxlabel", None)
    before = " ".join(known.get_text().split()) if known is not None else ""
    narrow = style.small()
    width = max(30, int(fig.get_figwidth() * (17.0 if narrow else 14.5)))
    wrapped = textwrap.fill(f"{before}  {text}".strip(), width)
    fig.supxlabel(wrapped, x=0.012, ha="left", fontsize=6.5 if narrow else 8, color=style.QUIET)


def legend(
    request: Request,
    ax: Axes,
    handles: Sequence[Any],
    *,
    title: str | None = None,
) -> None:
    """Put a legend to the right of ``ax``, where it hides no data, or under a narrow figure; the layout makes room."""
    if not handles or not request.option("legend", True):
        return
    if request.narrow:
        fig = ax.get_figure()
        assert isinstance(fig, Figure)
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, min(3, int(fig.get_figwidth() / (0.45 + 0.062 * longest))))
        fig.legend(handles=list(handles), loc="outside lower left", title=title, alignment="left", ncols=columns)
        return
    ax.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        title=title,
        alignment="left",
        handlelength=2.6,
        ncols=1 if len(handles) <= 20 else 2,
    )


def apart(fig: Figure) -> None:
    """Put a legend that stands under a figure above its small print: the layout would lay one over the other."""
    known, engine = getattr(fig, "_supxlabel", None), fig.get_layout_engine()
    if known is None or not fig.legends or not isinstance(engine, ConstrainedLayoutEngine):
        return
    gap = 4.0 / 72.0 / fig.get_figheight()
    small, *legends = (
        each.get_window_extent().height / fig.dpi / fig.get_figheight() + gap for each in (known, *fig.legends)
    )
    known.set_in_layout(False)
    known.set(y=gap, verticalalignment="bottom")
    below = small + gap
    for each, tall in zip(fig.legends, legends, strict=True):
        each.set_bbox_to_anchor((0.0, below, 1.0, 1.0 - below), transform=fig.transFigure)
        below += tall
    engine.set(rect=(0.0, below, 1.0, 1.0 - below))


def reference_lines(ax: Axes, value: Any, which: str) -> list[Line2D]:
    """Draw ``hline`` (``which="y"``) or ``vline`` (``"x"``) references; return legend entries of the named ones."""
    if value is None:
        return []
    named: Mapping[str | None, Any]
    if isinstance(value, Mapping):
        named = dict(value)
    elif isinstance(value, list | tuple):
        named = {None if i == 0 else f"_{i}": v for i, v in enumerate(value)}
    else:
        named = {None: value}
    handles = []
    for index, (label, at) in enumerate(named.items()):
        if at is None or not np.isfinite(at):
            continue
        dashes: Any = ((0, (4, 3)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))[index % 3]
        draw = ax.axhline if which == "y" else ax.axvline
        made = draw(float(at), color=style.QUIET, linewidth=1.1, linestyle=dashes, zorder=1.5)
        if label is not None and not str(label).startswith("_"):
            handles.append(Line2D([], [], color=style.QUIET, linewidth=1.1, linestyle=dashes, label=str(label)))
        made.set_label("_reference")
    return handles


def references(request: Request, ax: Axes, handles: dict[str, Any]) -> None:
    """Draw the options ``hline`` and ``vline``, and add the named ones to the legend."""
    for option, which in (("hline", "y"), ("vline", "x")):
        for line in reference_lines(ax, request.option(option), which):
            handles[str(line.get_label())] = line


def without_frame(ax: Axes) -> None:
    """Hide the lines around a panel."""
    for spine in ax.spines.values():
        spine.set_visible(False)


def band(
    ax: Axes, x: Floats, low: Floats | None, high: Floats | None, colour: str, alpha: float, line: Any = "-"
) -> None:
    """Shade an interval over ``x``; nothing where an end is missing. A lone point gets a bar instead.

    Its ends are drawn in the style of its line, which tells it from others where colour is lost.
    """
    if low is None or high is None:
        return
    there = np.isfinite(low) & np.isfinite(high) & np.isfinite(x)
    if there.sum() == 1:
        ax.vlines(x[there], low[there], high[there], color=colour, alpha=min(1.0, alpha * 3), linewidth=3, zorder=1.8)
    elif there.any():
        ax.fill_between(x, low, high, where=there.tolist(), color=colour, alpha=alpha, linewidth=0, zorder=1.8)
        for end in (low, high):
            ax.plot(
                x, np.where(there, end, np.nan), color=colour, alpha=0.75, linewidth=0.7, linestyle=line, zorder=1.9
            )


def null_look() -> dict[str, Any]:
    """Return how a null is filled: grey and hatched, as nothing else is."""
    return {"facecolor": (style.NULL, 0.28), "edgecolor": (style.NULL, 0.85), "hatch": style.NULL_HATCH, "linewidth": 0}


def unstick(bars: Iterable[Patch]) -> None:
    """Let an axis leave room beyond these bars: one that ends at its edge looks cut off."""
    for bar in bars:
        bar.sticky_edges.x.clear()
        bar.sticky_edges.y.clear()


def null_band(ax: Axes, x: Floats, low: Floats | None, high: Floats | None) -> None:
    """Draw the middle of a null over ``x``; a lone point gets a bar instead."""
    if low is None or high is None:
        return
    there = np.isfinite(low) & np.isfinite(high) & np.isfinite(x)
    if there.sum() == 1:
        ax.vlines(x[there], low[there], high[there], color=style.NULL, alpha=0.6, linewidth=5, zorder=1.5)
    elif there.any():
        ax.fill_between(x, low, high, where=there.tolist(), zorder=1.5, **null_look())


def null_patch(request: Request) -> Patch:
    """Return the legend entry of a null band."""
    return Patch(label=str(request.option("null_label", "null, 95 %")), **null_look())


NOISE = 1e-6
"""Values as small as this are rounding; an axis is not stretched for them."""


def limits(request: Request, ax: Axes, values: str = "y") -> None:
    """Apply ``xlim`` and ``ylim`` where they are given; else see that the axis of values does not stretch noise.

    Args:
        request: The options; ``least_span`` is the least that the axis of values spans.
        ax: The panel.
        values: The axis of the values, ``x`` or ``y``.
    """
    if request.options.get(f"{values}lim") is None:
        widen(ax, values, float(request.option("least_span", 0.0)))
    if (x := request.option("xlim")) is not None:
        ax.set_xlim(float(x[0]), float(x[1]))
    if (y := request.option("ylim")) is not None:
        ax.set_ylim(float(y[0]), float(y[1]))


def widen(ax: Axes, which: str, least: float) -> None:
    """Let a linear axis span at least so much, and never show rounding about 0 at full height."""
    get, put = (ax.get_xlim, ax.set_xlim) if which == "x" else (ax.get_ylim, ax.set_ylim)
    if (ax.get_xscale() if which == "x" else ax.get_yscale()) != "linear":
        return
    low, high = sorted(get())
    if max(abs(low), abs(high)) < NOISE:
        least = max(least, 0.1)
    if high - low < least:
        middle = (low + high) / 2
        put(middle - least / 2, middle + least / 2)


def scale(ax: Axes, which: str, wanted: Any, values: Floats) -> None:
    """Make an axis logarithmic where asked, or (``"auto"``) where positive values span more than a factor of 50."""
    finite = values[np.isfinite(values)]
    if wanted in (None, False) or finite.size == 0:
        return
    positive = finite[finite > 0]
    if wanted == "auto" and (positive.size < 3 or finite.min() < 0 or positive.max() / positive.min() < 50):
        return
    kind = "log" if finite.min() > 0 else "symlog"
    setter = ax.set_xscale if which == "x" else ax.set_yscale
    axis = ax.xaxis if which == "x" else ax.yaxis
    places = np.unique(finite)
    unit = float(positive.min()) if positive.size else 1.0
    if kind == "symlog":
        setter("symlog", linthresh=unit)
        if finite.min() >= 0:
            ax.set(**{f"{which}lim": (-0.2 * unit, float(finite.max()) * 1.25)})
    else:
        setter("log")
    style.plain_log(axis, kind, unit)
    if which == "x" and len(places) <= 10:
        axis.set_ticks(places.tolist(), [style.number(value) for value in places.tolist()])
        axis.set_ticks([], minor=True)


def categories(ax: Axes, shown: Sequence[str], which: str) -> None:
    """Label an axis with categories at 0, 1, 2, ...; long or many labels are turned or thinned."""
    n = len(shown)
    figure_width = ax.get_figure().get_figwidth()  # type: ignore[union-attr]
    narrow = style.small()
    width = ax.get_position().width * figure_width * (0.45 if narrow else 1.0)  # labels and colour bars take their part
    most = max(3, int(width / 0.125)) if narrow else 30
    step = max(1, math.ceil(n / (min(30, most) if which == "x" else 60)))
    places = list(range(0, n, step))
    texts = [shown[i] for i in places]
    size = 6.5 if narrow else 8.5 if n <= 24 else 7.0
    if which == "x":
        per_letter = 0.066 if narrow else 0.085
        widest = max(map(len, texts), default=0) * len(texts)
        crowded = n > 1 and (
            sum(map(len, texts)) * per_letter > max(0.8, width * 0.9) or widest * per_letter > 0.85 * width
        )
        ax.set_xticks(places, texts, rotation=45 if crowded else 0, ha="right" if crowded else "center", fontsize=size)
        if crowded:
            for text in ax.get_xticklabels():
                text.set_rotation_mode("anchor")
    else:
        ax.set_yticks(places, texts, fontsize=size)


def capped(fig_notes: list[str], total: int, limit: int, what: str, how: str) -> None:
    """Note that only ``limit`` of ``total`` are drawn."""
    if total > limit:
        fig_notes.append(f"{limit} of {total} {what} shown ({how}); all are in the table.")
