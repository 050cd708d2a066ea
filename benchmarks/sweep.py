"""What sweeps cost: beside a plain script, planning and looking at 10,000 jobs, taking finished ones, reading runs.

``python -m benchmarks.sweep`` prints the times by the clock and on the processor; ``--jobs`` and ``--beside`` make it
smaller, ``--part`` measures one part alone. Runs are written to stores of their own, so that states, records and runs
are read at full size.

- ``beside``: the same short jobs as a sweep of Paribus and as one of :mod:`benchmarks.plain`, a script that uses Hydra
  and MLflow alone, both at the same time. Both write the same files, params and metrics, which is checked. What a job
  costs is the difference between a long and a short sweep, so that imports count in neither.
- ``plan``: plan and status of 10,000 jobs, never run and all finished; 1,000 finished jobs taken by a sweep.
- ``runs``: 10,000 runs with their params, metrics and tags, as a comparison reads them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from benchmarks.kills import TINY
from paribus.compare.plugin import collect
from paribus.config.compose import jobs
from paribus.running.run import run_job
from paribus.sweep import record
from paribus.sweep.identities import Known, known_jobs
from paribus.sweep.plan import plan_with_states
from paribus.sweep.start import Started, start
from paribus.sweep.status import status
from paribus.tracking.opening import open_store
from paribus.tracking.query import runs_frame
from paribus.tracking.spec import TrackingSpec

FEATURES = ("threshold", "dose", "and", "or")
FAMILIES = ("SCU", "SSU", "ISM", "RSU")
SPEC = TrackingSpec()
REUSED = 1000
SHORT = 4
"""Jobs of the short sweep that the long one is compared with."""
SIDES = ("benchmarks.plain", "paribus")
ROOT = Path(__file__).parents[1]
TABLES = ("runs", "params", "latest_metrics", "tags")


@contextmanager
def timed(what: str, goal: str = "") -> Iterator[None]:
    """Print how long a block takes, by the clock and on the processor, and by how much memory has grown."""
    wall, cpu, memory = time.perf_counter(), _cpu(), _peak()
    yield
    took = f"{time.perf_counter() - wall:8.2f} s  {_cpu() - cpu:8.2f} CPU s  +{_peak() - memory:4.0f} MiB"
    print(f"{what:<58}{took}{f'  (goal: {goal})' if goal else ''}", flush=True)


def _cpu() -> float:
    """Return the seconds that this process and its children which ended have computed."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def words(count: int) -> list[str]:
    """Return the words of a sweep of so many jobs."""
    seeds = max(1, count // (len(FEATURES) * len(FAMILIES)))
    own = [word for word in TINY if not word.startswith(("feature=", "experiment.family="))]
    return [*own, f"feature={','.join(FEATURES)}", f"experiment.family={','.join(FAMILIES)}", f"seed=range({seeds})"]


# Beside a plain script ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """What a sweep left of one job, by its seed.

    Attributes:
        params: Its params.
        metrics: Every point of every metric.
        files: Names of its files, and the content of those that hold nothing about the machine or the moment: of a
            picture its pixels.
    """

    params: dict[str, str]
    metrics: set[tuple[str, float, int]]
    files: dict[str, bytes]


def beside(count: int) -> None:
    """Run the same sweeps with Paribus and the plain script, compare what they left, and print what a job costs."""
    with tempfile.TemporaryDirectory() as root:
        short, long = (_both(Path(root) / str(number), number) for number in (SHORT, count))
        (theirs, ours) = (kept(Path(root) / str(SHORT) / module) for module in SIDES)
    (plain, own) = ((late - early) / (count - SHORT) for early, late in zip(short, long, strict=True))
    plain_all, own_all = long
    assert sorted(ours) == sorted(theirs) == list(range(SHORT))
    for seed, one in ours.items():
        assert one.params == theirs[seed].params, (one.params, theirs[seed].params)
        assert one.metrics == theirs[seed].metrics
        assert one.files.keys() == theirs[seed].files.keys(), (one.files.keys(), theirs[seed].files.keys())
        different = [name for name in one.files if one.files[name] != theirs[seed].files[name]]
        assert not different, different
    print(
        f"the same {len(ours[0].files)} files, {len(ours[0].params)} params, {len(ours[0].metrics)} points of metrics"
    )
    print(f"one more job: plain {plain:.3f} CPU s, paribus {own:.3f} CPU s: {own / plain:.2f} (goal: .5)")
    print(f"the whole command: {own_all / plain_all:.2f}", flush=True)


def _both(folder: Path, number: int) -> list[float]:
    """Run so many jobs with each side, both at once, and return the processor seconds of each.

    Whatever else the machine does meets both alike. A processor that is shared gives less for a second.
    """
    started = []
    for module in SIDES:
        (folder / module).mkdir(parents=True)
        asked = [sys.executable, "-m", module, "-m", *TINY, "tracking.experiment=plain", f"seed=range({number})"]
        with (folder / f"{module}.log").open("wb") as log:
            started.append(subprocess.Popen(asked, cwd=folder / module, stdout=log, stderr=log, env=_environment()))
    took = []
    for module, process in zip(SIDES, started, strict=True):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{module}: {(folder / f'{module}.log').read_text()[-2000:]}")
        took.append(used.ru_utime + used.ru_stime)
        print(f"{module}: {number} jobs, start included: {took[-1]:.2f} CPU s", flush=True)
    return took


def kept(folder: Path) -> dict[int, Kept]:
    """Return what is kept of each job in the store in a folder, by its seed."""
    found = {}
    with sqlite3.connect(folder / "mlflow.db") as connection:
        rows = connection.execute(
            "select run_uuid, artifact_uri from runs where lifecycle_stage = 'active' and status = 'FINISHED' "
            "and experiment_id = (select experiment_id from experiments where name = 'plain')"
        ).fetchall()
        for run_id, uri in rows:
            params = dict(connection.execute("select key, value from params where run_uuid = ?", (run_id,)).fetchall())
            points = connection.execute("select key, value, step from metrics where run_uuid = ?", (run_id,)).fetchall()
            place = folder / uri.removeprefix("file://")
            files = {str(path.relative_to(place)): _content(path) for path in place.rglob("*") if path.is_file()}
            found[int(params["seed"])] = Kept(params, set(points), files)
    return found


def _content(path: Path) -> bytes:
    """Return a file's content, of a picture its pixels; of pages and results, which tell the run's story, nothing."""
    if path.name in ("report.html", "result.json"):
        return b""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return picture.convert("RGBA").tobytes()
    if path.suffix == ".yaml":
        return json.dumps(yaml.safe_load(path.read_text()), sort_keys=True).encode()
    return path.read_bytes()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))), "OMP_NUM_THREADS": "1"}


# Plan, status, reuse, runs --------------------------------------------------------------------------------------------


def finish_all(known: Sequence[Known], template: str) -> None:
    """Put a finished run of every job into the store, as copies of a real one."""
    with sqlite3.connect("mlflow.db") as connection:
        for table in TABLES:
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})") if row[1] != "run_uuid"]
            own = connection.execute(
                f"select {', '.join(columns)} from {table} where run_uuid = ?", (template,)
            ).fetchall()
            marks = ", ".join("?" * (len(columns) + 1))
            for number, each in enumerate(known):
                copied = [(*_as_of(each, columns, row), _id(number)) for row in own]
                connection.executemany(f"insert into {table} ({', '.join(columns)}, run_uuid) values ({marks})", copied)


def _as_of(known: Known, columns: Sequence[str], row: Sequence[Any]) -> list[Any]:
    """Return a row of the template's as one of another job's run."""
    named = dict(zip(columns, row, strict=True))
    if named.get("key") == "identity":
        named["value"] = known.identity
    return list(named.values())


_IDS: dict[int, str] = {}


def _id(number: int) -> str:
    return _IDS.setdefault(number, secrets.token_hex(16))


def plan(count: int) -> None:
    """Measure plan and status of so many jobs, and a sweep that takes a thousand finished ones."""
    template = run_job(jobs([*TINY, "seed=0"])[0], sweep="s").run_id
    assert template is not None
    with timed(f"plan: composing and checking {count} jobs"):
        many = jobs(words(count), multirun=True)
    with timed(f"plan: identifying {len(many)} jobs"):
        known = known_jobs(many)
    with timed(f"plan: the states of {len(many)} jobs that were never run"):
        plan_with_states(known, reused=True)
    finish_all(known, template)
    with timed(f"plan: the states of {len(many)} finished jobs, files looked at"):
        plan_with_states(known, reused=True)
    some = many[:REUSED]
    with timed(f"a sweep takes {len(some)} finished jobs", f"{0.03 * len(some):.0f} CPU s"):
        assert len(start(some, "t").settled) == len(some)
    made = record.record(
        Started(tuple(known), {}), "s1", overrides=words(count), config_dirs=(), folder=Path("x"), workers=2
    )
    with timed("keeping the record of the sweep"):
        record.keep(made, SPEC)
    with timed(f"status of {len(many)} jobs, in this process", "1 s"):
        status(record.find(SPEC, record.LATEST))
    with timed("the same as a command: paribus status"):
        subprocess.run([sys.executable, "-m", "paribus", "status"], check=True, stdout=subprocess.DEVNULL)


def runs(count: int) -> None:
    """Measure how long it takes to read so many runs; they are there already where the plan was measured."""
    store = open_store(SPEC)
    if len(store.runs(limit=2)) < 2:
        template = run_job(jobs([*TINY, "seed=0"])[0], sweep="s").run_id
        assert template is not None
        finish_all([Known(number, None, f"{number:032x}") for number in range(count)], template)  # type: ignore[arg-type]
    with timed(f"reading {count} runs with params, metrics and tags", "seconds"):
        found = store.runs()
    with timed(f"the same as one table of {len(found)} rows"):
        runs_frame(found)
    del found
    with timed("the same as a comparison collects them"):
        collect(store)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--beside", type=int, default=24, help="jobs of the sweep beside the plain script")
    parser.add_argument("--part", choices=("beside", "plan", "runs"))
    asked = parser.parse_args()
    logging.getLogger("paribus").setLevel(logging.ERROR)
    if asked.part in (None, "beside"):
        beside(asked.beside)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        if asked.part in (None, "plan"):
            plan(asked.jobs)
        if asked.part in (None, "runs"):
            runs(asked.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
