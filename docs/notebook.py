"""Runs the cells of ``docs/tutorial.ipynb`` and writes what they show into it.

``python -m docs.notebook`` does so in a temporary folder. The cells are plain Python: what a cell prints and what its last
line gives are its outputs, as in Jupyter.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "tutorial.ipynb"
Cell = dict[str, Any]


def read(file: Path = FILE) -> dict[str, Any]:
    """Return a notebook's content."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def executed(notebook: dict[str, Any]) -> Iterator[tuple[Cell, list[dict[str, Any]]]]:
    """Run the code cells in order, in one namespace and in the working folder; yield each with its outputs.

    An exception of a cell is not caught.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            yield cell, _outputs("".join(cell["source"]), namespace, count)


def _outputs(source: str, namespace: dict[str, Any], count: int) -> list[dict[str, Any]]:
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(ast.Module(body, []), "<cell>", "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    if value is not None:
        found.append({"data": _shown(value), "execution_count": count, "metadata": {}, "output_type": "execute_result"})
    return found


def _shown(value: Any) -> dict[str, Any]:
    """Return what a notebook shows of a value, by MIME type."""
    html = value._repr_html_() if hasattr(value, "_repr_html_") else None
    data = {"text/plain": _lines(repr(value))}
    return {"text/html": _lines(html), **data} if html else data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(file: Path = FILE) -> int:
    """Run the notebook in a temporary folder and write it with its outputs."""
    logging.disable(logging.WARNING)
    notebook = read(file)
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, (cell, outputs) in enumerate(executed(notebook), 1):
                cell["outputs"], cell["execution_count"] = outputs, number
        finally:
            os.chdir(before)
    file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{file.name}: {file.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
