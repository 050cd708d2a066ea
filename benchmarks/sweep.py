"""What sweeps cost: planning and looking at 10,000 jobs, and taking finished ones.

``python -m benchmarks.sweep`` prints the times; ``--jobs`` makes it smaller. Runs are written to a store of their own,
so that states and records are read at full size; the goals are 30 s for a plan and 1 s for a status of 10,000 jobs.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.kills import TINY
from paribus.config.compose import jobs
from paribus.running.run import run_job, take_job
from paribus.sweep import record
from paribus.sweep.identities import Known, known_jobs
from paribus.sweep.plan import plan_with_states
from paribus.sweep.start import Started
from paribus.sweep.status import status
from paribus.tracking.spec import TrackingSpec

FEATURES = ("threshold", "dose", "and", "or")
FAMILIES = ("SCU", "SSU", "ISM", "RSU")
SPEC = TrackingSpec(experiment="killed")
REUSED = 20


@contextmanager
def timed(what: str, goal: str = "") -> Iterator[None]:
    """Print how long a block takes, by the clock and on the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    took = f"{time.perf_counter() - wall:8.2f} s  {time.process_time() - cpu:8.2f} CPU s"
    print(f"{what:<58}{took}{f'  (goal: {goal})' if goal else ''}", flush=True)


def words(count: int) -> list[str]:
    """Return the words of a sweep of so many jobs."""
    seeds = max(1, count // (len(FEATURES) * len(FAMILIES)))
    own = [word for word in TINY if not word.startswith(("feature=", "experiment.family="))]
    return [*own, f"feature={','.join(FEATURES)}", f"experiment.family={','.join(FAMILIES)}", f"seed=range({seeds})"]


def finish_all(known: Sequence[Known], template: str) -> None:
    """Put a finished run of every job into the store, as copies of a real one."""
    with sqlite3.connect("mlflow.db") as connection:
        columns = [row[1] for row in connection.execute("pragma table_info(runs)")]
        (row,) = connection.execute("select * from runs where run_uuid = ?", (template,)).fetchall()
        tags = connection.execute("select key, value from tags where run_uuid = ?", (template,)).fetchall()
        place = columns.index("run_uuid")
        for each in known:
            run_id = secrets.token_hex(16)
            copied = [*row[:place], run_id, *row[place + 1 :]]
            connection.execute(f"insert into runs values ({','.join('?' * len(copied))})", copied)
            own = [(key, each.identity if key == "identity" else value, run_id) for key, value in tags]
            connection.executemany("insert into tags (key, value, run_uuid) values (?, ?, ?)", own)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        logging.getLogger("paribus").setLevel(logging.ERROR)
        small = jobs([*TINY, f"seed=range({REUSED})"], multirun=True)
        with timed("the first job in this process"):
            template = run_job(small[0], sweep="s").run_id
        assert template is not None
        for job in small[1:]:
            run_job(job, sweep="s")
        some = known_jobs(small)
        with timed(f"reusing {REUSED} jobs", f"{0.03 * REUSED:.2f} s"):
            for each in some:
                assert each.identity is not None and take_job(each.job, each.identity, sweep="t") is not None
        with timed(f"composing and checking {asked.jobs} jobs"):
            many = jobs(words(asked.jobs), multirun=True)
        with timed(f"identifying {len(many)} jobs"):
            known = known_jobs(many)
        with timed(f"the states of {len(many)} jobs that were never run"):
            plan_with_states(known, reused=True)
        finish_all(known, template)
        with timed(f"the states of {len(many)} finished jobs, their files looked at"):
            plan_with_states(known, reused=True)
        made = record.record(
            Started(tuple(known), {}), "s1", overrides=words(asked.jobs), config_dirs=(), folder=Path("x"), workers=2
        )
        with timed("keeping the record of the sweep"):
            record.keep(made, SPEC)
        with timed(f"status of {len(many)} jobs, in this process", "1 s"):
            status(record.find(SPEC, record.LATEST))
        with timed("the same as a command: paribus status", "1 s"):
            subprocess.run([sys.executable, "-m", "paribus", "status"], check=True, stdout=subprocess.DEVNULL)
        os.chdir("/")
        shutil.rmtree(Path(folder) / "mlruns", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
