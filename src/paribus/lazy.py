"""Names that a package offers and imports only when they are asked for (PEP 562), so that importing it costs nothing.

A package lists its names once, as imports for type checkers, and hands itself over::

    if TYPE_CHECKING:
        from paribus.engine.evaluation import Engine

    __all__ = ["Engine"]
    __getattr__, __dir__ = lazy.offered(__name__, __file__, __all__)
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any


def offered(package: str, file: str, names: Sequence[str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Its dotted name.
        file: Its ``__init__.py``, whose ``if TYPE_CHECKING`` block says where each name comes from.
        names: What it offers, its ``__all__``.

    Example:
        >>> import paribus.errors
        >>> get, names = offered("paribus", paribus.__file__, paribus.__all__)
        >>> get("ConfigError") is paribus.errors.ConfigError
        True
    """

    @functools.cache
    def where() -> dict[str, str]:
        with open(file, encoding="utf-8") as source:  # pathlib would cost more than all the rest
            return origins(source.read())

    def get(name: str) -> Any:
        if name not in names or name not in where():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(where()[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return get, listed


def origins(source: str) -> dict[str, str]:
    r"""Return the module that each name is imported from in the ``if TYPE_CHECKING`` block of a module's source.

    Example:
        >>> origins("if TYPE_CHECKING:\n    from paribus.spec import Spec, field")
        {'Spec': 'paribus.spec', 'field': 'paribus.spec'}
    """
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    chosen = [node for node in blocks if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"]
    imports = [node for block in chosen for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.name: node.module for node in imports if node.module for name in node.names}
