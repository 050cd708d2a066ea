"""A result as ``result.json`` and a folder of tables, and back without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from paribus.errors import DataError
from paribus.results.evidence import Evidence
from paribus.results.files import (
    PARTIAL_FILE,
    RESULT_FILE,
    ROWS_IN_JSON,
    TABLE_FOLDER,
    check_name,
    replacing,
    write_text,
)
from paribus.results.frames import check_frame, dtype_of, from_records, read_parquet, to_records, write_parquet
from paribus.results.schema import Aggregates, Artifact, Curve, Diagnostics, EngineReport, Figure, Result, Table
from paribus.results.seal import refuse_changed, sealed
from paribus.results.values import decode, decode_float, encode, encode_float

FORMAT = 1
FLOATS = frozenset(
    {"mean_delta", "std_delta", "base_activation_mean", "base_activation_std", "relu_floor_rate", "parity_max_abs_diff"}
)
"""Fields that hold a float: one that is not finite is kept by its name alone."""
Part = TypeVar("Part")


def to_json(result: Result, *, rows_limit: int | None = None) -> str:
    """Return ``result`` as one strict JSON text (RFC 8259: no bare NaN or Infinity).

    Its last entry, ``digest``, is the hash of all that comes before (SHA-256), so that a change is noticed.

    Args:
        result: The result.
        rows_limit: Leave out the rows of tables longer than this (they then say which file holds them).

    Example:
        >>> from paribus.results.evidence import Evidence
        >>> from paribus.results.schema import Aggregates, Diagnostics, Result
        >>> head = ("abc", "pixel_noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> found = Result(*head, Aggregates(mean_delta=float("nan")), {}, Diagnostics())
        >>> text = to_json(found)
        >>> from_json(text).aggregates.mean_delta
        nan
    """
    text = json.dumps(to_tree(result, rows_limit=rows_limit), ensure_ascii=False, allow_nan=False, indent=1)
    return sealed(text)


def from_json(text: str, *, folder: Path | None = None) -> Result:
    """Restore a result from :func:`to_json`.

    Args:
        text: The JSON text.
        folder: Where the files of tables are whose rows were left out.

    Raises:
        DataError: If it is not the JSON of a result, was changed after it was written, or a table's file is not there.

    Example:
        >>> try:
        ...     from_json("{}")
        ... except DataError as error:
        ...     print(str(error).partition(":")[0])
        not a readable result.json
    """
    refuse_changed(text)
    try:
        return from_tree(json.loads(text), folder=folder)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"not a readable {RESULT_FILE}: {type(error).__name__}: {error}") from error


def write(result: Result, folder: Path) -> Path:
    """Write ``result.json`` and ``tables/<name>.parquet`` under ``folder``; return the path of the former.

    Example:
        >>> from pathlib import Path
        >>> from paribus.results.evidence import Evidence
        >>> from paribus.results.schema import Aggregates, Diagnostics, Result
        >>> head = ("abc", "pixel_noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> write(Result(*head, Aggregates(mean_delta=0.4), {}, Diagnostics()), Path("run")).name
        'result.json'
        >>> read(Path("run")).aggregates.mean_delta
        0.4
    """
    for table in result.tables.values():
        write_table(table, folder)
    return write_text(folder / RESULT_FILE, to_json(result, rows_limit=ROWS_IN_JSON))


def read(folder: Path) -> Result:
    """Read what :func:`write` wrote: the result of a run that finished.

    Raises:
        DataError: If the folder holds no readable result.

    Example:
        >>> from pathlib import Path
        >>> try:
        ...     read(Path("nothing_here"))
        ... except DataError as error:
        ...     print("refused")
        refused
    """
    if not (folder / RESULT_FILE).is_file() and (folder / PARTIAL_FILE).is_file():
        raise DataError(f"{folder}: holds no {RESULT_FILE}, the run did not finish; {PARTIAL_FILE} has what it found")
    return _read(folder, RESULT_FILE)


def read_partial(folder: Path) -> Result:
    """Read what a run that did not finish had found.

    Raises:
        DataError: If the folder holds no readable ``partial.json``.

    Example:
        >>> from paribus.results.evidence import Evidence
        >>> head = ("abc", "pixel_noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> found = Result(*head, Aggregates(), {}, Diagnostics(), success=False, error_message="out of memory")
        >>> Path("unfinished").mkdir()
        >>> _ = Path("unfinished", PARTIAL_FILE).write_text(to_json(found))
        >>> read_partial(Path("unfinished")).error_message
        'out of memory'
    """
    return _read(folder, PARTIAL_FILE)


def _read(folder: Path, name: str) -> Result:
    path = folder / name
    if not path.is_file():
        raise DataError(f"{folder}: holds no {name}")
    try:
        return from_json(path.read_text(encoding="utf-8"), folder=folder)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a readable {name}: {error}") from None


def write_table(table: Table, folder: Path) -> Path:
    """Write one table as ``tables/<name>.parquet`` under ``folder`` and return its path.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> from paribus.results.evidence import Evidence
        >>> table = Table("rows", "One row.", Evidence.WEIGHTS, pd.DataFrame({"a": [1]}))
        >>> write_table(table, Path("run")).name
        'rows.parquet'
    """
    path = folder / TABLE_FOLDER / f"{check_name(table.name)}.parquet"
    with replacing(path) as partial:
        write_parquet(check_frame(table.name, table.frame), partial)
    return path


def to_tree(result: Result, *, rows_limit: int | None = None) -> dict[str, Any]:
    """Return ``result`` as JSON data, in the order a reader wants to see it."""
    return {
        "format": FORMAT,
        "spec_id": result.spec_id,
        "experiment_type": result.experiment_type,
        "evidence": str(result.evidence),
        "feature": result.feature,
        "model": result.model,
        "subject": result.subject,
        "aggregates": _node(result.aggregates),
        "metrics": {name: encode_float(value) for name, value in result.metrics.items()},
        "tables": {name: _table_tree(table, rows_limit) for name, table in result.tables.items()},
        "diagnostics": _node(result.diagnostics),
        "figures": [_node(figure) for figure in result.figures],
        "curves": [_curve_tree(curve) for curve in result.curves],
        "config": encode(result.config),
        "provenance": encode(result.provenance),
        "success": bool(result.success),
        "error_message": result.error_message,
        "started_at": result.started_at,
        "duration_seconds": encode_float(result.duration_seconds),
        "run_id": result.run_id,
        "artifacts": {
            name: {"size": found.size, "sha256": found.digest} for name, found in sorted(result.artifacts.items())
        },
    }


def from_tree(tree: Mapping[str, Any], *, folder: Path | None = None) -> Result:
    """Restore a result from :func:`to_tree`."""
    if tree["format"] != FORMAT:
        raise ValueError(f"format {tree['format']!r} is not known to this version (it reads format {FORMAT})")
    return Result(
        spec_id=tree["spec_id"],
        experiment_type=tree["experiment_type"],
        evidence=Evidence(tree["evidence"]),
        feature=tree["feature"],
        model=tree["model"],
        subject=tree["subject"],
        aggregates=restored(Aggregates, tree["aggregates"]),
        tables={name: _table(node, folder) for name, node in tree["tables"].items()},
        diagnostics=_diagnostics(tree["diagnostics"]),
        figures=tuple(restored(Figure, node, tables=tuple(node["tables"])) for node in tree["figures"]),
        curves=tuple(_curve(node) for node in tree["curves"]),
        metrics={name: float(value) for name, value in tree["metrics"].items()},
        config=decode(tree["config"]),
        provenance=decode(tree["provenance"]),
        success=tree["success"],
        error_message=tree["error_message"],
        started_at=tree["started_at"],
        duration_seconds=decode_float(tree["duration_seconds"]),
        run_id=tree["run_id"],
        artifacts={name: Artifact(node["size"], node["sha256"]) for name, node in tree.get("artifacts", {}).items()},
    )


def _table_tree(table: Table, rows_limit: int | None) -> dict[str, Any]:
    """Return one table as JSON data: ``columns`` are names, ``rows`` are records."""
    frame = check_frame(table.name, table.frame)
    tree: dict[str, Any] = {
        "name": table.name,
        "description": table.description,
        "evidence": str(table.evidence),
        "columns": list(frame.columns),
        "column_descriptions": dict(table.columns),
        "dtypes": {name: dtype_of(frame[name]) for name in frame.columns},
        "n_rows": len(frame),
    }
    if (rows_limit is not None and len(frame) > rows_limit) or not len(frame.columns):
        return {**tree, "file": f"{TABLE_FOLDER}/{check_name(table.name)}.parquet", "rows": []}
    return {**tree, "rows": to_records(frame)}


def _table(node: Mapping[str, Any], folder: Path | None) -> Table:
    """Restore one table, from its file where the rows were left out."""
    if not node["columns"]:
        frame = pd.DataFrame(index=pd.RangeIndex(node["n_rows"]))
    elif "file" in node:
        path = None if folder is None else folder / TABLE_FOLDER / f"{check_name(node['name'])}.parquet"
        if path is None or not path.is_file():
            raise DataError(f"table {node['name']!r}: its rows are in {node['file']}, which is not here")
        frame = read_parquet(path)
    else:
        frame = from_records(node["rows"], node["columns"], node["dtypes"])
    return Table(
        name=node["name"],
        description=node["description"],
        evidence=Evidence(node["evidence"]),
        frame=frame,
        columns=node["column_descriptions"],
    )


def _curve_tree(curve: Curve) -> dict[str, Any]:
    """Return one curve as JSON data."""
    return {
        "name": curve.name,
        "level_name": curve.level_name,
        "levels": [encode_float(level) for level in curve.levels],
        "values": [encode_float(value) for value in curve.values],
    }


def _curve(node: Mapping[str, Any]) -> Curve:
    """Restore one curve."""
    return Curve(
        name=node["name"],
        levels=tuple(float(level) for level in node["levels"]),
        values=tuple(float(value) for value in node["values"]),
        level_name=node["level_name"],
    )


def _diagnostics(node: Mapping[str, Any]) -> Diagnostics:
    """Restore the diagnostics."""
    engine = restored(EngineReport, node["engine"])
    return restored(Diagnostics, node, engine=engine, warnings=tuple(node["warnings"]))


def _node(part: Any) -> dict[str, Any]:
    """Return a dataclass as JSON data, field by field."""
    tree: dict[str, Any] = {}
    for each in fields(part):
        value = getattr(part, each.name)
        if isinstance(value, EngineReport):
            tree[each.name] = _node(value)
        else:
            tree[each.name] = encode_float(value) if each.name in FLOATS else encode(value)
    return tree


def restored(cls: type[Part], node: Mapping[str, Any], **known: Any) -> Part:
    """Restore a dataclass from its JSON data.

    Args:
        cls: The class.
        node: What :func:`to_tree` made of it.
        known: Fields that are restored already.
    """
    names = [each.name for each in fields(cls) if each.name not in known]  # type: ignore[arg-type]
    return cls(**{name: decode_float(node[name]) if name in FLOATS else decode(node[name]) for name in names}, **known)
