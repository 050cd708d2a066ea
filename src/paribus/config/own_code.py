"""Digests of user code that a callable or class runs, which change only when the meaning of the code changes."""

from __future__ import annotations

import ast
import csv
import hashlib
import importlib.metadata
import io
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from paribus.config.interactive import code_digest
from paribus.config.normal_source import normalised
from paribus.spec import is_own

_SITE = re.compile(r"(^|[\\/])(site|dist)-packages([\\/]|$)")


def code_of(things: Iterable[Any], modules: Iterable[str] = ()) -> dict[str, str]:
    """Return digests of all code that ``things`` run and that is not covered by the version of Paribus.

    Own modules (those that belong to neither Python, nor Paribus, nor an installed distribution; editable installs
    count as own) enter by their source without comments, docstrings and positions, with every module they import in
    turn; installed distributions by name, version and digest of their RECORD.

    Args:
        things: Functions and classes. Where their module is no file (a notebook), their own source is taken.
        modules: Names of further modules to start from, such as the one that a ``_target_`` names.

    Returns:
        Digests by ``module NAME`` or ``distribution NAME``, sorted.
    """
    found: dict[str, str] = {}
    waiting = [name for name in modules if name]
    for thing in things:
        waiting += _start(thing, found)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        one = _module(name)
        if one is not None:
            found[one.label] = one.digest
            waiting += one.imports
    return dict(sorted(found.items()))


def is_installed(path: str) -> bool:
    """Return whether a file belongs to an installed package or to Python itself.

    Example:
        >>> is_installed("/home/me/project/mine.py")
        False
    """
    return _SITE.search(path) is not None or path.startswith(_places())


@dataclass(frozen=True)
class _Module:
    """One module: its name in the result, its digest, and the modules that it imports."""

    label: str
    digest: str
    imports: tuple[str, ...] = ()


_loaded: dict[str, tuple[Any, _Module | None]] = {}
"""Modules as first seen, with the spec they were loaded by: the loaded code is what runs, even if the file is edited
later. A reload gives a module another spec."""


def _start(thing: Any, found: dict[str, str]) -> list[str]:
    """Return the names of the modules to start from; code without a file is added to ``found`` directly."""
    names = []
    for part in thing.__mro__ if isinstance(thing, type) else (thing,):
        name = getattr(part, "__module__", None)
        if not isinstance(name, str) or _is_known(name):
            continue
        if _spec(name) is None:  # a notebook, a prompt, or a script that is run itself
            digest, further = code_digest(part)
            found[f"module {name}:{getattr(part, '__qualname__', part)}"] = digest
            names += further
        else:
            names.append(name)
    return names


def _is_known(name: str) -> bool:
    """Return whether a module is part of Python or of Paribus, which are covered by their versions."""
    if is_own(name):
        return True
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return False
    origin = getattr(_spec(name), "origin", None)  # an own module may have the name of one of Python's
    return name != "__main__" and (origin is None or not Path(origin).is_absolute() or is_installed(origin))


def _module(name: str) -> _Module | None:
    if _is_known(name):
        return None
    spec = _spec(name)
    if spec is None:
        return None
    known = _loaded.get(name)
    if known is not None and known[0] is spec:
        return known[1]
    made = _read(name, spec)
    if name in sys.modules:
        _loaded[name] = (spec, made)
    return made


def _spec(name: str) -> Any:
    """Return the import spec of a module without importing it or its parents; None where it has no file."""
    module = sys.modules.get(name)
    if module is not None:
        spec = getattr(module, "__spec__", None)
        return spec if spec is not None and (spec.origin or spec.submodule_search_locations) else None
    parent = name.rpartition(".")[0]
    path = None
    if parent:
        above = _spec(parent)
        path = None if above is None else above.submodule_search_locations
        if path is None:
            return None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(name, path) if find is not None else None
        except (ImportError, AttributeError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def _read(name: str, spec: Any) -> _Module | None:
    origin = spec.origin if spec.has_location else None
    place = origin or next(iter(spec.submodule_search_locations or ()), None)
    if place is None:
        return None
    if is_installed(str(place)):
        known = _distribution(name.partition(".")[0])
        if known is not None:
            return known
    above = parents(name)
    if origin is None:  # a folder without __init__.py: only what is imported from it counts
        return _Module(f"module {name}", "namespace", above)
    source = _source(spec)
    if source is None:
        return _Module(f"module {name}", _bytes_digest(origin), above)
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    imported = {*above, *_imports(source, package)}
    return _Module(f"module {name}", normalised(source), tuple(sorted(imported - {name})))


def _source(spec: Any) -> str | None:
    try:
        found = spec.loader.get_source(spec.name)
    except (AttributeError, ImportError, OSError, SyntaxError, UnicodeDecodeError):
        return None
    return found if isinstance(found, str) else None


def _bytes_digest(origin: str) -> str:
    try:
        return hashlib.sha256(Path(origin).read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def parents(name: str) -> tuple[str, ...]:
    """Return the packages that are imported with a module, or with what a dotted name stands for.

    Example:
        >>> parents("package.part.module")
        ('package', 'package.part')
    """
    parts = name.split(".")[:-1]
    return tuple(".".join(parts[: i + 1]) for i in range(len(parts)))


def _imports(source: str, package: str) -> set[str]:
    """Return the modules that a source imports anywhere, but for type checkers; names in it may be no modules."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in _run_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base:
                found |= {base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")}
    return found


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the parts that are for type checkers only."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


@cache
def _places() -> tuple[str, ...]:
    """Return the folders of Python itself and of installed packages."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(sorted(f"{path.rstrip('/')}/" for path in paths if path))


@cache
def _distribution(top: str) -> _Module | None:
    """Return the installed distribution that a top-level module belongs to; None for a file put there by hand."""
    names = _names_of_modules().get(top, [])
    if not names:
        return None
    stated = []
    for name in sorted(set(names)):
        distribution = importlib.metadata.distribution(name)
        stated.append(f"{name} {distribution.version} {_record_digest(distribution)}")
    label = re.sub(r"[-_.]+", "-", "+".join(sorted(set(names)))).lower()
    return _Module(f"distribution {label}", hashlib.sha256("\n".join(stated).encode()).hexdigest())


@cache
def _names_of_modules() -> dict[str, list[str]]:
    return {name: list(found) for name, found in importlib.metadata.packages_distributions().items()}


def _record_digest(distribution: importlib.metadata.Distribution) -> str:
    """Return a digest of the installed files and their hashes, the same for every installer and place."""
    rows = csv.reader(io.StringIO(distribution.read_text("RECORD") or ""))
    kept = sorted(
        f"{row[0]},{row[1]}"
        for row in rows
        if len(row) > 1 and row[1] and ".dist-info/" not in row[0] and not row[0].startswith("..")
    )
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()
