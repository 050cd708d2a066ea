"""Rows in memory-bounded batches; out of memory halves the batch and goes on."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

log = logging.getLogger(__name__)

FORMATS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
HALF = (torch.bfloat16, torch.float16)
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that a device or the machine has no memory left.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("other"))
        (True, False)
    """
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)


Made = TypeVar("Made")
_heard: ContextVar[Callable[[str], None]] = ContextVar("heard", default=log.warning)


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Send the message about every batch that is halved inside to ``listener``, so that a run can record it.

    Example:
        >>> said = []
        >>> with heard_by(said.append):
        ...     say("out of memory with 8 rows at once; going on with 4")
        >>> len(said)
        1
    """
    token = _heard.set(listener)
    try:
        yield
    finally:
        _heard.reset(token)


def say(message: str) -> None:
    """Send a message to the listener of the run in progress, or to the log where there is none.

    Example:
        >>> with heard_by(print):
        ...     say("going on with 4 rows")
        going on with 4 rows
    """
    _heard.get()(message)


class Batches:
    """Runs steps over row ranges and remembers the batch size that fits into memory.

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
            self.limit = _halved(size)

    @staticmethod
    def _fits(step: Callable[[slice], None], rows: slice, size: int) -> bool:
        try:
            step(rows)
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            return False
        return True


def halving(limit: int, work: Callable[[int], Made]) -> Made:
    """Return ``work(limit)``, repeated with half the limit whenever memory runs out.

    Raises:
        RuntimeError: The memory error itself, if a single row does not fit.

    Example:
        >>> halving(512, lambda rows: rows)
        512
    """
    while True:
        try:
            return work(limit)
        except (RuntimeError, MemoryError) as error:
            if limit <= 1 or not is_out_of_memory(error):
                raise
        limit = _halved(limit)


def _halved(size: int) -> int:
    """Free memory and return half of a size; called outside the handler, whose traceback holds the failed tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    say(f"out of memory with {size} rows at once; going on with {max(1, size // 2)}")
    return max(1, size // 2)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor`` on ``device``; a copy from the CPU to CUDA goes through pinned memory, asynchronously.

    Example:
        >>> to_device(torch.ones(2), torch.device("cpu")).device.type
        'cpu'
    """
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def widened(tensor: Tensor) -> Tensor:
    """Return a tensor of a half format in single precision, and any other as it is.

    Example:
        >>> widened(torch.ones(1, dtype=torch.bfloat16)).dtype, widened(torch.ones(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return tensor.float() if tensor.dtype in HALF else tensor


@contextlib.contextmanager
def number_format(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Automatic mixed precision where ``dtype`` is a half format; otherwise products in the format itself.

    Example:
        >>> with number_format(torch.device("cpu"), torch.float32):
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    if dtype in HALF:
        with torch.autocast(device.type, dtype=dtype):
            yield
    else:
        with _without_tf32(device):
            yield


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switch automatic mixed precision off: outside the network, everything is computed in the format of its tensors.

    Example:
        >>> with full_precision(torch.device("cpu")):
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    with torch.autocast(device.type, enabled=False), _without_tf32(device):
        yield


@contextlib.contextmanager
def _without_tf32(device: torch.device) -> Iterator[None]:
    """Multiply single precision as such on CUDA, where convolutions otherwise keep ten bits of each factor."""
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    switches: list[Any] = [cudnn, matmul]
    name, exact = "allow_tf32", cast(Any, False)
    if hasattr(cudnn, "conv"):  # torch >= 2.9, where the older switches must not be read beside these
        switches, name, exact = [cudnn.conv, cudnn.rnn, matmul], "fp32_precision", "ieee"
    before = [getattr(one, name) for one in switches]
    try:
        for one in switches:
            setattr(one, name, exact)
        yield
    finally:
        for one, value in zip(switches, before, strict=True):
            setattr(one, name, value)
