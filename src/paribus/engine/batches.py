"""Rows in memory-bounded batches; out of memory halves the batch and goes on."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that a device or the machine has no memory left.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("other"))
        (True, False)
    """
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)


class Batches:
    """Runs steps over row ranges. The size that fits is remembered, so the price of finding it is paid once.

    Attributes:
        limit: The most rows in one step; halved whenever a step runs out of memory.

    Example:
        >>> seen = []
        >>> Batches(limit=2).run(0, 5, lambda rows: seen.append((rows.start, rows.stop)))
        >>> seen
        [(0, 2), (2, 4), (4, 5)]
    """

    def __init__(self, limit: int) -> None:
        """Start with at most ``limit`` rows a step."""
        self.limit = max(1, int(limit))

    def run(self, start: int, stop: int, step: Callable[[slice], None], *, at_most: int | None = None) -> None:
        """Call ``step`` on consecutive row ranges that cover ``start..stop``.

        A step that fails for memory is repeated on half the rows, so it must not leave anything half done that a
        repetition would not overwrite.

        Raises:
            RuntimeError: The memory error itself, if a single row does not fit.
        """
        while start < stop:
            size = min(self.limit, at_most or self.limit, stop - start)
            if self._fits(step, slice(start, start + size), size):
                start += size
                continue
            # Outside the handler, so that the traceback no longer holds the failed step's tensors.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.limit = max(1, size // 2)
            log.warning("out of memory with %d rows at once; going on with %d", size, self.limit)

    @staticmethod
    def _fits(step: Callable[[slice], None], rows: slice, size: int) -> bool:
        try:
            step(rows)
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            return False
        return True


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor`` on ``device``; a copy from the CPU to CUDA goes through pinned memory, not waited for.

    Example:
        >>> to_device(torch.ones(2), torch.device("cpu")).device.type
        'cpu'
    """
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@contextlib.contextmanager
def number_format(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Automatic mixed precision where ``dtype`` is a half format; otherwise nothing.

    Example:
        >>> with number_format(torch.device("cpu"), torch.float32):
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    if dtype in (torch.bfloat16, torch.float16):
        with torch.autocast(device.type, dtype=dtype):
            yield
    else:
        yield


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No automatic mixed precision: what is not the network itself is computed in the format of its numbers.

    Example:
        >>> with full_precision(torch.device("cpu")):
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    with torch.autocast(device.type, enabled=False):
        yield
