"""The identity of a run: a hash over everything that decides its numbers, known before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from paribus.results.values import float_text, plain

IDENTITY_VERSION = 2
"""Increased when the same request must no longer give the same identity."""
DIGITS = 32


def identity(
    experiment_type: str, version: int, science: Mapping[str, Any], inputs: Mapping[str, str] | None = None
) -> str:
    """Return the identity of a run, 32 hexadecimal digits (SHA-256 over canonical JSON).

    Args:
        experiment_type: The experiment's name.
        version: Its declared version.
        science: The values that can change a number, by group (plain values).
        inputs: Its inputs by group: the identity of the run that made a tracked model, the fingerprint of a data set
            (parameters and generator version, or file digests).
    """
    stated = {
        "identity": IDENTITY_VERSION,
        "experiment": experiment_type,
        "version": version,
        "science": canonical(plain(science)),
        "inputs": canonical(plain(inputs or {})),
    }
    return digest(stated)


def digest(stated: Mapping[str, Any]) -> str:
    """Return the hash of plain, canonical data.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    text = json.dumps(stated, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def canonical(value: Any) -> Any:
    """Return plain data in canonical form: 1.0 becomes 1, -0.0 becomes 0, non-finite floats become names.

    Example:
        >>> canonical({"a": 1.0, "b": -0.0, "c": (2, 3)})
        {'a': 1, 'b': 0, 'c': [2, 3]}
    """
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return {"$float": float_text(value)}
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value
