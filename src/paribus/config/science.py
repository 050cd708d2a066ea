"""The part of a built configuration that can change a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paribus.config.foreign import Foreign
from paribus.spec import ALWAYS_STATED, Spec


def science(node: Any) -> Any:
    """Return the plain value of a built node with only the fields that can change a result.

    A spec becomes a dict of its science fields and its kind under ``_kind_``: the name users select for an
    experiment, the class name otherwise (never the module, so that a file can move). Fields declare themselves with
    ``field(science=False)``; one that was added later is left out while it holds its ``field(unstated=...)``, the value
    that does what was done before there was the field. A foreign callable is its dotted name and its arguments.

    Args:
        node: A built node, or any plain value.
    """
    if isinstance(node, Spec):
        fields = dataclasses.fields(node)
        kind = getattr(type(node), "type", None)
        named = isinstance(kind, str) and "type" not in {declared.name for declared in fields}
        found: dict[str, Any] = {"_kind_": kind if named else type(node).__name__}
        for declared in fields:
            if is_stated(declared, getattr(node, declared.name)):
                found[declared.name] = science(getattr(node, declared.name))
        return found
    if isinstance(node, Foreign):
        return {"_kind_": node.target, **{key: science(value) for key, value in node.arguments.items()}}
    if isinstance(node, Mapping):
        return {str(key): science(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [science(value) for value in node]
    return node


def is_stated(declared: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a field with this value is part of what can change a result."""
    if not declared.metadata.get("science", True):
        return False
    unstated = declared.metadata.get("unstated", ALWAYS_STATED)
    return unstated is ALWAYS_STATED or isinstance(value, bool) != isinstance(unstated, bool) or value != unstated
