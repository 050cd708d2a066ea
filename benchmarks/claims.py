"""Many processes want the same run at once, again and again: how often is it measured?

``python -m benchmarks.claims`` lets 8 processes meet 50 times on SQLite and on a tracking server with PostgreSQL.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.servers import team
from paribus.tracking.environment import quiet
from paribus.tracking.spec import TrackingSpec

EXPERIMENT = "claimed"


def identity(number: int) -> str:
    """Return the identity of a round."""
    return f"{number:08x}" * 4


def _meet(spec: TrackingSpec, folder: Path, rounds: int, barrier: Any) -> None:
    """Be one of the processes: look, claim, look again, measure."""
    from paribus.tracking.opening import open_store

    store = open_store(spec)
    for number in range(rounds):
        barrier.wait()
        if store.finished(identity(number)):
            continue
        with store.claim(identity(number), lambda: None):
            if not store.finished(identity(number)):
                run = store.start(f"round {number}", folder=folder / str(number), tags={"identity": identity(number)})
                run.metrics({"x": float(number)})
                run.finish("FINISHED")


def measure(spec: TrackingSpec, processes: int, rounds: int) -> tuple[Counter[str], float]:
    """Return how often each identity was measured, and the seconds that it took."""
    from paribus.tracking.opening import open_store

    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes, timeout=300)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        words = (spec, Path(name), rounds, barrier)
        workers = [context.Process(target=_meet, args=words) for _ in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"exit codes {[worker.exitcode for worker in workers]}")
    took = time.monotonic() - started
    return Counter(str(run.tags["identity"]) for run in open_store(spec).runs()), took


def main() -> int:
    """Run it; exit code 1 if an identity was not measured exactly once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--uri", help="a store that is there already, instead of both")
    asked = parser.parse_args()
    quiet()
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401  # once, for all processes

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if asked.uri:
            return _told(TrackingSpec(kind="server", uri=asked.uri, experiment=EXPERIMENT), asked)
        wrong = _told(TrackingSpec(experiment=EXPERIMENT), asked)
        with team() as server:
            return wrong + _told(TrackingSpec(kind="server", uri=server.uri, experiment=EXPERIMENT), asked)


def _told(spec: TrackingSpec, asked: argparse.Namespace) -> int:
    if spec.kind == "local":
        from paribus.tracking import local

        local.prepare(Path.cwd())
    found, took = measure(spec, asked.processes, asked.rounds)
    right = sum(found[identity(number)] == 1 for number in range(asked.rounds))
    each = 1000 * took / asked.rounds
    print(
        f"{spec.kind}: {asked.processes} processes, {right} of {asked.rounds} rounds with one run; {each:.0f} ms each"
    )
    return 0 if right == asked.rounds == sum(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
