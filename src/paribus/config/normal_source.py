"""Normal form of Python source, independent of comments, docstrings, layout and positions."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

LEFT_OUT = ("ctx", "type_comment", "type_ignores", "kind")
"""Fields of a syntax tree without meaning for the code."""


def normalised(source: str) -> str:
    """Return a digest of Python source that comments, docstrings, layout and positions do not change.

    A source that cannot be parsed is taken as it is.

    Example:
        >>> normalised("x = 1  # one") == normalised("x=1")
        True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return hashlib.sha256("".join(_written(tree)).encode("utf-8", "surrogatepass")).hexdigest()


def _written(node: Any) -> Iterator[str]:
    """Write a tree in one form for every Python version: no positions, nothing for what is empty, no bare strings."""
    if isinstance(node, ast.Constant):
        yield f"{type(node.value).__name__}:{node.value!r}"
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in LEFT_OUT:
                continue
            yield f" {name}="
            yield from _written(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for one in node:
            if not _is_bare_string(one):
                yield from _written(one)
                yield ","
        yield "]"
    else:
        yield repr(node)


def _is_bare_string(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
