"""What a classifier can be trained on, whatever kind of data it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from paribus.arrays import Ints
    from paribus.engine.given import Given


@dataclass(frozen=True)
class Overlap:
    """Held-out examples of one data set that another one was trained on.

    Attributes:
        same: By split, how many are training examples themselves, or others of the same cluster.
        related: By split, how many only share a cluster with one where the trained data set itself holds out examples
            of its training clusters (patches of one slide, say).

    Example:
        >>> Overlap(same={"ood": 3}, related={}).same
        {'ood': 3}
    """

    same: Mapping[str, int]
    related: Mapping[str, int]


class LabelledData(Protocol):
    """Examples with a label each, cut into splits: images, the rows of a table, yours."""

    @property
    def inputs(self) -> Any:
        """What is indexed by rows and gives tensors ``[rows, ...]``; it has a ``shape``."""

    @property
    def labels(self) -> Ints:
        """Class of each example ``[n]``, an index into the class names."""

    @property
    def splits(self) -> Mapping[str, Ints]:
        """Rows of each split."""

    @property
    def digest(self) -> str:
        """Hash of what was loaded and how it was split."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for every result on them."""

    def rows(self, split: str) -> Ints:
        """Return the rows of a split; a ``DataError`` where there is none of that name."""

    def take(self, rows: Ints) -> torch.Tensor | Given:
        """Return the inputs of ``rows`` ``[len(rows), ...]``: a tensor, or all that a network is called with."""
