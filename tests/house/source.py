"""The imports of the package as its source states them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src"


def path_of(module: str) -> Path:
    """Return the file of a module below :data:`ROOT`."""
    file = Path(*module.split(".")).with_suffix(".py")
    return file if (ROOT / file).is_file() else Path(*module.split("."), "__init__.py")


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed source of every module by its name."""
    found = {}
    for path in sorted((ROOT / "paribus").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def room(module: str) -> str:
    """Return the room of a module: ``running``; of experiments and subjects the folder, ``experiments/builds``."""
    parts = module.split(".")[1:]
    if len(parts) > 2 and parts[0] in ("experiments", "subjects"):
        return "/".join(parts[:2])
    return parts[0] if parts else "paribus"


def imported(module: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere: in functions and for type checkers too."""
    known, found = modules(), set()
    for node in ast.walk(known[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in inner}
    return {name for name in found if name in known and name != module}


def in_functions(module: str) -> list[str]:
    """Return the import statements of a module that stand in functions, as ``file line: statement``."""
    lines = {}
    for function in ast.walk(modules()[module]):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    lines[node.lineno] = f"{module} {node.lineno}: {ast.unparse(node)}"
    return [lines[number] for number in sorted(lines)]
