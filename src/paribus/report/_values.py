"""Values as text for the page: short numbers, escaped strings."""

from __future__ import annotations

import html
import math
import numbers
from collections.abc import Mapping
from typing import Any

NOTHING = "–"


def escape(value: object) -> str:
    """Return ``value`` as text that is safe in HTML, in attributes too."""
    return html.escape(str(value), quote=True)


def is_number(value: object) -> bool:
    """Return whether ``value`` is a number (a boolean is not)."""
    return type(value).__name__ not in ("bool", "bool_") and isinstance(value, numbers.Real)


def is_missing(value: object) -> bool:
    """Return whether ``value`` is None, NaN or a missing value of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and math.isnan(value)


def short(value: Any, limit: int = 400) -> str:
    """Return a value as plain text (not escaped): numbers to four digits, lists and mappings as they are read aloud."""
    if is_missing(value):
        return NOTHING
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if is_number(value):
        return _number(value)
    text = _listed(value) if isinstance(value, list | tuple | Mapping) else str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def _listed(value: Any) -> str:
    """Return ``a, b, c`` or ``name: a, other: b``; what lies deeper is put in brackets."""
    parts = (
        [f"{name}: {_part(item)}" for name, item in value.items()] if isinstance(value, Mapping) else map(_part, value)
    )
    return ", ".join(parts) or NOTHING


def _part(value: Any) -> str:
    shown = short(value)
    return f"({shown})" if isinstance(value, list | tuple | Mapping) and len(value) else shown


def _number(value: Any) -> str:
    if isinstance(value, numbers.Integral):
        text = f"{int(value):,}".replace(",", "\u202f") if abs(int(value)) >= 10_000 else str(int(value))
    elif math.isinf(value):
        text = "∞" if value > 0 else "-∞"
    else:
        number = float(value)
        text = str(int(number)) if number.is_integer() and abs(number) < 1e6 else f"{number:.4g}"
    return text.replace("-", "−")
