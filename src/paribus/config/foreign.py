"""A callable from outside Paribus, named by a ``_target_``: checked against its signature, called when needed."""

from __future__ import annotations

import enum
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from paribus.errors import ConfigError, ParibusError, nearest, said
from paribus.spec import path_of

_PATH = re.compile(r"\b(Path|PathLike)\b")
_MEMBERS = re.compile(r"\w*(Weights|Enum)\b")
WEIGHTS, LEAVE_OUT = "weights", "leave_out"
CHECKPOINTS = (".pt", ".pth", ".safetensors")
GIVEN_BY_DATA = ("model",)
"""Groups whose foreign callables also get arguments that the data provide, known once the data are."""


@dataclass(frozen=True)
class Foreign:
    """A user's function or class with the arguments its YAML node gives.

    Attributes:
        target: Dotted name of the callable.
        arguments: Keyword arguments from the configuration; nested nodes are built.
        function: The callable itself.
        weights: A checkpoint file that is loaded into the model it makes, None for none.
        leave_out: Modules whose weights are not taken from that file.
    """

    target: str
    arguments: Mapping[str, Any]
    function: Callable[..., Any] = field(repr=False, compare=False)
    weights: str | None = None
    leave_out: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Its name in identities: module and qualified name, the target where these would not single it out."""
        module = getattr(self.function, "__module__", None)
        name = getattr(self.function, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
            return self.target
        return f"{module}:{name}"

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """Files or folders to read: its weights, and arguments whose parameter is annotated as a path."""
        names = path_parameters(self.function)
        found = {
            key: path_of(value)
            for key, value in self.arguments.items()
            if key in names and isinstance(value, str) and value
        }
        return found if self.weights is None else {**found, WEIGHTS: path_of(self.weights)}

    def refuse_unprovided(self, provided: Collection[str], where: str, subject: str) -> None:
        """Check that every argument without a default is given, or one of those that data of a subject provide.

        Raises:
            ConfigError: If one is not.
        """
        for name, parameter in parameters(self.function)[0].items():
            if parameter.default is parameter.empty and name not in self.arguments and name not in provided:
                given = ", ".join(provided) or "nothing"
                raise ConfigError(
                    f"{where}.{name}: {self.target} needs this argument and it is not given ({subject} give {given})"
                )

    def call(self, **provided: Any) -> Any:
        """Call it with its configured arguments, and those of ``provided`` that it accepts and that were not given.

        Nested foreign callables are called first, without further arguments.

        Raises:
            ConfigError: If it raises anything but an error of Paribus; its own error and place are named.
        """
        given = {key: called(value) for key, value in self.arguments.items()}
        names, takes_any = parameters(self.function)
        extra = {key: value for key, value in provided.items() if key not in given and (takes_any or key in names)}
        try:
            return self.function(**given, **extra)
        except ParibusError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit() there would silently end a whole sweep
            raise ConfigError(f"{self.target}: raised {said(error)}") from error


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
    weights: str | None = None
    leave_out: tuple[str, ...] = ()
    if where == "model":
        weights, leave_out = _own_weights(function, arguments, where)
        own = {
            key
            for key in (WEIGHTS, LEAVE_OUT)
            if weights is not None or (key not in names and arguments.get(key) in (None, []))
        }
        arguments = {key: value for key, value in arguments.items() if key not in own}
    if not takes_any:
        for key in arguments:
            if key not in names:
                raise ConfigError(f"{where}.{key}: {target} takes no such argument; {nearest(key, names)}")
    if where not in GIVEN_BY_DATA:
        for name, parameter in names.items():
            if parameter.default is parameter.empty and name not in arguments:
                raise ConfigError(f"{where}.{name}: {target} needs this argument and it is not given")
    return Foreign(target, arguments, function, weights, leave_out)


def _own_weights(
    function: Callable[..., Any], arguments: Mapping[str, Any], where: str
) -> tuple[str | None, tuple[str, ...]]:
    """Return the checkpoint file that Paribus loads into what a callable makes, and what it leaves out.

    That is ``weights`` where the callable takes no such argument, or takes the name of published weights there (as
    torchvision's do) and is given a file. A callable with ``**kwargs`` (as timm's) gets values that are no file.

    Raises:
        ConfigError: If ``leave_out`` is no list of names.
    """
    given = arguments.get(WEIGHTS)
    if not isinstance(given, str) or not given:
        return None, ()
    names, takes_any = parameters(function)
    is_file = given.endswith(CHECKPOINTS)
    published = WEIGHTS in names and _names_members(_annotation(function, WEIGHTS))
    if (WEIGHTS in names and not (published and is_file)) or (takes_any and not is_file):
        return None, ()
    leave_out = [] if LEAVE_OUT in names else arguments.get(LEAVE_OUT, [])
    if not isinstance(leave_out, list) or not all(isinstance(each, str) for each in leave_out):
        raise ConfigError(f"{where}.{LEAVE_OUT}: wants a list of modules, such as [fc], got {leave_out!r}")
    return given, tuple(leave_out)


def _annotation(function: Callable[..., Any], name: str) -> Any:
    """Return a parameter's annotation, resolved if possible."""
    try:
        return typing.get_type_hints(function)[name]
    except Exception:  # a name in it may be imported for type checkers only
        return parameters(function)[0][name].annotation


def _names_members(annotation: Any) -> bool:
    """Return whether a parameter takes a member of an enumeration, by its annotation."""
    if isinstance(annotation, str):
        return _MEMBERS.search(annotation) is not None
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_names_members(arm) for arm in typing.get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def parameters(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters that ``function`` takes by keyword, and whether it takes any others (``**kwargs``)."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in callables have no signature
        return {}, True
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = {name: p for name, p in signature.parameters.items() if p.kind in by_keyword}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    return found, takes_any


def path_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the parameters annotated as a path (``Path``, ``str | Path``, ``os.PathLike[str]``, ...)."""
    return frozenset(name for name, parameter in parameters(function)[0].items() if _is_path(parameter.annotation))


def _is_path(annotation: Any) -> bool:
    if isinstance(annotation, str):  # the names in it may be imported for type checkers only
        return _PATH.search(annotation) is not None
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_path(arm) for arm in typing.get_args(annotation))
    plain = typing.get_origin(annotation) or annotation
    return isinstance(plain, type) and issubclass(plain, os.PathLike)
