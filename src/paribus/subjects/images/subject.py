"""Images as contexts: an image of the data set, as it is or in another domain's style."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from paribus.arrays import Ints
from paribus.engine.given import Given, given
from paribus.errors import ConfigError, nearest
from paribus.measure import ArrayCells, Subject
from paribus.measure.subject import CHUNK_BYTES, CHUNK_CELLS
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.factors import Style

OWN = -1
"""The style of an image as it is."""
HIDDEN_BY = ("", "zero", "mean")
"""What a patch shows, by the number in a cell: itself, zero, or the mean colour of its own image."""


class ImageSubject(Subject):
    """The images of a data set as contexts.

    A cell is a pair (row, style), style -1 being the image's own, and may say which patches of a square grid are
    hidden (``[grid * grid]`` numbers, see :data:`HIDDEN_BY`). Pixels are taken, rendered and filled when inputs are
    asked for.

    Attributes:
        data: The data set.

    Example:
        >>> labels = np.array([0, 1, 0, 1])
        >>> data = ImageData(torch.zeros(4, 3, 8, 8), labels, splits={"train": np.arange(4)})
        >>> subject = ImageSubject(data)
        >>> subject.inputs(subject.cells(np.array([0, 2]))).tensors[0].shape, subject.styles
        (torch.Size([2, 3, 8, 8]), ())
    """

    name = "images"

    def __init__(self, data: ImageData) -> None:
        """Hold the data set."""
        self.data = data
        self.cluster, self.label, self.domain = data.clusters, data.labels, data.domains
        self.splits = data.splits
        self.output_names, self.domain_names = data.class_names, data.domain_names
        self.styles = tuple(range(len(data.domain_names))) if data.rerender is not None else ()
        self.paired_class = data.paired_class

    @property
    def train_domains(self) -> tuple[int, ...]:
        """The domains that the data set was drawn from for training, ascending."""
        return self.data.train_domains

    def usual_factors(self, most_levels: int) -> list[Style]:
        """Return the style of every domain, where images can be shown in another one's."""
        return [Style(domains=list(self.domain_names)[: most_levels - 1])] if self.styles else []

    def cells(self, columns: Ints) -> ArrayCells:
        """Return images ``columns [b]`` as they are."""
        rows = np.asarray(columns, dtype=np.int64)
        return ArrayCells.of((rows, np.full(rows.shape, OWN)), rows)

    def in_style(self, cells: ArrayCells, domain: int) -> ArrayCells:
        """Return the same contents, with their own jitter, as ``domain`` would show them.

        Raises:
            ConfigError: If the data set cannot render, or has no such domain.
        """
        if not self.styles:
            raise ConfigError("data: this data set cannot show its images in another domain's style")
        if domain not in self.styles:
            raise ConfigError(f"data: no such domain {domain}; {nearest(str(domain), map(str, self.styles))}")
        return cells.with_value(1, np.full(cells.shape, domain))

    def keys(self, cells: ArrayCells) -> np.ndarray:
        """Return row, style and hidden patches ``[m, 2 or more]``."""
        return np.column_stack([one.astype(np.int64) for one in cells.values])

    def inputs(self, cells: ArrayCells) -> Given:
        """Return the images of flat cells, float32 ``[m, C, H, W]``; many are read in batches, when they are used."""
        rows, styles, *hidden = cells.values
        if not hidden and (styles == OWN).all():
            return given(self.data.select(rows))
        shown = self._shown(rows, styles)
        return Given((_with_hidden(shown, hidden[0]) if hidden else shown,), (None,))

    def _shown(self, rows: Ints, styles: Ints) -> Any:
        kinds = np.unique(styles).tolist()
        if len(kinds) == 1:
            return self._in(rows, kinds[0])
        whole: torch.Tensor | None = None
        for style in kinds:
            some = np.flatnonzero(styles == style)
            part: torch.Tensor = self._in(rows[some], style)[:]  # images that are read on demand are read here
            if whole is None:
                whole = part.new_empty((len(rows), *part.shape[1:]))
            whole[torch.from_numpy(some)] = part
        assert whole is not None
        return whole

    def _in(self, rows: Ints, style: int) -> Any:
        if style == OWN:
            return self.data.take(rows)
        assert self.data.rerender is not None
        return self.data.rerender(rows, style)

    def blocks(self, n_conditions: int) -> list[Ints]:
        """Return all images in blocks bounded by cells, and by the bytes of their pixels."""
        per_row = 4 * math.prod(self.data.inputs.shape[1:])
        size = max(1, min(CHUNK_CELLS // max(1, n_conditions), CHUNK_BYTES // per_row))
        return [np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size)]


def _with_hidden(images: Any, hidden: np.ndarray) -> torch.Tensor:
    """Return images ``[m, C, H, W]`` with the patches hidden that ``hidden [m, grid * grid]`` numbers say."""
    pixels: torch.Tensor = images[:]
    grid = math.isqrt(hidden.shape[1])
    down, across = (torch.arange(size) * grid // size for size in pixels.shape[2:])
    codes = torch.from_numpy(np.ascontiguousarray(hidden))[:, down[:, None] * grid + across[None, :]][:, None]
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    pixels = torch.where(codes == HIDDEN_BY.index("zero"), pixels.new_zeros(()), pixels)
    return torch.where(codes == HIDDEN_BY.index("mean"), mean, pixels)
