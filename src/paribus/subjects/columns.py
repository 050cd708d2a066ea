"""Reading columns of a CSV, JSONL or parquet file by name: sizes are checked before memory is taken."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paribus.errors import DataError, message_of, size_of
from paribus.subjects.json_lines import json_objects

SEPARATORS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
CSV_TO_MEMORY = 10
"""Memory while a text file is read, as a multiple of its size (short texts as Python objects)."""
MOST_OF_MEMORY = 0.5
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__ < "3.1" else {}
"""Numbers are read as they are written; pandas does so by itself from version 3.1 on."""
TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)


def column_names(file: Path) -> list[str]:
    """Return the names of a file's columns, in order; nothing else of it is read.

    Raises:
        DataError: If there is no such file, it is of another kind or damaged, or two columns have one name.
    """
    if not file.is_file():
        raise DataError(f"table {file}: no such file")
    suffix = file.suffix.lower()
    if suffix in PARQUET:
        names = [str(name) for name in _parquet(file).schema_arrow.names]
    elif suffix in SEPARATORS:
        names = _header(file, SEPARATORS[suffix])
    elif suffix in LINES:
        names = list(dict.fromkeys(name for _, _, line in json_objects(file, f"table {file}") for name in line))
    else:
        valid = ", ".join((*SEPARATORS, *LINES, *PARQUET))
        raise DataError(f"table {file}: unknown kind {file.suffix!r}; valid: {valid}")
    blank = [place for place, name in enumerate(names, start=1) if not name.strip()]
    if blank:
        raise DataError(
            f"table {file}: column {blank[0]} has no name; name it, or write the table without its index (index=False)"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"table {file}: two columns are named {twice[0]!r}; names must differ")
    return names


def read_columns(file: Path, names: Sequence[str], *, texts: Sequence[str], missing: Sequence[str]) -> pd.DataFrame:
    """Read columns of a file.

    Args:
        file: A file that :func:`column_names` has looked at.
        names: The columns to read.
        texts: Those of them that are read as texts, whatever they look like (``01`` stays ``01``).
        missing: Texts of a CSV file that stand for a missing value; in JSON lines a null does,
            and a key that a line lacks.

    Returns:
        One column per name: ``float64`` for numbers with NaN where one is missing, else texts with None.

    Raises:
        DataError: If the file is damaged or does not fit in memory, a row has another number of fields than the header,
            or a column holds what is neither number nor text.
    """
    suffix = file.suffix.lower()
    read = _read_parquet if suffix in PARQUET else _read_lines if suffix in LINES else _read_csv
    frame = read(file, list(names), set(texts), list(missing))
    if not len(frame):
        raise DataError(f"table {file}: has no rows")
    return frame


def _header(file: Path, separator: str) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            names = next(csv.reader(stream, delimiter=separator), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"table {file}: not a readable CSV file in UTF-8 ({error})") from None
    if not names:
        raise DataError(f"table {file}: is empty; its first line must name the columns")
    if len(names) == 1 and ";" in names[0]:
        raise DataError(f"table {file}: has a single column {names[0]!r}; fields must be separated by {separator!r}")
    return names


def _read_csv(file: Path, names: list[str], texts: set[str], missing: list[str]) -> pd.DataFrame:
    _refuse_size(file, file.stat().st_size * CSV_TO_MEMORY)
    separator = SEPARATORS[file.suffix.lower()]
    _refuse_ragged(file, separator)
    try:
        frame = pd.read_csv(
            file,
            sep=separator,
            usecols=names,
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=missing,
            low_memory=False,  # one type for a whole column, not one for each part of the file
            **EXACT,
            encoding="utf-8-sig",
        )
    except (ValueError, OSError) as error:  # pandas' own errors of parsing are ValueErrors
        raise DataError(f"table {file}: not a readable CSV file ({message_of(error)})") from None
    return pd.DataFrame({name: _plain(frame[name], name in texts, f"table {file}: {name}") for name in names})


def _refuse_ragged(file: Path, separator: str) -> None:
    """Refuse rows that are longer or shorter than the header: their values would go to other columns unnoticed."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, delimiter=separator)
            width = len(next(rows))
            for row in rows:
                if row and len(row) != width:
                    raise DataError(f"table {file}: line {rows.line_num} has {len(row)} fields, the header has {width}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"table {file}: not a readable CSV file in UTF-8 ({error})") from None


def _read_lines(file: Path, names: list[str], texts: set[str], missing: list[str]) -> pd.DataFrame:
    _refuse_size(file, file.stat().st_size * CSV_TO_MEMORY)
    values: dict[str, list[Any]] = {name: [] for name in names}
    for _, _, line in json_objects(file, f"table {file}"):
        for name in names:
            values[name].append(line.get(name))
    return pd.DataFrame({name: _of_json(values[name], name in texts, f"table {file}: {name}") for name in names})


def _of_json(values: list[Any], text: bool, where: str) -> pd.Series:
    """Return values of JSON as float64, or as texts with None."""
    odd = next((one for one in values if isinstance(one, list | dict)), None)
    if odd is not None:
        raise DataError(f"{where}: holds {odd!r:.60}; columns hold numbers or texts")
    known = [one for one in values if one is not None]
    if not text and known and all(isinstance(one, int | float) for one in known):
        return pd.Series([math.nan if one is None else float(one) for one in values])
    return pd.Series([None if one is None else str(one) for one in values], dtype=object)


def _plain(column: pd.Series, text: bool, where: str) -> pd.Series:
    """Return a column as float64, or as texts with None."""
    kind = column.dtype.kind
    if not text and kind in "biuf":
        return column.astype("float64")
    if kind == "M":
        raise DataError(f"{where}: holds dates; give numbers (days since ...) or categories")
    known = column.notna().to_numpy()
    texts = [str(value) if there else None for value, there in zip(column.tolist(), known, strict=True)]
    return pd.Series(texts, dtype=object)


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"table {file}: damaged or not a parquet file ({message_of(error)})") from None


def _read_parquet(file: Path, names: list[str], texts: set[str], missing: list[str]) -> pd.DataFrame:
    opened = _parquet(file)
    groups = (opened.metadata.row_group(k) for k in range(opened.metadata.num_row_groups))
    _refuse_size(file, max(sum(group.total_byte_size for group in groups), 8 * opened.metadata.num_rows * len(names)))
    try:
        table = opened.read(columns=names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"table {file}: damaged ({message_of(error)})") from None
    return pd.DataFrame({name: _of_arrow(table[name], name in texts, f"table {file}: {name}") for name in names})


def _of_arrow(column: Any, text: bool, where: str) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    number = any(is_kind(kind) for is_kind in NUMBERS)
    if number and not text:
        plain: pd.Series = (
            (column.cast(pa.int8()) if pa.types.is_boolean(kind) else column).cast(pa.float64()).to_pandas()
        )
        return plain
    if not number and not any(is_kind(kind) for is_kind in TEXTS):
        raise DataError(f"{where}: holds {kind}; columns hold numbers or texts")
    return _plain(column.cast(pa.string()).to_pandas(), True, where)


def _refuse_size(file: Path, needed: int) -> None:
    """Refuse a file that would not fit in memory, before any of it is read."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if needed > MOST_OF_MEMORY * memory:
        raise DataError(
            f"table {file}: takes about {size_of(needed)} in memory, more than half of this machine's "
            f"{size_of(memory)}; keep the columns and rows that are needed in a parquet file"
        )
