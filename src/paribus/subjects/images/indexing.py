"""What must be known of image files before they are streamed: their digests, and the training rows' statistics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import PIL
import torch

from paribus import digests, disk_cache
from paribus.arrays import Floats, Ints
from paribus.errors import DataError
from paribus.subjects.images.image_files import ImageFiles

_known: dict[str, tuple[Floats, Floats]] = {}


def is_streamed(n: int, size: int, channels: int, memory_mb: int) -> bool:
    """Return whether ``n`` images are read from their files whenever they are asked for, and not held.

    Example:
        >>> is_streamed(7_000, 96, 3, memory_mb=1024), is_streamed(455_954, 96, 3, memory_mb=1024)
        (False, True)
    """
    return n * channels * size * size > memory_mb << 20


def index(images: ImageFiles, train: Ints) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each channel over ``train``, in [0, 1]; every file is read at most once.

    Afterwards the digests of all files are known. Digests and statistics are kept for the next process; the latter are
    named by the content of the files that they are made from.

    Args:
        images: The files.
        train: Rows of the training images, ascending.

    Raises:
        DataError: If a file is missing, or a training image is damaged; the file is named.
    """
    files = [f"{images.root}/{name}" for name in images.names]
    try:
        digests.recall(files)
        known = [digests.known_digest(file) for file in files]
        if None not in known:
            key = _key(images, known, train)
            found = _known.get(key) or _kept(key)
            if found is not None:
                _known[key] = found
                return found
        reading = ImageFiles(images.root, images.names, size=images.size, channels=images.channels, digested=True)
        found = channel_statistics(reading, train)
        key = _key(images, digests.file_digests(files), train)  # reads those that are not trained on
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise DataError(f"image {error.filename}: {what}") from None
    _known[key] = found
    disk_cache.put(f"statistics/{key}", json.dumps([part.tolist() for part in found]).encode())
    return found


def channel_statistics(pixels: torch.Tensor | ImageFiles, rows: Ints) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each channel over ``rows``, in [0, 1]; the latter at least 1/255."""
    total, squares, count = np.zeros(pixels.shape[1]), np.zeros(pixels.shape[1]), 0
    for part in np.array_split(rows, max(1, len(rows) // 256)):
        values = pixels[part].double() / 255.0
        total += values.sum(dim=(0, 2, 3)).numpy()
        squares += (values**2).sum(dim=(0, 2, 3)).numpy()
        count += values.shape[0] * values.shape[2] * values.shape[3]
    mean = total / count
    return mean, np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0.0)), 1.0 / 255.0)


def _key(images: ImageFiles, known: Sequence[str | None], train: Ints) -> str:
    hashed = hashlib.sha256(f"{images.shape[1:]} PIL {PIL.__version__}".encode())  # which decodes and resizes
    for row in train.tolist():
        hashed.update(str(known[row]).encode())
    return hashed.hexdigest()


def _kept(key: str) -> tuple[Floats, Floats] | None:
    content = disk_cache.get(f"statistics/{key}")
    try:
        mean, std = json.loads(content) if content else (None, None)
        return None if mean is None else (np.array(mean, dtype=np.float64), np.array(std, dtype=np.float64))
    except (ValueError, TypeError):
        return None  # damaged
