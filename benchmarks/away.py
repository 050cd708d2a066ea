"""A server that goes away while runs go on, and a delivery that is cut short: everything arrives once.

``python -m benchmarks.away`` cuts the line to the server at every call of three runs, and of the delivery of what they
left in the spool, each time before and after the call has done what it does. ``--server`` kills a real tracking server
over PostgreSQL in the middle of a sweep with workers instead, starts it again, and delivers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from benchmarks.kills import TINY, Sweep
from benchmarks.servers import team
from paribus.results.evidence import Evidence
from paribus.results.io import to_json
from paribus.results.schema import Aggregates, Curve, Diagnostics, Result, Table
from paribus.tracking import local, opening, spool
from paribus.tracking.delivery import Delivered, deliver, waiting
from paribus.tracking.file_run import FINISHED, FileRun
from paribus.tracking.kept import ONCE_TAG
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.spool import Spool, SpoolingStore, spool_of
from paribus.tracking.store import MlflowStore

ENDS = {"aa": "FINISHED", "cc": "FINISHED", "ff": "FAILED"}


class Line:
    """The line to a server: MLflow's client, which can be cut off at a call."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.restore()

    def restore(self) -> None:
        """Let everything through."""
        self.calls, self.up, self._at, self._after = 0, True, -1, False

    def cut(self, at: int, *, after: bool) -> None:
        """Be cut at a call, counted from 1, before or after it has done what it does."""
        self.restore()
        self._at, self._after = at, after

    def __getattr__(self, name: str) -> Any:
        """Return a method of the client, or what is no method."""
        method = getattr(self.client, name)
        if not callable(method):
            return method

        def call(*words: Any, **named: Any) -> Any:
            self.calls += self.up
            if self.up and self.calls != self._at:
                return method(*words, **named)
            if self.up and self._after:
                method(*words, **named)
            self.up = False
            raise ConnectionError("the server is away")

        return call


@contextlib.contextmanager
def line_to(spec: TrackingSpec) -> Iterator[Line]:
    """Put a line between this process and a server."""
    client_of = opening.client_of
    made = Line(client_of(str(spec.uri)))

    def instead(uri: str) -> Any:
        return made if uri == spec.uri else client_of(uri)

    with mock.patch.object(opening, "client_of", instead), mock.patch.object(spool, "client_of", instead):
        yield made


def work(spec: TrackingSpec, folder: Path) -> None:
    """Make a run and one nested in it, which finish, and one that fails."""
    kept = SpoolingStore(spec)
    parent = _begin(kept, folder, "aa")
    _end(_begin(kept, folder, "cc", parent=parent.run_id), "cc")
    _end(parent, "aa")
    _begin(kept, folder, "ff").finish("FAILED", "boom")


def _begin(kept: SpoolingStore, folder: Path, identity: str, parent: str | None = None) -> FileRun:
    """Begin a run that has a bit of everything."""
    tags = {"identity": identity, ONCE_TAG: "true"}
    run = kept.start(f"run {identity}", folder=folder / identity, tags=tags, parent=parent)
    run.config({"seed": 3, "data": {"name": "x"}})
    run.table(Table("effects", "Rows.", Evidence.INTERVENTIONAL, pd.DataFrame({"x": [1.0, 2.0]})))
    for step in range(5):
        run.metric("loss", step / 3, step)
    run.curve(Curve("margin", (-1.0, 0.5), (1.0, 2.0), "alpha"))
    run.metrics({"acc": 0.5})
    run.data_set("digits", "ab12")
    return run


def _end(run: FileRun, identity: str) -> None:
    """End a run as runs end: the list of its files last."""
    run.flush()
    result = Result(
        f"s_{identity}", "ablate", Evidence.INTERVENTIONAL, None, None, "images", Aggregates(), {}, Diagnostics(),
        artifacts=dict(run.artifacts), run_id=run.run_id,
    )  # fmt: skip
    run.text("result.json", to_json(result))
    run.finish(FINISHED)


def seen(spec: TrackingSpec) -> dict[str, Any]:
    """Return all that the server knows of each run but its ids, by identity.

    Raises:
        AssertionError: If one is there twice, or a finished one is not whole.
    """
    kept = open_store(spec)
    assert isinstance(kept, MlflowStore)
    kept.reap()
    found: dict[str, Any] = {}
    for run in kept.runs():
        if run.status == "KILLED" and not run.params:
            continue  # the answer to its creation was lost: nobody has ever written to it
        name = str(run.tags["identity"])
        assert name not in found, f"{name} is there twice"
        whole = kept.complete(run.run_id).success if run.status == FINISHED else None
        points = {key: kept.client.get_metric_history(run.run_id, key) for key in run.metrics}
        found[name] = {
            "end": (run.status, run.name, run.params, whole, run.tags.get("error_message")),
            "points": {key: sorted((point.step, point.value) for point in history) for key, history in points.items()},
            "files": [name for folder in ("", "tables") for name in kept.artifacts(run.run_id, folder)],
            "parent": kept.get(run.parent).tags["identity"] if run.parent else None,
        }
    return found


def forget(spec: TrackingSpec) -> None:
    """Take all runs out of a store's MLflow experiment and database: each cut would take longer than the one before."""
    kept = open_store(spec)
    assert isinstance(kept, MlflowStore)
    database = Path(str(spec.uri or local.database_uri(Path(spec.folder))).removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        runs = f"select run_uuid from runs where experiment_id = {int(kept.experiment_id())}"
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            connection.execute(f"delete from {table} where run_uuid in ({runs})")


def goes_away(spec: TrackingSpec, line: Line, at: int, *, after: bool, folder: Path) -> dict[str, Any]:
    """Let the server go away at a call of the work, and come back afterwards; return what has arrived."""
    forget(spec)
    line.cut(at, after=after)
    work(spec, folder)
    line.restore()
    delivered(spec)
    return seen(spec)


def delivered(spec: TrackingSpec) -> Delivered:
    """Deliver what waits."""
    found = spool_of(str(spec.uri))
    return deliver(found, str(spec.uri)) if found is not None else Delivered()


def filled(spec: TrackingSpec, line: Line, folder: Path) -> Spool:
    """Do the work while the server is away; return the spool."""
    line.restore()
    line.up = False
    work(spec, folder)
    line.restore()
    found = spool_of(str(spec.uri))
    assert found is not None and waiting(found) == len(ENDS)
    return found


def cut_short(spec: TrackingSpec, line: Line, at: int, *, after: bool, template: Path, target: Spool) -> dict[str, Any]:
    """Cut a delivery short at a call, deliver again, and a copy of the spool too; return what has arrived."""
    forget(spec)
    _refill(template, target)
    line.cut(at, after=after)
    with contextlib.suppress(Exception):
        deliver(target, str(spec.uri))
    line.restore()
    deliver(target, str(spec.uri))
    assert not waiting(target)
    _refill(template, target)
    deliver(target, str(spec.uri))
    return seen(spec)


def _refill(template: Path, target: Spool) -> None:
    """Let a spool be as it was; its database is a file that others have open, so its content is replaced."""
    for path in sorted(template.rglob("*")):
        if path.is_file() and path.name not in (local.LOCK,):
            copy = target.folder / path.relative_to(template)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def main() -> int:
    """Cut everywhere; exit code 1 if something was lost or is there twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th call only")
    parser.add_argument("--server", action="store_true", help="stop a real server in the middle of a sweep")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        if asked.server:
            return stopped(Path(name))
        home = Path(name) / "server"
        home.mkdir()
        spec = TrackingSpec(kind="server", uri=local.prepare(home), experiment="team", heartbeat_seconds=3600.0)
        with line_to(spec) as line:
            bad, tried = everywhere(spec, line, Path(name), asked.every)
    print(f"{tried - bad} of {tried} cuts: everything arrived once")
    return 1 if bad else 0


def stopped(folder: Path, jobs: int = 12) -> int:
    """Kill a server in the middle of a sweep with two workers; 1 if not every job has arrived once in the end."""
    with team() as server:
        sweep = Sweep(folder, (*TINY, f"seed=range({jobs})", "workers=2"), server.uri, "away")
        process = sweep.start()
        sweep.wait_for_more(jobs // 3)
        server.stop()
        said, _ = process.communicate(timeout=600)
        found = spool_of(server.uri)
        waited = waiting(found) if found is not None else 0
        server.start()
        arrived = delivered(sweep.spec)
        once = sorted(sweep.finished().values())
        print(
            f"exit code {process.returncode}; {waited} runs waited, {arrived}; {len(once)} of {jobs} identities, {once}"
        )
        code, again = sweep.complete()
        good = once == [1] * jobs and code == 0 and f"{jobs} of {jobs} jobs are done already" in again
        if not good:
            print(said, again)
        return 0 if good else 1


def everywhere(spec: TrackingSpec, line: Line, folder: Path, every: int) -> tuple[int, int]:
    """Cut at every n-th call, in turn before and after it; return how often something was wrong, and how many cuts."""
    work(spec, folder / "plain")
    calls, expected = line.calls, seen(spec)
    assert {name: run["end"][0] for name, run in expected.items()} == ENDS
    bad = tried = 0
    for number, at in enumerate(range(1, calls + 1, every)):
        for after in (False, True) if every == 1 else (number % 2 == 0,):
            tried += 1
            found = goes_away(spec, line, at, after=after, folder=folder / f"{at}{after}")
            bad += _wrong(found, expected, f"away at call {at}, {after=}")
    forget(spec)
    if (spool := spool_of(str(spec.uri))) is not None:
        forget(spool.spec(spec.experiment))
    target = filled(spec, line, folder / "spooled")
    template = folder / "template"
    shutil.copytree(target.folder, template)
    deliver(target, str(spec.uri))
    for number, at in enumerate(range(1, line.calls + 1, every)):
        for after in (False, True) if every == 1 else (number % 2 == 0,):
            tried += 1
            found = cut_short(spec, line, at, after=after, template=template, target=target)
            bad += _wrong(found, expected, f"delivery cut at call {at}, {after=}")
    return bad, tried


def _wrong(found: dict[str, Any], expected: dict[str, Any], what: str) -> bool:
    if found != expected:
        print(f"{what}: {found}, not {expected}", flush=True)
    return found != expected


if __name__ == "__main__":
    sys.exit(main())
