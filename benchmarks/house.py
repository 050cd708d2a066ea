"""The house in numbers: lines, files, rooms, imports in functions, and the size of the types on any network.

Run: ``python -m benchmarks.house``.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).parents[1] / "src" / "paribus"
MOST_LINES = 400


def code_lines(text: str) -> int:
    """Return how many lines are left without docstrings, comments, blank lines and imports."""
    others: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            others |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        1 for number, line in lines if number not in others and line.strip() and not line.strip().startswith("#")
    )


def in_functions(text: str) -> int:
    """Return how many imports stand in functions."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return len(
        {node.lineno for one in functions for node in ast.walk(one) if isinstance(node, ast.Import | ast.ImportFrom)}
    )


def main() -> None:
    """Print the numbers."""
    files = {path.relative_to(SOURCE): path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}
    sizes = {path: text.count("\n") for path, text in files.items()}
    rooms = Counter[str]()
    for path, size in sizes.items():
        rooms[path.parts[0] if len(path.parts) > 1 else "(top)"] += size
    long = sorted((size, str(path)) for path, size in sizes.items() if size > MOST_LINES)
    any_network = Path("experiments/any")
    generic = {
        path.parent.name: size + sizes[path.with_name("work.py")]
        for path, size in sizes.items()
        if path.name == "spec.py" and path.parent.parent == any_network
    }
    print(
        f"{sum(sizes.values()):,} lines, {sum(map(code_lines, files.values())):,} of them code, in {len(files)} files"
    )
    print(f"median of a file {median(sizes.values()):.0f} lines; {len(long)} files above {MOST_LINES}: {long}")
    print(f"largest rooms: {rooms.most_common(4)}")
    print(f"imports in functions: {sum(map(in_functions, files.values()))}")
    print(f"fields and work of each type on any network, lines: {generic}")


if __name__ == "__main__":
    main()
