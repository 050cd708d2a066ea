"""A configuration as MLflow params: flat, restored to typed values when read, and truncated if too long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_VALUE = 6000
"""MLflow's own limit, in characters; what is longer is cut here, and is complete in ``config.yaml``."""
MAX_KEY = 250
CUT = "... (cut; complete in config.yaml)"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested mapping by dotted name; lists are leaves, ``_target_`` and empty groups are not."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "_target_":
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif value is not None or prefix:
            flat[name] = value
    return flat


def to_text(value: Any) -> str:
    """Return a value as param text, from which :func:`from_text` restores its type (unless it had to be cut)."""
    reads_as_itself = isinstance(value, str) and from_text(value) == value
    text = value if reads_as_itself else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - len(CUT)] + CUT


def from_text(text: str) -> Any:
    """Restore the value of a param; text that is no JSON is a string.

    Example:
        >>> from_text("3"), from_text("null"), from_text("a")
        (3, None, 'a')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def param_key(name: str) -> str:
    """Return ``name`` as MLflow accepts it: other characters become ``_``, and it is cut at 250.

    Example:
        >>> param_key("experiment.place")
        'experiment.place'
    """
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)[:MAX_KEY] or "_"
