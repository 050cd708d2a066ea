"""The style of every figure: colour-blind safe colours, and a second cue besides colour."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, SymmetricalLogLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
"""Okabe and Ito's palette (Color Universal Design, 2008), its yellow darkened to be seen on white."""
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NULL = "#9A9A9A"
"""Grey of every null distribution."""
NULL_HATCH = "////"
"""What sets a null apart from intervals where colour is lost, as in print."""
INK = "#222222"
QUIET = "#5F5F5F"
SEQUENTIAL = "cividis"
DIVERGING = "RdBu_r"
BLANK = "#ECECEC"
"""Face of a heatmap cell that was not measured."""

PANEL = (4.6, 3.4)
"""Width and height of one panel, inches."""
NARROW = 4.4
"""Width of a figure, inches, below which its texts are smaller and its legend stands under it: a column of print."""
LEAST_PANEL = 2.3
"""Least width of a panel beside others, inches."""
DPI = 180

SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#7A7A7A",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.facecolor": "white",
    "figure.titlesize": 11.5,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.title_fontsize": 8.5,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "pdf.fonttype": 3,
    "savefig.facecolor": "white",
    # Names come from users' data: a dollar sign in one is a dollar sign, not mathematics.
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": QUIET,
    "xtick.labelsize": 8.5,
    "ytick.color": QUIET,
    "ytick.labelsize": 8.5,
}


SMALL: Any = {
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.8,
    "figure.titlesize": 8.2,
    "font.size": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "xtick.labelsize": 6.8,
    "ytick.labelsize": 6.8,
}
"""What is smaller in a figure as wide as a column of print."""


@contextlib.contextmanager
def styled(width: float | None = None) -> Iterator[None]:
    """Draw or save in the style of the house; matplotlib's own settings are restored afterwards.

    Args:
        width: Width of the figure in inches, where it is asked for; texts are smaller below :data:`NARROW`.
    """
    narrow = SMALL if width is not None and width < NARROW else {}
    with mpl.rc_context({**SETTINGS, **narrow}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r".*constrained_layout not applied.*")
        yield


def small() -> bool:
    """Return whether texts are those of a figure as wide as a column of print."""
    return bool(float(mpl.rcParams["font.size"]) <= SMALL["font.size"])


def colour(index: int) -> str:
    """Return the colour of the ``index``-th group (they repeat after eight).

    Example:
        >>> colour(0) == colour(0), colour(0) == colour(1)
        (True, False)
    """
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Return the marker of the ``index``-th group.

    Example:
        >>> marker(0)
        'o'
    """
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> Any:
    """Return the line style of the ``index``-th group."""
    return LINES[index % len(LINES)]


def ink_on(background: Any) -> str:
    """Return black or white, whichever can be read on ``background`` (relative luminance, WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#111111" if luminance > 0.28 else "#FFFFFF"


def number(value: float, digits: int = 3) -> str:
    """Return ``value`` short enough for a cell or a legend; NaN is an empty text.

    Example:
        >>> number(0.123456), number(1234.5)
        ('0.123', '1.23e+03')
    """
    if not math.isfinite(value):
        return "" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value)}".replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def p_value(value: float) -> str:
    """Return a p as ``p = .012``, or ``p < .0001``; NaN is an empty text.

    Example:
        >>> p_value(0.00004), p_value(0.21)
        ('p < .0001', 'p = .21')
    """
    if not math.isfinite(value):
        return ""
    if value < 1e-4:
        return "p < .0001"
    digits = 4 if value < 1e-3 else 3 if value < 0.1 else 2
    text = f"{value:.{digits}f}"
    return f"p = {text[1:] if text.startswith('0.') else text}"


def shorten(text: object, limit: int = 38, parts: tuple[int, int] = (2, 3)) -> str:
    """Return ``text`` on one line of at most ``limit`` characters, cut in the middle so that both ends stay.

    Args:
        text: What is shown.
        limit: Most characters.
        parts: How much of it is what stands before the cut, as numerator and denominator.

    Example:
        >>> shorten("a long name of a row", 10), shorten("a long name of a row", 10, (1, 3))
        ('a long…row', 'a l…a row')
    """
    flat = " ".join(str(text).split())
    if len(flat) <= limit:
        return flat
    head = (limit - 1) * parts[0] // parts[1]
    return f"{flat[:head].rstrip()}…{flat[-(limit - 1 - head) :].lstrip()}"


def shorten_all(texts: Sequence[object], limit: int = 38) -> list[str]:
    """Return texts of at most ``limit`` characters that stay distinct where the whole texts are.

    They are cut where :func:`shorten` cuts; nearer to their beginning where that would leave equal texts, or of all
    that are cut little more than their beginning up to a colon. Texts that no cut tells apart stay whole.

    Example:
        >>> shorten_all(["family_sweep: speed 1 to 3", "family_sweep: speed 2 to 3"], 14)
        ['fami…ed 1 to 3', 'fami…ed 2 to 3']
    """
    whole = [" ".join(str(text).split()) for text in texts]
    long, head = {text for text in whole if len(text) > limit}, (limit - 1) * 2 // 3
    headed = bool(long) and all(text.find(": ") >= head // 2 for text in long)
    for parts in ((1, 3), (0, 1)) if headed else ((2, 3), (1, 3), (0, 1)):
        cut = [shorten(text, limit, parts) for text in whole]
        if len(set(cut)) == len(set(whole)):
            return cut
    return whole


def plain_log(axis: Any, kind: str = "log", unit: float = 1.0) -> None:
    """Give a logarithmic axis ticks written as plain numbers (10, 1000), never as powers in mathematics.

    A symmetric one is linear below ``unit``, where 0 is the only tick.
    """
    symmetric = kind == "symlog"
    locator = SymmetricalLogLocator(base=10, linthresh=unit) if symmetric else LogLocator(base=10, numticks=9)
    low, high = sorted(axis.get_view_interval())
    if not symmetric and low > 0 and high / low < 30:
        locator = LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=9)
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def plain_linear(ax: Axes, which: str, *, integer: bool = False) -> None:
    """Limit the ticks of a linear axis to a readable number; whole numbers only where the values are."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(MaxNLocator(nbins=7, integer=integer, steps=[1, 2, 2.5, 5, 10]))


def blank_figure(width: float, height: float) -> Figure:
    """Return an empty figure with a layout that makes room for titles, notes and legends."""
    return Figure(figsize=(width, height), layout="constrained")
