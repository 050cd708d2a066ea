"""Plain values as strict JSON and back, without losing NaN, infinity, or the type of a key."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return ``value`` made of None, bool, int, float, str, list and dict only.

    numpy scalars and arrays, tuples, sets (sorted), enums, paths and dataclasses become their plain counterpart.

    Raises:
        TypeError: If it holds something else.

    Example:
        >>> plain({"levels": (1, 2), "names": {"b", "a"}})
        {'levels': [1, 2], 'names': ['a', 'b']}
    """
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return _builtin(value)
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=lambda item: (str(type(item)), item))
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"cannot be kept as a plain value: {type(value).__name__} {value!r:.80}")


def _builtin(value: Any) -> Any:
    """Strip a subclass (``np.float64`` is a float, ``np.str_`` a str) down to the built-in type."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return value if type(value) is kind else kind(value)
    return value


def encode(value: Any) -> Any:
    """Return ``value`` as strict JSON data from which :func:`decode` restores it exactly.

    A non-finite float becomes ``{"$float": "NaN"}``; a mapping with keys that are not strings, or that start with
    ``$``, becomes ``{"$items": [[key, value], ...]}``; everything else stays what it is.

    Example:
        >>> encode([1.5, float("nan")])
        [1.5, {'$float': 'NaN'}]
    """
    return _encoded(plain(value))


def _encoded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": float_text(value)}
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    if isinstance(value, dict):
        if any(not isinstance(key, str) or key.startswith("$") for key in value):
            return {"$items": [[_encoded(key), _encoded(item)] for key, item in value.items()]}
        return {key: _encoded(item) for key, item in value.items()}
    return value


def decode(value: Any) -> Any:
    """Restore what :func:`encode` made.

    Example:
        >>> decode(encode((float("inf"),)))
        [inf]
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return float(value["$float"])
        if set(value) == {"$items"}:
            return {decode(key): decode(item) for key, item in value["$items"]}
        return {key: decode(item) for key, item in value.items()}
    return value


def float_text(value: float) -> str:
    """Return the name of a non-finite float (``NaN``, ``Infinity``, ``-Infinity``), which ``float()`` reads.

    Example:
        >>> float_text(float("-inf"))
        '-Infinity'
    """
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def encode_float(value: float | None) -> float | str | None:
    """Return a number of a field that is known to be one: non-finite values by name, None as None.

    Example:
        >>> encode_float(2.0), encode_float(float("nan")), encode_float(None)
        (2.0, 'NaN', None)
    """
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else float_text(number)


def decode_float(value: float | str | None) -> float | None:
    """Restore what :func:`encode_float` made.

    Example:
        >>> decode_float("Infinity"), decode_float(2.0)
        (inf, 2.0)
    """
    return None if value is None else float(value)
