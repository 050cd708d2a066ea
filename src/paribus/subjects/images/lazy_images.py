"""Rows of images that are read in batches, one batch ahead."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

from paribus.arrays import Ints
from paribus.engine.lazy_rows import LazyRows

HELD_BYTES, STREAMED_HELD_BYTES = 1 << 30, 1 << 26
"""Floats of more than this are not put into one tensor; of images that are too many to be held, less."""


class LazyImages(LazyRows):
    """Rows of a data set's images, normalised as they are read; the next batch is prefetched.

    Example:
        >>> import numpy as np
        >>> few = LazyImages(torch.arange(8.0).view(8, 1, 1, 1), np.array([1, 3, 5]), digest="eight")
        >>> few.shape, few[1:3].flatten().tolist()
        ((3, 1, 1, 1), [3.0, 5.0])
    """

    dtype = torch.float32

    def __init__(self, inputs: Any, rows: Ints, *, digest: str) -> None:
        """Represent ``inputs[rows]`` without reading them.

        Args:
            inputs: What gives float32 images by rows.
            rows: The rows ``[n]``.
            digest: What identifies ``inputs``.
        """
        self._inputs, self._rows = inputs, rows
        self.shape = (len(rows), *inputs.shape[1:])
        self.digest = hashlib.sha256(f"{digest}/{rows.dtype.str}/".encode() + rows.tobytes()).hexdigest()
        self._next: tuple[int, int, Future[torch.Tensor]] | None = None

    def read(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images of some of the rows."""
        images: torch.Tensor = self._inputs[self._rows[rows.numpy()]]
        return images

    def span(self, start: int, stop: int) -> torch.Tensor:
        """Return the images from ``start`` to before ``stop``, and begin to read as many after them."""
        ahead, self._next = self._next, None
        if ahead is not None and ahead[:2] == (start, stop):
            images = ahead[2].result()
        else:
            images = self.read(torch.arange(start, stop))
        end = min(len(self), 2 * stop - start)
        if end > stop:
            self._next = (stop, end, reader().submit(self.read, torch.arange(stop, end)))
        return images


@cache
def reader() -> ThreadPoolExecutor:
    """Return the one thread that reads ahead; decoding itself is done by several."""
    return ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
