"""``paribus show RUN``: one run, what it found first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paribus import results
from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.cli.found import named_run, started, took
from paribus.errors import ConfigError, ParibusError, nearest
from paribus.results.files import REPORT_FILE, TABLE_FOLDER
from paribus.results.found import lines
from paribus.tracking.artifacts import local_path
from paribus.tracking.interface import Store
from paribus.tracking.kept import KeptRun

SUMMARY = "one run: status, what it found, metrics, files, nested runs; params and tags with --all"
USAGE = """
paribus show RUN [--all] [--table NAME] [--row COLUMN=VALUE] [tracking=... tracking.folder=DIR]

RUN is the id of a run, its first digits (paribus runs lists them), or latest. Says what was found, with intervals, and
where to look. --all adds params and tags. --row feature=12 prints the rows of every table that has the column (or of
--table) in which it has the value; the other rows are not read.
"""


def run(arguments: Sequence[str]) -> int:
    """Print the run.

    Raises:
        ConfigError: If there is no such run.
    """
    parser = Arguments("show")
    parser.add_argument("run", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table")
    parser.add_argument("--row")
    parser.store_options()
    asked = parser.take(arguments)
    store, one = named_run("show", asked)
    if asked.table is not None or asked.row is not None:
        _print_rows(store, one.run_id, asked.table, asked.row)
        return 0
    when = ", ".join(filter(None, (started(one), took(one))))
    print(f"{one.run_id}  {one.name}\n{one.status} in {one.experiment}, {when}")
    if told := _told(store, one):
        print("\n" + "\n".join(f"  {line}" for line in told))
    if asked.all:
        _section("tags", {key: value for key, value in one.tags.items() if not key.startswith(("mlflow.", "paribus."))})
        _section("params", one.params)
    _section("metrics", {name: f"{value:.6g}" for name, value in one.metrics.items()})
    _section(
        "nested runs", {nested.run_id[:8]: f"{nested.status}  {nested.name}" for nested in store.children(one.run_id)}
    )
    files = [path for folder in ("", "tables", "figures") for path in store.artifacts(one.run_id, folder)]
    _section("files", dict.fromkeys(files, ""))
    place = local_path(one.artifact_uri or "")
    page = place / REPORT_FILE if place is not None else None
    print(f"\nartifacts: {one.artifact_uri}" if page is None or not page.exists() else f"\npage: {page}")
    if not asked.all:
        print(f"params and tags: paribus show {one.run_id[:8]} --all")
    return 0


def _told(store: Store, run: KeptRun) -> list[str]:
    """Return what a run found, or why it did not finish, and what it warns of."""
    told = [f"{run.status}: {run.tags['error_message']}"] if "error_message" in run.tags else []
    try:
        result = store.result(run.run_id)
    except ParibusError:
        return told
    return [*told, *lines(result), *(f"warning: {warning}" for warning in result.diagnostics.warnings)]


def _print_rows(store: Store, run_id: str, table: str | None, row: str | None) -> None:
    """Print a table of a run, or the rows of its tables in which a column has a value.

    Raises:
        ConfigError: If there is no such table or column, or the text names no value.
    """
    paths = [path for path in store.artifacts(run_id, TABLE_FOLDER) if path.endswith(".parquet")]
    names = {Path(path).stem: path for path in paths}
    if table is not None and table not in names:
        raise ConfigError(f"show: run {run_id[:8]} has no table {table!r}; {nearest(table, names)}")
    column, given, value = (row or "").partition("=")
    if row is not None and not (column and given):
        raise ConfigError(f"show: --row wants COLUMN=VALUE, such as feature=12, got {row!r}")
    shown = 0
    for name, path in sorted(names.items()):
        if table not in (None, name):
            continue
        file = store.download(run_id, path)
        try:
            frame = results.read_parquet(file) if row is None else results.read_rows(file, column, value)
        except KeyError:
            continue
        shown += 1
        print(f"{name}\n{frame.to_string(index=False)}\n")
    if not shown:
        raise ConfigError(f"show: no table of run {run_id[:8]} has a column {column!r} with such a value")


def _section(title: str, entries: Mapping[str, Any]) -> None:
    rows = [(str(key), " ".join(str(value).split())) for key, value in sorted(entries.items())]
    if rows:
        print(f"\n{title}\n{aligned(rows, indent='  ')}")
