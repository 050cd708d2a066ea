"""What a classifier can be trained on, whatever kind of data it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


class LabelledData(Protocol):
    """Examples with a label each, cut into splits: images, the rows of a table, yours."""

    @property
    def inputs(self) -> Any:
        """What is indexed by rows and gives float32 tensors ``[rows, ...]``; it has a ``shape``."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each example ``[n]``, an index into the class names."""

    @property
    def splits(self) -> Mapping[str, NDArray[np.int64]]:
        """Rows of each split."""

    @property
    def digest(self) -> str:
        """Hash of what was loaded and how it was split."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the rows of a split; a ``DataError`` where there is none of that name."""

    def take(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Return the inputs of ``rows``, float32 ``[len(rows), ...]``."""
