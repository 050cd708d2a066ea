"""Digests of code without a file: functions and classes defined in a notebook or interactively."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from paribus.config.normal_source import normalised

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def code_digest(thing: Any) -> tuple[str, list[str]]:
    """Return a digest of what ``thing`` runs, and the modules it reaches.

    It covers the thing itself and, in turn, the functions, classes and plain values of the same module that its names
    currently refer to. Other objects in its module count by their type only.
    """
    stated: dict[str, str] = {}
    modules: set[str] = set()
    waiting = [(getattr(thing, "__qualname__", repr(thing)), thing)]
    while waiting:
        name, value = waiting.pop()
        if name in stated:
            continue
        if isinstance(value, ModuleType):
            modules.add(value.__name__)
            stated[name] = f"module {value.__name__}"
        elif isinstance(value, FunctionType | type):
            home = value.__module__
            if home != getattr(thing, "__module__", None) and home in sys.modules:
                modules.add(home)
                stated[name] = f"{home}.{value.__qualname__}"
                continue
            stated[name] = _text(value)
            scope = vars(sys.modules[home]) if home in sys.modules else {}
            scope = getattr(value, "__globals__", scope)
            waiting += [(used, scope[used]) for used in sorted(_names(value)) if used in scope]
        else:
            stated[name] = _plain(value)
    text = "\n".join(f"{name}={stated[name]}" for name in sorted(stated))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), sorted(modules)


def _text(thing: FunctionType | type) -> str:
    """Return the normalised source of a function or class; its compiled form where there is no source."""
    try:
        return normalised(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, IndentationError):
        return repr([list(_compiled(code)) for code in _codes(thing)])


def _codes(thing: FunctionType | type) -> list[CodeType]:
    """Return the code of a function, or of the methods of a class by their names."""
    if isinstance(thing, FunctionType):
        return [thing.__code__]
    parts = (getattr(vars(thing)[name], "__func__", vars(thing)[name]) for name in sorted(vars(thing)))
    return [part.__code__ for part in parts if isinstance(part, FunctionType)]


def _compiled(code: CodeType) -> Iterator[Any]:
    """Yield what a code object does, without its positions."""
    yield code.co_code.hex()
    yield code.co_names
    yield code.co_varnames
    for constant in code.co_consts:
        yield list(_compiled(constant)) if isinstance(constant, CodeType) else repr(constant)


def _names(thing: FunctionType | type) -> set[str]:
    """Return the global names that a function or the methods of a class use, and those of a class's bases."""
    found: set[str] = set()
    waiting = _codes(thing)
    while waiting:
        code = waiting.pop()
        found |= set(code.co_names)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    if isinstance(thing, type):
        found |= {base.__name__ for base in thing.__bases__}
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
        except (OSError, TypeError, SyntaxError):
            return found
        found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found


def _plain(value: Any) -> str:
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[{','.join(map(_plain, value))}]"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}[{','.join(sorted(map(_plain, value)))}]"
    if isinstance(value, dict):
        return f"dict[{','.join(f'{_plain(key)}:{_plain(item)}' for key, item in value.items())}]"
    return f"a {type(value).__module__}.{type(value).__qualname__}"
