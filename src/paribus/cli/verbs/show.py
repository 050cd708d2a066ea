"""``paribus show RUN``: everything about one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.cli.found import found_run
from paribus.cli.store import tracking_spec
from paribus.errors import ConfigError
from paribus.tracking.spec import database, has_runs
from paribus.tracking.store import open_store

SUMMARY = "one run: status, params, metrics, tags, files, nested runs"
USAGE = """
paribus show RUN [tracking=... tracking.folder=DIR]

RUN is the id of a run, its first digits (paribus runs lists them), or latest.
"""


def run(arguments: Sequence[str]) -> int:
    """Print the run.

    Raises:
        ConfigError: If there is no such run.
    """
    parser = Arguments("show")
    parser.add_argument("run", nargs="?")
    parser.store_options()
    asked = parser.take(arguments)
    if asked.run is None or "=" in asked.run:
        raise ConfigError("show: wants a run (paribus show RUN; paribus runs lists them)")
    spec = tracking_spec(asked.overrides, asked.config_dir)
    if not has_runs(spec):
        raise ConfigError(f"show: there are no runs yet: no {database(spec)}")

    store = open_store(spec, writing=False)
    one = found_run("show", store, asked.run)
    took = f", {(one.ended_at - one.started_at).total_seconds():.1f} s" if one.ended_at else ""
    started = one.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    print(f"{one.run_id}  {one.name}\n{one.status} in {one.experiment}, {started}{took}")
    visible = {key: value for key, value in one.tags.items() if not key.startswith(("mlflow.", "paribus."))}
    _section("tags", visible)
    _section("params", one.params)
    _section("metrics", {name: f"{value:.6g}" for name, value in one.metrics.items()})
    _section(
        "nested runs", {nested.run_id[:8]: f"{nested.status}  {nested.name}" for nested in store.children(one.run_id)}
    )
    files = [path for folder in ("", "tables", "figures") for path in store.artifacts(one.run_id, folder)]
    _section("files", dict.fromkeys(files, ""))
    print(f"\nartifacts: {one.artifact_uri}")
    return 0


def _section(title: str, entries: Mapping[str, Any]) -> None:
    rows = [(str(key), " ".join(str(value).split())) for key, value in sorted(entries.items())]
    if rows:
        print(f"\n{title}\n{aligned(rows, indent='  ')}")
