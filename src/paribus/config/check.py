"""Checking a composed node against the dataclass behind its ``_target_``, and building it."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

from paribus.config.foreign import Foreign, foreign
from paribus.config.locate import target_object
from paribus.errors import ConfigError, nearest
from paribus.spec import Spec, check_value, fields_of

TARGET = "_target_"
LARGEST = 2**63 - 1
"""Largest whole number that arrays, tables and generators of random numbers can hold."""


def node_of(spec: Spec) -> dict[str, Any]:
    """Return the configuration node that describes a spec.

    Example:
        >>> from paribus.features.latent import Latent
        >>> node_of(Latent(id=3))["_target_"]
        'paribus.features.latent.Latent'
    """
    return {TARGET: f"{type(spec).__module__}.{type(spec).__qualname__}", **fields_of(spec)}


def build(node: Mapping[str, Any], where: str) -> Spec | Foreign:
    """Build the thing a node describes; nodes nested in it are built too.

    Args:
        node: A plain, resolved node with a ``_target_``.
        where: Its dotted place in the configuration, for messages.

    Raises:
        ConfigError: If a key is unknown or missing, a value has the wrong type or lies outside its range, or the
            target cannot be imported.

    Example:
        >>> build({"_target_": "paribus.stats.spec.StatsSpec", "n_bootstrap": 500}, "stats").n_bootstrap
        500
    """
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where}: wants a node with a {TARGET}, got {node!r}")
    if TARGET not in node:
        raise ConfigError(f"{where}: has no {TARGET}, so nothing says what it is; choose an option ({where}=NAME)")
    target = node[TARGET]
    found = target_object(target, where)
    given = {str(key): value for key, value in node.items() if key != TARGET}
    for key in given:
        if key.startswith("_") and key.endswith("_"):
            raise ConfigError(f"{where}.{key}: is not supported; a node has {TARGET} and the arguments of its target")
    if isinstance(found, type) and issubclass(found, Spec):
        return build_settings(found, given, where)
    arguments = {key: built(value, f"{where}.{key}") for key, value in given.items()}
    return foreign(found, str(target), arguments, where)


def built(value: Any, where: str) -> Any:
    """Return ``value`` with every node inside it that has a ``_target_`` built."""
    if isinstance(value, Mapping):
        if TARGET in value:
            return build(value, where)
        return {key: built(element, f"{where}.{key}") for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [built(element, f"{where}[{i}]") for i, element in enumerate(value)]
    return value


def build_settings(cls: type[Spec], given: Mapping[str, Any], where: str = "") -> Spec:
    """Build a spec from plain values, without a ``_target_``; ``where`` may be empty for the top of the tree.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> build_settings(StatsSpec, {"n_null": 7}).n_null
        7
    """
    declared = {f.name: f for f in dataclasses.fields(cls) if f.init}
    hints = _hints(cast(Hashable, cls))
    dot = f"{where}." if where else ""
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in declared:
            raise ConfigError(f"{dot}{key}: unknown key; {nearest(key, declared)}")
        values[key] = convert(value, hints[key], f"{dot}{key}")
        check_value(f"{dot}{key}", values[key], declared[key].metadata)
    for name, f in declared.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{dot}{name}: a value is needed ({dot}{name}=...)")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(_placed(str(error), cls, where)) from error


def _placed(message: str, cls: type[Spec], where: str) -> str:
    """Return a message of the class's own checks with its place in the configuration instead of the class name."""
    dot = f"{where}." if where else ""
    if message.startswith(f"{cls.__name__}."):
        return dot + message.removeprefix(f"{cls.__name__}.")
    top = where.split(".")[0]
    return message if not where or message.startswith((where, f"{top}.")) else f"{where}: {message}"


@functools.cache
def _hints(known: Hashable) -> dict[str, Any]:
    cls = cast(type[Spec], known)
    try:
        return typing.get_type_hints(cls)
    except Exception as error:
        raise ConfigError(f"{cls.__module__}.{cls.__qualname__}: cannot read its field types: {error}") from error


def convert(value: Any, hint: Any, where: str) -> Any:
    """Return ``value`` converted to ``hint``: whole floats become ints, ints become floats or names, nodes are built.

    Raises:
        ConfigError: If it cannot be converted without loss.
    """
    if hint is Any or hint is object:
        return built(value, where)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, typing.get_args(hint), where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ConfigError(f"{where}: no such choice {value!r}; {nearest(str(value), map(str, choices))}")
        return value
    if hint in (list, tuple) or origin in (list, tuple):
        return _convert_list(value, typing.get_args(hint), where)
    if hint is dict or origin in (dict, Mapping):
        arguments = typing.get_args(hint)
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: wants a mapping, such as {{a: 1}}, got {_shown(value)}")
        inner = arguments[1] if len(arguments) == 2 else Any
        return {str(key): convert(element, inner, f"{where}.{key}") for key, element in value.items()}
    if isinstance(hint, type) and issubclass(hint, Spec) and isinstance(value, Mapping):
        return build(value, where) if TARGET in value else build_settings(hint, value, where)
    reader = _SCALARS.get(hint)
    if reader is None:
        raise ConfigError(f"{where}: is declared as {hint}, which a configuration cannot hold")
    return reader(value, where)


def _convert_union(value: Any, arms: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in arms:
        return None
    real = [arm for arm in arms if arm is not type(None)]
    if type(value) in real:  # an exact match takes precedence over any conversion
        return convert(value, type(value), where)
    errors = []
    for arm in real:
        try:
            return convert(value, arm, where)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    names = ", ".join(getattr(arm, "__name__", str(arm)) for arm in real)
    raise ConfigError(f"{where}: wants one of {names}, got {_shown(value)}")


def _convert_list(value: Any, arguments: tuple[Any, ...], where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: wants a list, such as [1,2], got {_shown(value)}")
    inner = arguments[0] if arguments else Any
    return [convert(element, inner, f"{where}[{i}]") for i, element in enumerate(value)]


def _int(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value % 1:
        raise ConfigError(f"{where}: wants a whole number, got {_shown(value)}")
    if not -LARGEST - 1 <= value <= LARGEST:
        raise ConfigError(f"{where}: wants a whole number of 64 bits (at most {LARGEST}), got {_shown(value)}")
    return int(value)


def _float(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: wants a number, got {_shown(value)}")
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        raise ConfigError(f"{where}: wants a number below 1e309, got {_shown(value)}") from None


def _bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: wants true or false, got {_shown(value)}")
    return value


def _str(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: wants a name or text, got {_shown(value)}")
    return value


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {int: _int, float: _float, bool: _bool, str: _str}


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
