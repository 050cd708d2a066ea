"""The same contents in every domain's style, and what the style alone does to the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._margin import margin
from paribus.measure import Subject


@dataclass(frozen=True)
class Restyled:
    """Contents in several styles.

    Attributes:
        rows: Contexts whose contents these are [n].
        styles: The domains whose style each version has [S].
        cells: The contents in each style, S of [n].
        paired_class: Class that each style is paired with in training, by domain; None or absent where it is not.
    """

    rows: Ints
    styles: tuple[int, ...]
    cells: tuple[Any, ...]
    paired_class: Mapping[int, int | None]

    @property
    def is_signed(self) -> bool:
        """Whether any of the styles is paired with a class, so that the effect has a sign."""
        return any(self.paired_class.get(style) is not None for style in self.styles)

    def only(self, numbers: Sequence[int]) -> Restyled:
        """Return the versions at ``numbers``."""
        styles, cells = (tuple(part[number] for number in numbers) for part in (self.styles, self.cells))
        return replace(self, styles=styles, cells=cells)


def restyled(contexts: Subject, rows: Ints, styles: Sequence[int]) -> Restyled | None:
    """Return the contents of contexts ``rows`` in each of ``styles``; None where the subject cannot show them so."""
    if not contexts.styles:
        return None
    cells = contexts.cells(np.asarray(rows))
    return Restyled(
        rows=np.asarray(rows),
        styles=tuple(map(int, styles)),
        cells=tuple(contexts.in_style(cells, style) for style in styles),
        paired_class={int(style): contexts.paired_class.get(style) for style in styles},
    )


def signed_shift(logits: ArrayLike, shown: Restyled) -> Floats:
    """Return each content's signed domain-swap effect [..., n]: how far a style pulls the margin to its paired class.

    For every style that is paired with a class ``c``: the margin of ``c`` under that style minus its mean over all
    styles; averaged over those styles. With two paired styles of two classes it is half the margin's difference between
    them (plus nothing from an unpaired third one).

    Args:
        logits: Outputs [..., S, n, k] for the versions in ``shown``.
        shown: The contents in their styles.

    Returns:
        NaN where no style is paired.
    """
    values = np.asarray(logits, dtype=np.float64)
    shifts = []
    for number, style in enumerate(shown.styles):
        paired = shown.paired_class.get(style)
        if paired is None:
            continue
        toward = margin(values, paired)
        shifts.append(toward[..., number, :] - toward.mean(axis=-2))
    if not shifts:
        return np.full((*values.shape[:-3], values.shape[-2]), np.nan)
    return np.asarray(np.mean(shifts, axis=0))
