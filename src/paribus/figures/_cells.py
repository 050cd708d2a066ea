"""Cells over two axes as an image: what maps and matrices share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from paribus.arrays import Bools, Floats
from paribus.figures import _panels, style

DASHED = 0.25
"""Of the reach of a signed scale, from where on a negative cell without a number bears a dash."""


def draw_cells(ax: Axes, cells: Floats, norm: Normalize, colours: str, **how: Any) -> AxesImage:
    """Draw cells ``[rows, columns]`` as an image without a frame; those that are NaN stay blank."""
    ax.grid(visible=False)
    ax.set_facecolor(style.BLANK)
    image = ax.imshow(np.ma.masked_invalid(cells), norm=norm, cmap=colours, **how)
    _panels.without_frame(ax)
    return image


def ink_on(image: ScalarMappable, value: float) -> str:
    """Return the colour of what is written on a cell of an image."""
    return style.ink_on(image.to_rgba(np.asarray(value))[:3])


def lines_between(ax: Axes, cells: Floats) -> None:
    """Draw white lines between the cells of an image."""
    down, across = cells.shape
    ax.set_xticks(np.arange(across - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(down - 1) + 0.5, minor=True)
    ax.grid(visible=True, which="minor", color="white", linewidth=1.0)
    ax.tick_params(which="minor", length=0)


def colour_bar(ax: Axes, image: AxesImage, label: str, **place: Any) -> Colorbar:
    """Draw the scale of an image beside it."""
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    bar = figure.colorbar(image, ax=ax, pad=0.02, **place)
    bar.outline.set_visible(False)
    bar.set_label(label)
    return bar


def dashes(ax: Axes, cells: Floats, among: Bools, image: ScalarMappable) -> bool:
    """Mark negative cells of a signed scale: where colour is lost both of its ends are dark.

    Args:
        ax: The panel.
        cells: Values ``[rows, columns]``.
        among: Those that are marked.
        image: Says the colour of a cell.

    Returns:
        Whether any cell is marked.
    """
    marked = np.argwhere(among)
    for row, column in marked:
        ink = ink_on(image, cells[row, column])
        ax.plot([column - 0.22, column + 0.22], [row, row], color=ink, linewidth=0.8, solid_capstyle="butt")
    return bool(len(marked))
