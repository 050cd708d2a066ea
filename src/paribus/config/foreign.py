"""A callable from outside Paribus, named by a ``_target_``: checked against its signature, called when needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paribus.errors import ConfigError, nearest

PROVIDED: Mapping[str, tuple[str, ...]] = {
    "model": ("in_channels", "n_classes", "image_size", "generator"),
    "data": (),
}
"""Arguments that Paribus itself can pass to a foreign callable of a group, when the callable takes them."""


@dataclass(frozen=True)
class Foreign:
    """A user's function or class with the arguments its YAML node gives.

    Attributes:
        target: Dotted name of the callable.
        arguments: Keyword arguments from the configuration; nested nodes are built.
        function: The callable itself.
    """

    target: str
    arguments: Mapping[str, Any]
    function: Callable[..., Any] = field(repr=False, compare=False)

    def call(self, **provided: Any) -> Any:
        """Call it with its configured arguments, and with those of ``provided`` that it takes and were not given.

        Nested foreign callables are called first, without further arguments.
        """
        given = {key: called(value) for key, value in self.arguments.items()}
        names, takes_any = parameters(self.function)
        extra = {key: value for key, value in provided.items() if key not in given and (takes_any or key in names)}
        return self.function(**given, **extra)


def called(value: Any) -> Any:
    """Return ``value`` with every :class:`Foreign` inside it replaced by what it returns."""
    if isinstance(value, Foreign):
        return value.call()
    if isinstance(value, dict):
        return {key: called(element) for key, element in value.items()}
    if isinstance(value, list):
        return [called(element) for element in value]
    return value


def foreign(function: Callable[..., Any], target: str, arguments: dict[str, Any], where: str) -> Foreign:
    """Check ``arguments`` against the signature of ``function``.

    Raises:
        ConfigError: If an argument is unknown, or one is missing that Paribus does not provide either.
    """
    names, takes_any = parameters(function)
    if not takes_any:
        for key in arguments:
            if key not in names:
                raise ConfigError(f"{where}.{key}: {target} takes no such argument; {nearest(key, names)}")
    provided = PROVIDED.get(where, ())
    for name, parameter in names.items():
        if parameter.default is parameter.empty and name not in arguments and name not in provided:
            raise ConfigError(f"{where}.{name}: {target} needs this argument and it is not given")
    return Foreign(target, arguments, function)


def parameters(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters that ``function`` takes by keyword, and whether it takes any others (``**kwargs``)."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in callables state none
        return {}, True
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = {name: p for name, p in signature.parameters.items() if p.kind in by_keyword}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    return found, takes_any
