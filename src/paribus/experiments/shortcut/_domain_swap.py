"""The same contents in every domain's style, and what the style alone does to the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._margin import margin

if TYPE_CHECKING:
    import torch

    from paribus.subjects.images.data import ImageData


@dataclass(frozen=True)
class Swap:
    """Contents rendered in several styles.

    Attributes:
        rows: Rows of the data set whose contents these are [n].
        styles: The domains whose style each rendering has [S].
        inputs: One rendering of all contents per style, S of [n, C, H, W].
        paired_class: Class that each style is paired with in training, by domain; None or absent where it is not.
    """

    rows: Ints
    styles: tuple[int, ...]
    inputs: tuple[torch.Tensor, ...]
    paired_class: Mapping[int, int | None]

    @property
    def is_signed(self) -> bool:
        """Whether any of the styles is paired with a class, so that the effect has a sign."""
        return any(self.paired_class.get(style) is not None for style in self.styles)


def render(data: ImageData, rows: Ints, styles: Sequence[int] | None = None) -> Swap | None:
    """Render the contents of ``rows`` in each of ``styles`` (default: the training domains), jitter unchanged.

    Returns:
        The renderings, or None where the data set cannot re-render.
    """
    if data.rerender is None:
        return None
    chosen = tuple(int(style) for style in (data.train_domains if styles is None else styles))
    return Swap(
        rows=np.asarray(rows),
        styles=chosen,
        inputs=tuple(data.rerender(np.asarray(rows), style) for style in chosen),
        paired_class={int(style): data.paired_class.get(style) for style in chosen},
    )


def signed_shift(logits: ArrayLike, swap: Swap) -> Floats:
    """Return each content's signed domain-swap effect [..., n]: how far a style pulls the margin to its paired class.

    For every style that is paired with a class ``c``: the margin of ``c`` under that style minus its mean over all
    styles; averaged over those styles. With two paired styles of two classes it is half the margin's difference between
    them (plus nothing from an unpaired third one).

    Args:
        logits: Outputs [..., S, n, k] for the renderings of ``swap``.
        swap: What was rendered.

    Returns:
        NaN where no style is paired.
    """
    values = np.asarray(logits, dtype=np.float64)
    shifts = []
    for number, style in enumerate(swap.styles):
        paired = swap.paired_class.get(style)
        if paired is None:
            continue
        toward = margin(values, paired)
        shifts.append(toward[..., number, :] - toward.mean(axis=-2))
    if not shifts:
        return np.full((*values.shape[:-3], values.shape[-2]), np.nan)
    return np.asarray(np.mean(shifts, axis=0))
