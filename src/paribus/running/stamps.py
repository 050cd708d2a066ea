"""Stamps of the numbers that an object holds, by which it is seen whether code changed them in place."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Part: TypeAlias = npt.NDArray[Any] | Tensor
AT_ONCE = 1 << 20
"""Numbers that are copied at once, where they must be: from a device, out of order or in another format."""


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A hash of the shape and the values of an array or a tensor.

    Attributes:
        digest: The hash.
        dtype: The format of a tensor of floating-point numbers; None for all else.
    """

    digest: bytes
    dtype: torch.dtype | None


def stamps(value: Any) -> dict[str, Stamp]:
    """Return the stamps of all arrays, tensors and weights in an object, by their places in it.

    Example:
        >>> sorted(stamps({"x": np.zeros(3), "net": nn.Linear(2, 1)}))
        ['.net.bias', '.net.weight', '.x']
    """
    return {name: _stamp(part, _floating(part)) for name, part in _parts(value)}


def changed(value: Any, before: Mapping[str, Stamp]) -> bool:
    """Return whether a number in an object has changed since ``stamps`` of it.

    Parts may have been added or left out, and floating-point numbers put into a format that holds the same values.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> before = stamps(net)
        >>> changed(net.double(), before)
        False
        >>> net.weight.data[0, 1] += 1e-9
        >>> changed(net, before)
        True
    """
    return any(name in before and _differs(part, before[name]) for name, part in _parts(value))


def _differs(part: Part, before: Stamp) -> bool:
    dtype = _floating(part)
    if dtype is None or before.dtype is None or dtype is before.dtype:
        return _stamp(part, dtype) != before
    return not _holds(part, before.dtype) or _stamp(part, before.dtype) != before


def _stamp(part: Part, dtype: torch.dtype | None) -> Stamp:
    """Return the stamp of a part as it is in a format."""
    found = hashlib.sha256(f"{tuple(part.shape)}".encode())
    for chunk in _chunks(part):
        found.update(_raw(chunk, dtype))
    return Stamp(found.digest(), dtype)


def _holds(part: Part, dtype: torch.dtype) -> bool:
    """Return whether a tensor's values are the same in another format."""
    return all(
        torch.isclose(chunk.to(dtype).to(chunk.dtype), chunk, rtol=0, atol=0, equal_nan=True).all()
        for chunk in _chunks(part)
    )


def _floating(part: Part) -> torch.dtype | None:
    return part.dtype if isinstance(part, Tensor) and part.is_floating_point() else None


def _chunks(part: Any) -> Iterator[Any]:
    """Yield an array or a tensor in pieces, in C order."""
    count = part.size if isinstance(part, np.ndarray) else part.numel()
    if count <= AT_ONCE:
        yield part
        return
    rows = AT_ONCE * len(part) // count
    if rows:
        for first in range(0, len(part), rows):
            yield part[first : first + rows]
    else:
        for row in part:
            yield from _chunks(row)


def _raw(chunk: Any, dtype: torch.dtype | None) -> memoryview:
    """Return the bytes of a piece, without a copy where it is in memory in this order and format."""
    if isinstance(chunk, Tensor):
        plain = chunk.detach().cpu().resolve_conj().resolve_neg().to(dtype or chunk.dtype).contiguous()
        return plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).numpy().data
    return np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data


def _parts(value: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, Part]]:
    """Yield what holds numbers in an object, with its place; deeper nesting is not looked at."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc":
            yield name, np.asarray(value)
    elif isinstance(value, Tensor):
        if not value.is_meta:
            plain = value.dequantize() if value.is_quantized else value
            yield name, plain if plain.layout is torch.strided else plain.to_dense()
    elif isinstance(value, nn.Module):
        for key, weight in sorted(value.state_dict().items()):
            yield from _parts(weight, f"{name}.{key}", depth)
    elif depth:
        for key, item in _held(value):
            yield from _parts(item, f"{name}.{key}", depth - 1)


def _held(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return what a container or an object holds, with its key, position or attribute."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return ()
    return sorted(vars(value).items())
