"""What stands in a working folder and its store, read from the files themselves and not through the program."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from paribus.tracking.derived import DERIVED, ROLE_TAG

RUNS = """select r.run_uuid, r.name, r.status, r.artifact_uri from runs r
join experiments e on e.experiment_id = r.experiment_id where e.name = ? order by r.start_time, r.run_uuid"""
TAGS = "select key, value from tags where run_uuid = ?"
RESUMED = "taken up again"
"""A training that was killed goes on where it was, and says so: that is the one thing that may differ."""
METRICS = "select key, step, value from metrics where run_uuid = ? order by key, step, timestamp"


@dataclass
class Seen:
    """What was seen.

    Attributes:
        finished: Of each identity, experiment type and a hash over all numbers of its finished run.
        statuses: Of each run, its name and status.
        problems: What is wrong.
    """

    finished: dict[str, tuple[str, str]] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def look(database: Path, artifacts: Path | None, experiment: str, folder: Path, *, in_between: bool = False) -> Seen:
    """Look at everything.

    Args:
        database: The store's database.
        artifacts: Where the artifacts of a server stand; None: where the database says.
        experiment: MLflow experiment of the runs.
        folder: The working folder.
        in_between: Whether the command was only stopped so far: a run may be RUNNING then, and files left behind.
    """
    seen = Seen()
    if not database.is_file():
        seen.problems += [] if in_between else ["there is no store"]
        return seen
    with contextlib.closing(sqlite3.connect(database, timeout=20.0)) as connection:
        if connection.execute("pragma integrity_check").fetchall() != [("ok",)]:
            seen.problems.append("the database is damaged")
        for run_id, name, status, uri in connection.execute(RUNS, (experiment,)).fetchall():
            seen.statuses.append((name, status))
            if status == "FINISHED":
                where = _place(uri) if artifacts is None else artifacts / run_id / "artifacts"
                _finished(connection, run_id, name, where, seen)
    if not in_between:
        seen.problems += [f"{name} is RUNNING" for name, status in seen.statuses if status == "RUNNING"]
        left = [*folder.glob("multirun/.work/*/*"), *(p for p in folder.glob("mlflow.db*") if p.suffix != ".db")]
        seen.problems += [f"left behind: {path.relative_to(folder)}" for path in left]
    return seen


def _place(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _finished(connection: sqlite3.Connection, run_id: str, name: str, where: Path, seen: Seen) -> None:
    """Look at one finished run: whole, nothing else in its folder, the only one of its identity."""
    tags = dict(connection.execute(TAGS, (run_id,)).fetchall())
    if tags.get(ROLE_TAG) == DERIVED:  # it stands for a group in the UI, and has no files
        return
    try:
        tree = json.loads((where / "result.json").read_text())
    except (OSError, ValueError) as error:
        seen.problems.append(f"{name} is FINISHED without a readable result: {error}")
        return
    if not tree["success"] or "error_message" in tags:
        seen.problems.append(f"{name} is FINISHED and says that it failed")
    there = {str(path.relative_to(where)): path for path in where.rglob("*") if path.is_file()}
    for path, told in tree["artifacts"].items():
        if path not in there or hashlib.sha256(there[path].read_bytes()).hexdigest() != told["sha256"]:
            seen.problems.append(f"{name} is FINISHED without {path} as it was")
    for path in sorted(there.keys() - tree["artifacts"].keys() - {"result.json"}):
        seen.problems.append(f"{name}: {path} stands in a finished run")
    kind, key = tags["experiment_type"], tags["identity"]
    metrics = connection.execute(METRICS, (run_id,)).fetchall()
    numbers = _numbers(tree, metrics)
    if tags["subject"] == "runs":  # its identity is that of the very runs it is made from, and it tells of killed ones
        key, numbers = kind, json.dumps(tree["metrics"], sort_keys=True)
    if key in seen.finished:
        seen.problems.append(f"{name}: two finished runs")
    seen.finished[key] = (kind, numbers)


def _numbers(tree: dict[str, Any], metrics: list[tuple[str, int, float]]) -> str:
    """Return a hash over everything that a run says about numbers, without ids and times of day."""
    named = ("aggregates", "metrics", "tables", "curves", "figures", "feature", "subject", "diagnostics")
    numbers = {name: tree[name] for name in named}
    numbers["aggregates"]["custom"].pop("resumed_from", None)
    warnings = numbers["diagnostics"]["warnings"]
    numbers["diagnostics"]["warnings"] = [text for text in warnings if RESUMED not in text]
    for table in numbers["tables"].values():
        table["rows"] = [{k: v for k, v in row.items() if not _of_this_run(k)} for row in table["rows"]]
    histories: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for key, step, value in metrics:
        if not _of_this_run(key):
            histories[key].append((step, value))
    text = json.dumps([numbers, histories, sorted(tree["artifacts"])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _of_this_run(name: str) -> bool:
    return name.endswith(("run_id", "seconds", "started_at", "resumed_from"))
