"""Inputs too large for memory: rows that are read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class LazyRows(ABC):
    """A tensor ``[n, ...]`` among the inputs of an engine whose rows are read a few at a time.

    The engine asks for slices in ascending order, each small enough for one pass.

    Attributes:
        shape: ``(n, ...)``.
        dtype: Number format of the rows.
        digest: What identifies shape and values: cached activations are kept under it.

    Example:
        >>> class Ones(LazyRows):
        ...     shape, dtype, digest = (1000, 3), torch.float32, "ones"
        ...
        ...     def read(self, rows):
        ...         return torch.ones(len(rows), 3)
        >>> Ones()[10:12].shape, Ones()[torch.tensor([5])].shape, Ones()[7].shape
        (torch.Size([2, 3]), torch.Size([1, 3]), torch.Size([3]))
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    digest: str

    @abstractmethod
    def read(self, rows: Tensor) -> Tensor:
        """Return the rows of the numbers ``rows [m]``, on the CPU: ``[m, ...]``."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def device(self) -> torch.device:
        """Where rows are read to."""
        return torch.device("cpu")

    def element_size(self) -> int:
        """Return the bytes of one value."""
        return self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Return whether the rows hold floats."""
        return self.dtype.is_floating_point

    def __getitem__(self, index: Any) -> Tensor:
        """Return the rows of a slice or of a tensor of row numbers, or a single row."""
        if isinstance(index, slice):
            return self.span(*index.indices(len(self))[:2])
        if isinstance(index, int):
            return self.read(torch.tensor([index % len(self)]))[0]
        return self.read(torch.as_tensor(index))

    def span(self, start: int, stop: int) -> Tensor:
        """Return the rows from ``start`` to before ``stop``."""
        return self.read(torch.arange(start, stop))
