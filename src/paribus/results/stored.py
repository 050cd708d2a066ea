"""Parts of a stored ``result.json``, for reading a few numbers from thousands of results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paribus.errors import DataError
from paribus.results.files import RESULT_FILE
from paribus.results.frames import read_parquet
from paribus.results.io import from_tree, restored
from paribus.results.schema import Aggregates, Result
from paribus.results.seal import refuse_changed
from paribus.results.values import decode


class StoredResult:
    """A result that is parsed once; its tables are made when they are asked for, or not at all.

    Example:
        >>> import pandas as pd
        >>> from paribus.results.evidence import Evidence
        >>> from paribus.results.io import write
        >>> from paribus.results.schema import Aggregates, Diagnostics, Table
        >>> frame = pd.DataFrame({"alpha": [0, 1], "acc": [0.5, float("nan")]})
        >>> table = Table("sweep", "Accuracy.", Evidence.INTERVENTIONAL, frame)
        >>> head = ("abc", "steering", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> path = write(Result(*head, Aggregates(), {"sweep": table}, Diagnostics()), Path("kept"))
        >>> StoredResult(path).columns("sweep")
        {'alpha': [0, 1], 'acc': [0.5, nan]}
    """

    def __init__(self, path: Path) -> None:
        """Read the file; tables whose rows are not in it lie beside it.

        Raises:
            DataError: If it is not there, was changed after it was written, or is no result.
        """
        try:
            text = path.read_text(encoding="utf-8")
            refuse_changed(text)
            self._tree: Mapping[str, Any] = json.loads(text)
            self._tables: Mapping[str, Any] = self._tree["tables"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a readable {RESULT_FILE}: {type(error).__name__}: {error}") from None
        self._folder = path.parent

    def names(self) -> tuple[str, ...]:
        """Return the names of its tables."""
        return tuple(self._tables)

    def columns(self, name: str) -> dict[str, list[Any]]:
        """Return the cells of a table by column, floats as floats.

        Raises:
            DataError: If the file of a table is missing.
            KeyError: If there is no such table.
        """
        node = self._tables[name]
        if "file" in node:
            path = self._folder / node["file"]
            if not path.is_file():
                raise DataError(f"{path}: is missing")
            frame = read_parquet(path)
            return {str(column): frame[column].tolist() for column in frame.columns}
        return {
            column: _cells([row[column] for row in node["rows"]], node["dtypes"][column]["name"])
            for column in node["columns"]
        }

    def whole(self) -> Result:
        """Return all of it."""
        return from_tree(self._tree, folder=self._folder)

    def aggregates(self) -> Aggregates:
        """Return its aggregates."""
        return restored(Aggregates, self._tree["aggregates"])

    def provenance(self) -> Mapping[str, Any]:
        """Return where its numbers come from."""
        found = decode(self._tree["provenance"])
        return found if isinstance(found, Mapping) else {}


def _cells(cells: list[Any], dtype: str) -> list[Any]:
    if dtype.lower().startswith("float"):
        return [math.nan if cell is None else float(cell) for cell in cells]
    return [decode(cell) for cell in cells] if dtype == "object" else cells
