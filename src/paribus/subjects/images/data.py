"""Images with a label, a domain and a cluster each, split by role."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from paribus.arrays import Floats, Ints
from paribus.errors import DataError
from paribus.subjects.images import lazy_images
from paribus.subjects.images.image_files import ImageFiles
from paribus.subjects.images.lazy_images import LazyImages
from paribus.subjects.in_splits import ALL, SPLITS, InSplits, check_classes, check_lengths, check_splits

AT_ONCE = 256


def _not_given() -> Ints:
    return np.empty(0, dtype=np.int64)


class EightBitImages:
    """Images stored as bytes and normalised on access, in a quarter of the memory of floats.

    Args:
        pixels: uint8 ``[n, C, H, W]``: a tensor, or what gives one by rows (files that are decoded then).
        mean: Per-channel mean of ``pixels / 255`` that is taken off, ``[C]``.
        std: Per-channel standard deviation that is divided by, ``[C]``.
    """

    def __init__(self, pixels: torch.Tensor | ImageFiles, mean: Floats, std: Floats) -> None:
        """Store the bytes and the per-channel factors."""
        self.pixels = pixels
        self._scale = torch.tensor(1.0 / (255.0 * std), dtype=torch.float32).view(1, -1, 1, 1)
        self._shift = torch.tensor(mean / std, dtype=torch.float32).view(1, -1, 1, 1)

    def like(self, other: EightBitImages) -> EightBitImages:
        """Return the same images, normalised as others are."""
        made = copy(self)
        made._scale, made._shift = other._scale, other._shift
        return made

    @property
    def factors(self) -> tuple[list[float], list[float]]:
        """What bytes are multiplied by, and what is then taken off, by channel."""
        return self._scale.flatten().tolist(), self._shift.flatten().tolist()

    @property
    def in_memory(self) -> bool:
        """Whether the bytes are in memory, and not read from files on access."""
        return isinstance(self.pixels, torch.Tensor)

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
class ImageData(InSplits):
    """A set of images, ready to be trained on and experimented with.

    Only inputs, labels and splits are needed. Experiments that need more (two domains, an OOD split) say so by name.

    Attributes:
        inputs: Normalised float32 images ``[n, C, H, W]``; anything indexed by rows that gives such a tensor.
        labels: Class of each image ``[n]``, an index into ``class_names``.
        domains: Domain of each image ``[n]``, an index into ``domain_names``; not given: all images are of one.
        clusters: What an image shares with others that are not independent of it (slide, digit) ``[n]``; not given:
            every image is its own.
        domain_names: Names of all domains; not given: their numbers.
        class_names: Names of all classes; the last one is the positive class of a binary task; not given: numbers.
        splits: Rows of ``train`` and of those of ``id_val, val, ood`` that there are.
        digest: Hash of what was loaded and how it was split; not given: of everything above.
        train_domains: Domains of ``train`` and ``id_val``, ascending; not given: those that occur in ``train``.
        rerender: Returns the same contents with the same jitter in another domain's style (rows, domain) -> images;
            None where a data set cannot do that.
        paired_class: For each training domain the class that its style is paired with, None where it is not; empty
            where it is not known.
        cluster_space: What the cluster ids number: data sets that give the same text mean the same by the same id;
            empty where ids mean nothing outside of this data set.
        notes: Notes for every result on it.

    Example:
        >>> import torch
        >>> labels = np.array([0, 1, 0, 1, 0, 1])
        >>> data = ImageData(torch.zeros(6, 3, 8, 8), labels, splits={"train": np.arange(4), "id_val": np.arange(4, 6)})
        >>> data.present, data.domain_names, data.class_names, data.take(np.array([0, 5])).shape
        (('train', 'id_val'), ('all',), ('0', '1'), torch.Size([2, 3, 8, 8]))
    """

    subject: ClassVar[str] = "images"
    called: ClassVar[str] = "images"
    order: ClassVar[tuple[str, ...]] = SPLITS

    inputs: Any
    labels: Ints
    domains: Ints = field(default_factory=_not_given)
    clusters: Ints = field(default_factory=_not_given)
    domain_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Ints] = field(default_factory=dict)
    digest: str = ""
    train_domains: tuple[int, ...] = ()
    rerender: Callable[[Ints, int], torch.Tensor] | None = None
    paired_class: Mapping[int, int | None] = field(default_factory=dict)
    cluster_space: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Fill in what was not given, and check that the parts fit together and that there is something to learn.

        Raises:
            DataError: If there is no training split, a split is empty or unknown, training rows have fewer than two
                classes, or lengths differ.
        """
        n = len(self.labels)
        if not len(self.domains):
            self._fill("domains", np.zeros(n, dtype=np.int64))
            self._fill("domain_names", self.domain_names or (ALL,))
        if not len(self.clusters):
            self._fill("clusters", np.arange(n))
        check_lengths("images", self.labels, inputs=self.inputs, domains=self.domains, clusters=self.clusters)
        check_splits(self, "image")
        self._name("class_names", self.labels)
        self._name("domain_names", self.domains)
        if not self.train_domains:
            self._fill("train_domains", tuple(np.unique(self.domains[self.splits["train"]]).tolist()))
        check_classes(self.called, self.labels[self.splits["train"]], self.class_names)
        if not self.digest:
            self._fill("digest", self._content())

    def _fill(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _name(self, what: str, numbers: Ints) -> None:
        """Fill in the names of numbers where there are none.

        Raises:
            DataError: If a number has no name.
        """
        most, names = int(numbers.max()) + 1, getattr(self, what)
        if not names:
            self._fill(what, tuple(map(str, range(most))))
        elif most > len(names) or int(numbers.min()) < 0:
            raise DataError(f"images: numbers from {numbers.min()} to {most - 1}, but {len(names)} {what}")

    def _content(self) -> str:
        """Return a hash of images, labels, domains, clusters and splits."""
        cut = {name: self.splits[name] for name in self.present}
        pixels = self._pixels(np.arange(len(self.labels)))
        stated = f"{pixels}{self.class_names}{self.domain_names}{list(cut)}"
        return content_digest(stated, self.labels, self.domains, self.clusters, *cut.values())

    @property
    def in_other_styles(self) -> bool:
        """Whether its images can be rendered in another domain's style."""
        return self.rerender is not None

    def take(self, rows: Ints) -> torch.Tensor:
        """Return the images of ``rows``, float32 ``[len(rows), C, H, W]``."""
        taken: torch.Tensor = self.inputs[rows]
        return taken

    def select(self, rows: Ints) -> torch.Tensor | LazyImages:
        """Return the images of ``rows`` as :meth:`take` does where they are few, else as what reads them in batches."""
        size = 4 * len(rows) * int(np.prod(self.inputs.shape[1:]))
        from_files = isinstance(self.inputs, EightBitImages) and not self.inputs.in_memory
        if size <= (lazy_images.STREAMED_HELD_BYTES if from_files else lazy_images.HELD_BYTES):
            return self.take(rows)
        # what was read from files is named by their content; of others only the pixels themselves are to be trusted
        return LazyImages(self.inputs, rows, digest=self.digest if from_files else self._pixels(rows))

    def _pixels(self, rows: Ints) -> str:
        """Return a hash of the images of ``rows``, taken a few at a time."""
        hashed = hashlib.sha256()
        for start in range(0, len(rows), AT_ONCE):
            hashed.update(self.take(rows[start : start + AT_ONCE]).contiguous().numpy().tobytes())
        return hashed.hexdigest()

    def provided(self) -> dict[str, int]:
        """Return what a function that makes a network for these images can be given, by argument."""
        return {
            "in_channels": self.in_channels,
            "n_classes": self.n_classes,
            "image_size": self.image_size,
            "n_features": self.in_channels * self.image_size**2,
        }

    @property
    def in_channels(self) -> int:
        """Number of colour channels."""
        return int(self.inputs.shape[1])

    @property
    def image_size(self) -> int:
        """Height of the images in pixels."""
        return int(self.inputs.shape[2])


def content_digest(fingerprint: str, *arrays: NDArray[Any]) -> str:
    """Return a hash of a data set's fingerprint and of arrays that say how it was cut.

    Example:
        >>> content_digest("digits", np.arange(3)) == content_digest("digits", np.arange(4))
        False
    """
    hashed = hashlib.sha256(fingerprint.encode())
    for array in arrays:
        hashed.update(f"/{array.dtype.str}{array.shape}/".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def normalised_as(known: ImageData | None, data: ImageData) -> ImageData:
    """Return ``data`` with its images normalised as those of ``known``, which a network was trained on.

    A network knows no other scale: images that are darker than those it was trained on are dark to it, and not made as
    bright as those. Images that are not kept as bytes are as their data set gives them.

    Args:
        known: What the network was trained on; None where it cannot be loaded any more.
        data: What it is measured on.

    Example:
        >>> few, split = np.arange(4) % 2, {"train": np.arange(4)}
        >>> def grey(level, mean):
        ...     pixels = torch.full((4, 1, 2, 2), level, dtype=torch.uint8)
        ...     return ImageData(EightBitImages(pixels, np.array([mean]), np.array([1.0])), few, splits=split)
        >>> dark = normalised_as(grey(102, 0.4), grey(51, 0.2)).take(np.array([0]))
        >>> round(float(dark.mean()), 3)
        -0.2
    """
    if not isinstance(data.inputs, EightBitImages):
        return data
    if known is None:
        said = "What the model was trained on cannot be loaded, so images are normalised by the training images here."
        return replace(data, notes=(*data.notes, said))
    if not isinstance(known.inputs, EightBitImages) or known.in_channels != data.in_channels:
        return data
    if known.inputs.factors == data.inputs.factors:
        return data
    digest = hashlib.sha256(f"{known.inputs.factors}/{data.digest}".encode()).hexdigest()
    said = "Images are normalised as those that the model was trained on."
    return replace(data, inputs=data.inputs.like(known.inputs), digest=digest, notes=(*data.notes, said))
