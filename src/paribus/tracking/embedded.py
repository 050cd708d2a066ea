"""Reading the tables of an embedded store directly: ten thousand runs in seconds, where MLflow takes half a minute.

Nothing is written here, and a run's own row is read before its params, metrics and tags, so that a finished run is read
completely.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from paribus.tracking import _mlflow
from paribus.tracking.kept import KeptRun, kept_run
from paribus.tracking.params import from_text
from paribus.tracking.patience import StoreError, connect, refuse_locked

AT_ONCE = 500
"""Runs whose params, metrics and tags are read by one query; a query takes a bounded number of values."""
_COLUMNS = {
    "run_id": "run_uuid", "status": "status", "artifact_uri": "artifact_uri", "start_time": "start_time",
    "end_time": "end_time",
}  # fmt: skip
"""The attributes of a run that are searched here, and their columns."""
_TEXTS = {"tag": "tags", "parameter": "params"}
_COMPARES = ("=", "!=", "LIKE")
_HAS_TAG = "exists (select 1 from tags t where t.run_uuid = r.run_uuid and t.key = ? and t.value = ?)"
_ORDERS = ("=", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class QueryPart:
    """A condition on a run ``r``, as a part of a query and the values for its question marks."""

    sql: str
    values: tuple[Any, ...] = ()


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading.

    A transaction left incomplete by a killed process is rolled back by the next reader; sqlite distinguishes it from
    one in progress by the locks. The rollback writes to the file, so it is opened for writing if possible; nothing else
    is written through the connection.

    Raises:
        StoreError: If it is not readable, here or while it is read.
        ExperimentError: If another process keeps it locked for too long.
    """
    try:
        with closing(connect(database, mode="rw")) as connection:
            connection.execute("pragma query_only = true")
            connection.execute("pragma case_sensitive_like = true")  # as MLflow does
            yield connection
    except sqlite3.Error as error:
        refuse_locked(database, error)
        raise StoreError(f"{database}: cannot be read ({error}); paribus doctor says more") from None


def copy_database(database: Path, to: Path) -> None:
    """Copy a consistent snapshot of a database, even while it is written; an existing file is replaced.

    Raises:
        DataError: If it cannot be read or copied.
    """
    to.unlink(missing_ok=True)
    with opened(database) as source, closing(sqlite3.connect(to)) as copied:
        source.backup(copied)


def conditions(where: str) -> list[QueryPart] | None:
    """Return the conditions of a filter in MLflow's search syntax; None if only MLflow itself can apply it.

    Raises:
        MlflowException: If MLflow cannot read it.
    """
    if not where:
        return []
    search: Any = _mlflow.SearchUtils
    found = [_condition(part) for part in search.parse_search_filter(where)]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


def _condition(part: Mapping[str, Any]) -> QueryPart | None:
    kind, key, compare, value = part["type"], part["key"], str(part["comparator"]).upper(), part["value"]
    if kind == "attribute" and key in _COLUMNS:
        timed = key.endswith("_time")
        if compare in (_ORDERS if timed else _COMPARES):
            return QueryPart(f"r.{_COLUMNS[key]} {compare} ?", (int(value) if timed else value,))
    elif kind in _TEXTS and compare in _COMPARES:
        has = f"select 1 from {_TEXTS[kind]} t where t.run_uuid = r.run_uuid and t.key = ? and t.value {compare} ?"
        return QueryPart(f"exists ({has})", (key, value))
    elif kind == "metric" and compare in _ORDERS:
        also = "or m.is_nan" if compare == "!=" else "and not m.is_nan"
        has = f"m.run_uuid = r.run_uuid and m.key = ? and (m.value {compare} ? {also})"
        return QueryPart(f"exists (select 1 from latest_metrics m where {has})", (key, float(value)))
    return None


def without_tag(name: str, value: str) -> QueryPart:
    """Return the condition that a run does not have a tag of this value, which MLflow's search cannot ask.

    Example:
        >>> without_tag("paribus.role", "derived").values
        ('paribus.role', 'derived')
    """
    return QueryPart(f"not {_HAS_TAG}", (name, value))


def with_tag(name: str, value: str) -> QueryPart:
    """Return the condition that a run has a tag of this value.

    Example:
        >>> with_tag("identity", "abc").values
        ('identity', 'abc')
    """
    return QueryPart(_HAS_TAG, (name, value))


def with_status(status: str) -> QueryPart:
    """Return the condition that a run has a status.

    Example:
        >>> with_status("FINISHED").sql
        'r.status = ?'
    """
    return QueryPart("r.status = ?", (status,))


def experiments(connection: sqlite3.Connection, *, deleted: bool = False) -> dict[str, str]:
    """Return the names of the active, or of the deleted, MLflow experiments by id."""
    query = "select experiment_id, name from experiments where lifecycle_stage = ?"
    rows = connection.execute(query, ("deleted" if deleted else "active",))
    return {str(number): str(name) for number, name in rows}


def experiment_tags(connection: sqlite3.Connection, number: str) -> dict[str, str]:
    """Return the tags of an MLflow experiment."""
    rows = connection.execute("select key, value from experiment_tags where experiment_id = ?", (int(number),))
    return {str(key): str(value) for key, value in rows}


def artifact_uri(database: Path, run_id: str) -> str | None:
    """Return where the artifacts of a run are, None where there is no such run."""
    with opened(database) as connection:
        row = connection.execute("select artifact_uri from runs where run_uuid = ?", (run_id,)).fetchone()
    return None if row is None else str(row[0] or "")


def read_runs(
    connection: sqlite3.Connection, chosen: Mapping[str, str], asked: Sequence[QueryPart] = (), limit: int | None = None
) -> list[KeptRun]:
    """Return the runs of some MLflow experiments, the latest first, as MLflow's own search does.

    Args:
        connection: The embedded store's database, as :func:`opened` opens it.
        chosen: Names of the MLflow experiments by id.
        asked: Conditions on the runs.
        limit: The most runs to return.
    """
    if not chosen:
        return []
    query = (
        "select r.run_uuid, r.name, r.status, r.experiment_id, r.start_time, r.end_time, r.artifact_uri from runs r "
        f"where r.lifecycle_stage = 'active' and r.experiment_id in ({_marks(chosen)})"
        f"{''.join(f' and {each.sql}' for each in asked)} order by r.start_time desc, r.run_uuid"
    )
    values = [*map(int, chosen), *(value for each in asked for value in each.values)]
    if limit:
        query, values = f"{query} limit ?", [*values, limit]
    found: list[KeptRun] = []
    param = _Typed().__getitem__
    rows = connection.execute(query, values).fetchall()
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        ids = [row[0] for row in some]
        params = _by_run(connection, "params", "value", ids, param)
        metrics = _by_run(connection, "latest_metrics", "case when is_nan then null else value end", ids, _number)
        tags = _by_run(connection, "tags", "value", ids, str)
        for run_id, name, status, number, start, end, uri in some:
            found.append(
                kept_run(
                    run_id=run_id,
                    name=name,
                    status=status,
                    experiment=chosen[str(number)],
                    start=start,
                    end=end,
                    params=params.get(run_id, {}),
                    metrics=metrics.get(run_id, {}),
                    tags=tags.get(run_id, {}),
                    artifact_uri=uri,
                )
            )
    return found


def _by_run(
    connection: sqlite3.Connection, table: str, value: str, ids: Sequence[str], read: Callable[[Any], Any]
) -> dict[str, dict[str, Any]]:
    """Return the values of a table for each run, by name, in the order of writing."""
    found: dict[str, dict[str, Any]] = {}
    query = f"select run_uuid, key, {value} from {table} where run_uuid in ({_marks(ids)}) order by rowid"
    for run_id, key, said in connection.execute(query, ids):
        found.setdefault(run_id, {})[intern(key)] = read(said)
    return found


class _Typed(dict[str, Any]):
    """Params by their texts; a value shared by many runs is parsed once, unless it is mutable."""

    def __missing__(self, text: str) -> Any:
        value = from_text(text)
        if not isinstance(value, list | dict):
            self[text] = value
        return value


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _marks(values: Sequence[Any] | Mapping[Any, Any]) -> str:
    return ", ".join("?" * len(values))
