"""The part of a built configuration that can change a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paribus.config.foreign import Foreign
from paribus.config.locate import target_object
from paribus.config.settings import OF_A_SWEEP, Settings
from paribus.errors import ConfigError
from paribus.spec import ALWAYS_STATED, Spec, kind_of


def science(node: Any) -> Any:
    """Return the plain value of a built node with only the fields that can change a result.

    A spec becomes a dict of its science fields and its kind under ``_kind_``: the reserved name that a class of Paribus
    declares (so that its file can move), module and qualified name of any other. Fields declare themselves with
    ``field(science=False)``; the path of a file (``field(file=True)``) is left out too, as its content enters
    elsewhere; a field that was added later is left out while it has its ``field(unstated=...)``, the value that gives
    the behaviour before the field existed. A foreign callable is its name and its arguments.

    Args:
        node: A built node, or any plain value.
    """
    if isinstance(node, Spec):
        return {"_kind_": kind_of(type(node)), **{name: science(value) for name, value in stated(node).items()}}
    if isinstance(node, Foreign):
        arguments = {key: value for key, value in node.arguments.items() if key not in node.files}
        left = {"leave_out": list(node.leave_out)} if node.leave_out else {}
        return {"_kind_": node.kind, **{key: science(value) for key, value in arguments.items()}, **left}
    if isinstance(node, Mapping):
        return {str(key): science(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [science(value) for value in node]
    return node


def stated(spec: Spec) -> dict[str, Any]:
    """Return the fields of a spec that are part of what can change a result, with their values.

    Example:
        >>> from paribus.models.mlp import MLP
        >>> "leave_out" in stated(MLP()), stated(MLP(weights="mlp.pt", leave_out=["fc"]))["leave_out"]
        (False, ['fc'])
    """
    values = {declared: getattr(spec, declared.name) for declared in dataclasses.fields(spec)}
    return {declared.name: value for declared, value in values.items() if _is_stated(declared, value)}


def _is_stated(declared: dataclasses.Field[Any], value: Any) -> bool:
    if not declared.metadata.get("science", True) or declared.metadata.get("file", False):
        return False
    unstated = declared.metadata.get("unstated", ALWAYS_STATED)
    return unstated is ALWAYS_STATED or isinstance(value, bool) != isinstance(unstated, bool) or value != unstated


def apart(tree: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parts of a kept configuration that can change a result, and the others, each nested as before.

    The declarations of a class decide; for missing and foreign classes everything counts.
    """
    science_, other = _split(tree, {f.name: f for f in dataclasses.fields(Settings)})
    other |= {name: science_.pop(name) for name in ("tracking", *OF_A_SWEEP) if name in science_}
    return science_, other


def _split(
    node: Mapping[str, Any], declared: Mapping[str, dataclasses.Field[Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    counts: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in node.items():
        known = declared.get(name)
        if known is not None and not known.metadata.get("science", True):
            rest[name] = value
        elif isinstance(value, Mapping):
            inner, beside = _split(value, _declared(value))
            counts |= {name: inner} if inner or not beside else {}
            rest |= {name: beside} if beside else {}
        else:
            counts[name] = value
    return counts, rest


def _declared(node: Mapping[str, Any]) -> Mapping[str, dataclasses.Field[Any]]:
    target = node.get("_target_")
    if not isinstance(target, str):
        return {}
    try:
        found = target_object(target, "config")
    except (ConfigError, ImportError, AttributeError):
        return {}
    return {f.name: f for f in dataclasses.fields(found)} if dataclasses.is_dataclass(found) else {}
