"""Tables as JSON records and as parquet, with every column's type restored exactly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from paribus.results.values import decode, encode, float_text

METADATA_KEY = b"paribus"
ROWS_TOGETHER = 2048
"""Rows of one row group, whose minimum and maximum are stored: the least that is read for a few rows."""
NATIVE_IN_PARQUET = ("int", "uint", "float", "bool", "str")


def check_frame(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with a plain index; refuse a frame that is not a tidy table.

    Raises:
        ValueError: If column names are not unique strings.

    Example:
        >>> import pandas as pd
        >>> check_frame("rows", pd.DataFrame({"a": [1, 2]}, index=[7, 9])).index.tolist()
        [0, 1]
    """
    names = list(frame.columns)
    if any(not isinstance(column, str) for column in names):
        raise ValueError(
            f"table {name!r}: column names must be strings, got {[c for c in names if type(c) is not str]}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"table {name!r}: column names must be unique, got {names}")
    return frame.reset_index(drop=True)


def dtype_of(column: pd.Series[Any]) -> dict[str, Any]:
    """Return a description of a column's type that JSON can hold.

    Example:
        >>> import pandas as pd
        >>> dtype_of(pd.Series([1, 2]))
        {'name': 'int64'}
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = pd.Series(dtype.categories)
        return {
            "name": "category",
            "ordered": bool(dtype.ordered),
            "categories": encode_column(categories),
            "of": dtype_of(categories),
        }
    return {"name": str(dtype)}


def encode_column(column: pd.Series[Any]) -> list[Any]:
    """Return a column's cells as strict JSON data.

    In numeric columns null is a missing value (NaN) and infinity its name, which ``float()`` and
    ``numpy.asarray(..., float)`` both read. Columns of mixed content are tagged cell by cell.

    Example:
        >>> import pandas as pd
        >>> encode_column(pd.Series([1.0, float("inf"), None]))
        [1.0, 'Infinity', None]
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        positions = column.cat.codes.tolist()
        values = encode_column(pd.Series(dtype.categories))
        return [None if position < 0 else values[position] for position in positions]
    if pd.api.types.is_object_dtype(dtype):
        return [encode(cell) for cell in column.tolist()]
    if pd.api.types.is_float_dtype(dtype):
        nullable = pd.api.types.is_extension_array_dtype(dtype)
        return [_float_cell(cell, nullable=nullable) for cell in column.tolist()]
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return [None if pd.isna(cell) else cell.isoformat() for cell in column]
    return [None if cell is None or cell is pd.NA or cell != cell else cell for cell in column.tolist()]


def _float_cell(cell: Any, *, nullable: bool) -> float | str | None:
    """Encode one float: in a nullable column the missing value is null and NaN has its name."""
    if type(cell) is not float and not hasattr(cell, "__float__"):
        return None
    number = float(cell)
    if math.isnan(number):
        return "NaN" if nullable else None
    return number if math.isfinite(number) else float_text(number)


def decode_column(cells: list[Any], dtype: dict[str, Any]) -> pd.Series[Any]:
    """Restore what :func:`encode_column` and :func:`dtype_of` described.

    Example:
        >>> import pandas as pd
        >>> column = pd.Series([1, 2])
        >>> decode_column(encode_column(column), dtype_of(column)).tolist()
        [1, 2]
    """
    name = dtype["name"]
    if name == "category":
        categories = pd.Index(decode_column(dtype["categories"], dtype["of"]))
        category = pd.CategoricalDtype(categories, ordered=dtype["ordered"])
        values = decode_column(cells, dtype["of"] if None not in cells else {"name": "object"})
        return pd.Series(pd.Categorical(values, dtype=category))
    if name == "object":
        column = pd.Series(np.empty(len(cells), dtype=object))
        for row, cell in enumerate(cells):
            column.iat[row] = decode(cell)
        return column
    if name.startswith("float"):
        return pd.Series(np.asarray([math.nan if cell is None else float(cell) for cell in cells], dtype=name))
    if name.startswith("Float"):
        missing = np.asarray([cell is None for cell in cells], dtype=bool)
        numbers = np.asarray([math.nan if cell is None else float(cell) for cell in cells], dtype=name.lower())
        return pd.Series(pd.arrays.FloatingArray(numbers, missing))
    if name.startswith("datetime64"):
        return pd.Series(pd.DatetimeIndex([pd.Timestamp(c) if c else pd.NaT for c in cells], dtype=name))
    if name.startswith("timedelta64"):
        return pd.Series(pd.TimedeltaIndex([pd.Timedelta(c) if c else pd.NaT for c in cells], dtype=name))
    restored: pd.Series[Any] = pd.Series(cells, dtype=name)
    return restored


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of ``frame`` as JSON objects.

    Example:
        >>> import pandas as pd
        >>> to_records(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
        [{'a': 1, 'b': 'x'}, {'a': 2, 'b': None}]
    """
    columns = {name: encode_column(frame[name]) for name in frame.columns}
    return [{name: cells[row] for name, cells in columns.items()} for row in range(len(frame))]


def from_records(rows: list[dict[str, Any]], columns: list[str], dtypes: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Restore a frame from :func:`to_records` and the types of its columns."""
    index = pd.RangeIndex(len(rows))
    data = {name: decode_column([row[name] for row in rows], dtypes[name]) for name in columns}
    return pd.DataFrame(data, index=index, columns=pd.Index(columns) if columns else None)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write ``frame`` to a parquet file that any reader opens and :func:`read_parquet` restores exactly.

    Columns that parquet has no exact type for (mixed content, lists, categories) are kept as JSON text.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [1, 2], "pair": [(1, 2), (3, 4)]})
        >>> write_parquet(frame, Path("rows.parquet"))
        >>> read_parquet(Path("rows.parquet")).shape
        (2, 2)
    """
    dtypes = {name: dtype_of(frame[name]) for name in frame.columns}
    stored = {}
    as_text = []
    for name in frame.columns:
        column = frame[name]
        if dtypes[name]["name"].rstrip("0123456789") in NATIVE_IN_PARQUET:
            stored[name] = pa.array(column.to_numpy(), from_pandas=dtypes[name]["name"] == "str")
        elif dtypes[name]["name"] == "object" and all(type(cell) is str for cell in column):
            stored[name] = pa.array(column.tolist(), pa.string())
        else:
            as_text.append(name)
            stored[name] = pa.array(
                [json.dumps(cell, ensure_ascii=False) for cell in encode_column(column)], pa.string()
            )
    table = pa.table(stored) if stored else pa.Table.from_pandas(pd.DataFrame(index=frame.index))
    described = {"dtypes": dtypes, "as_text": as_text, "n_rows": len(frame)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA_KEY: json.dumps(described).encode()}),
        path,
        row_group_size=ROWS_TOGETHER,
    )


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a frame written by :func:`write_parquet` (or any other parquet file).

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> write_parquet(pd.DataFrame({"a": [1.0, None]}), Path("rows.parquet"))
        >>> read_parquet(Path("rows.parquet"))["a"].isna().tolist()
        [False, True]
    """
    return _restored(pq.read_table(path), None)


def read_rows(path: Path, column: str, value: object) -> pd.DataFrame:
    """Read the rows of a table in which a column has a value, without the others.

    Of a table that is sorted by the column only the rows stored beside them are looked at, which takes milliseconds
    whatever its length.

    Args:
        path: A file written by :func:`write_parquet`.
        column: A column of numbers or text, such as ``feature``.
        value: The value; text is taken for what the column holds.

    Raises:
        KeyError: If the table has no such column, or it cannot hold the value.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> write_parquet(pd.DataFrame({"feature": [0, 0, 1], "rank": [1, 2, 1]}), Path("effects.parquet"))
        >>> read_rows(Path("effects.parquet"), "feature", 0)["rank"].tolist()
        [1, 2]
    """
    with pq.ParquetFile(path) as file:
        if column not in file.schema_arrow.names:
            raise KeyError(column)
        number = file.schema_arrow.names.index(column)
        kind = file.schema_arrow.field(column).type
        try:
            wanted = pa.scalar(str(value)).cast(kind) if isinstance(value, str) else pa.scalar(value, type=kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            raise KeyError(f"{column}={value!r}") from None
        groups = [
            one for one in range(file.num_row_groups) if _may_hold(file.metadata.row_group(one), number, wanted.as_py())
        ]
        found = file.read_row_groups(groups).combine_chunks() if groups else file.schema_arrow.empty_table()
    kept = found.filter(pc.equal(found.column(column), wanted))
    return _restored(kept, len(kept))


def _may_hold(group: Any, number: int, value: Any) -> bool:
    """Return whether a value lies between the smallest and the largest of a column in some rows; True if unknown."""
    known = group.column(number).statistics
    return known is None or not known.has_min_max or bool(known.min <= value <= known.max)


def _restored(table: pa.Table, n_rows: int | None) -> pd.DataFrame:
    """Return a table with the types that its columns had; ``n_rows`` where these are not all."""
    metadata = (table.schema.metadata or {}).get(METADATA_KEY)
    if metadata is None:
        frame: pd.DataFrame = table.to_pandas()
        return frame
    described = json.loads(metadata)
    columns = list(described["dtypes"])
    data = {}
    for name in columns:
        if name in described["as_text"]:
            cells = [json.loads(text) for text in table.column(name).to_pylist()]
            data[name] = decode_column(cells, described["dtypes"][name])
        else:
            values = table.column(name).to_pandas()
            data[name] = values.astype(described["dtypes"][name]["name"])
    index = pd.RangeIndex(described["n_rows"] if n_rows is None else n_rows)
    return pd.DataFrame(data, index=index, columns=pd.Index(columns) if columns else None)
