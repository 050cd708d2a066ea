"""Images with a label, a domain and a cluster each, split by role."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paribus.errors import DataError, nearest

if TYPE_CHECKING:
    import torch

IntArray = NDArray[np.int64]

SPLITS = ("train", "id_val", "val", "ood")
"""Training rows; held-out rows of the training domains; the domain choices are made on; the domain only reported."""


class EightBitImages:
    """Images kept as bytes and normalised when they are asked for, a quarter of the memory of floats.

    Args:
        pixels: uint8 ``[n, C, H, W]``.
        mean: Per-channel mean of ``pixels / 255`` that is taken off, ``[C]``.
        std: Per-channel standard deviation that is divided by, ``[C]``.
    """

    def __init__(self, pixels: torch.Tensor, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        """Keep the bytes and the per-channel factors."""
        self.pixels = pixels
        self._scale = pixels.new_tensor([]).float().new_tensor(1.0 / (255.0 * std)).view(1, -1, 1, 1)
        self._shift = self._scale.new_tensor(mean / std).view(1, -1, 1, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, C, H, W)``."""
        return tuple(self.pixels.shape)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    def __getitem__(self, rows: Any) -> torch.Tensor:
        """Return the normalised images of ``rows`` as float32."""
        return self.pixels[rows].float() * self._scale - self._shift


@dataclass(frozen=True)
class ImageData:
    """A set of images, ready to be trained on and experimented with.

    Attributes:
        inputs: Normalised float32 images ``[n, C, H, W]``; anything indexed by rows that gives such a tensor.
        labels: Class of each image ``[n]``, an index into ``class_names``.
        domains: Domain of each image ``[n]``, an index into ``domain_names``.
        clusters: What an image shares with others that are not independent of it (slide, digit) ``[n]``.
        domain_names: Names of all domains.
        class_names: Names of all classes; the last one is the positive class of a binary task.
        splits: Rows of ``train, id_val, val, ood``.
        digest: Hash of what was loaded and how it was split.
        train_domains: Domains of ``train`` and ``id_val``, ascending.
        rerender: Returns the same contents with the same jitter in another domain's style (rows, domain) -> images;
            None where a data set cannot do that.
        paired_class: For each training domain the class that its style is paired with, None where it is not; empty
            where it is not known.
        cluster_space: What the cluster ids number: data sets that give the same text mean the same by the same id;
            empty where ids mean nothing outside of this data set.
    """

    inputs: Any
    labels: IntArray
    domains: IntArray
    clusters: IntArray
    domain_names: tuple[str, ...]
    class_names: tuple[str, ...]
    splits: Mapping[str, IntArray]
    digest: str
    train_domains: tuple[int, ...]
    rerender: Callable[[IntArray, int], torch.Tensor] | None = None
    paired_class: Mapping[int, int | None] = field(default_factory=dict)
    cluster_space: str = ""

    def __post_init__(self) -> None:
        """Check that the parts fit together and that there is something to learn.

        Raises:
            DataError: If a split is empty, if training rows have fewer than two classes, or if lengths differ.
        """
        n = len(self.labels)
        lengths = {"inputs": len(self.inputs), "domains": len(self.domains), "clusters": len(self.clusters)}
        wrong = {name: length for name, length in lengths.items() if length != n}
        if wrong:
            raise DataError(f"images: {n} labels, but {', '.join(f'{v} {k}' for k, v in wrong.items())}")
        missing = [name for name in SPLITS if name not in self.splits]
        if missing:
            raise DataError(f"images: no split {', '.join(missing)}; needed: {', '.join(SPLITS)}")
        for name in SPLITS:
            if not len(self.splits[name]):
                raise DataError(f"images: the split {name!r} has no image")
        present = np.unique(self.labels[self.splits["train"]])
        if len(present) < 2:
            only = self.class_names[int(present[0])]
            raise DataError(
                f"images: the training split has the single class {only!r}; a classifier needs at least two"
            )

    def rows(self, split: str) -> IntArray:
        """Return the rows of a split.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"images: no such split {split!r}; {nearest(split, self.splits)}")
        return self.splits[split]

    def take(self, rows: IntArray) -> torch.Tensor:
        """Return the images of ``rows``, float32 ``[len(rows), C, H, W]``."""
        taken: torch.Tensor = self.inputs[rows]
        return taken

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Number of colour channels."""
        return int(self.inputs.shape[1])

    @property
    def image_size(self) -> int:
        """Height of the images in pixels."""
        return int(self.inputs.shape[2])


def content_digest(fingerprint: str, *arrays: NDArray[Any]) -> str:
    """Return a hash of a data set's fingerprint and of arrays that say how it was cut."""
    hashed = hashlib.sha256(fingerprint.encode())
    for array in arrays:
        hashed.update(f"/{array.dtype.str}{array.shape}/".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()
