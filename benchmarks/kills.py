"""A sweep that is killed again and again completes by the same command: nothing is lost, nothing is there twice.

``python -m benchmarks.kills`` runs 60 jobs with 4 workers through 20 kills of workers and of the entrypoint, and
compares every result with that of an undisturbed sweep, bit for bit: on SQLite, and with ``--server`` on a tracking
server over PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import team
from paribus.tracking.heartbeat import process_alive
from paribus.tracking.life_mark import life_mark
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import RunState, run_states

TINY = (
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
)  # fmt: skip
PATIENCE = 600.0
"""Seconds after which nothing comes any more; a machine may have other things to do."""
WORKER, ENTRYPOINT = "worker", "entrypoint"


@dataclass
class Sweep:
    """The same command, started as often as it takes.

    Attributes:
        folder: Where it is run.
        words: The words after ``paribus -m``, without those about the store.
        server: Address of a tracking server, None for the store of the folder.
        experiment: MLflow experiment of its runs.
        before: Words before the command.
        pids: Every process that a run of it lived in.
    """

    folder: Path
    words: tuple[str, ...]
    server: str | None = None
    experiment: str = "killed"
    before: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Start nothing yet."""
        self.pids: set[int] = set()
        self.process: subprocess.Popen[str] | None = None

    @property
    def spec(self) -> TrackingSpec:
        """The store of its runs."""
        if self.server is None:
            return TrackingSpec(experiment=self.experiment, folder=str(self.folder))
        return TrackingSpec(kind="server", uri=self.server, experiment=self.experiment)

    @property
    def said(self) -> tuple[str, ...]:
        """The words of the command."""
        store = () if self.server is None else ("tracking=server", f"tracking.uri={self.server}")
        return (*self.words, *store, f"tracking.experiment={self.experiment}")

    def close(self) -> None:
        """End the command if it goes on."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def start(self) -> subprocess.Popen[str]:
        """Start the command."""
        self.process = subprocess.Popen(
            [*self.before, sys.executable, "-m", "paribus", "-m", *self.said],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def runs(self) -> list[RunState]:
        """Return the runs so far, the latest first."""
        found = run_states(self.spec)
        marks = [mark for run in found if (mark := life_mark(run.tags)) is not None]
        self.pids |= {mark.pid for mark in marks}
        return found

    def running(self) -> list[int]:
        """Return the processes of the runs that go on."""
        marks = [life_mark(run.tags) for run in self.runs() if run.status == "RUNNING"]
        return [mark.pid for mark in marks if mark is not None]

    def finished(self) -> Counter[str]:
        """Return how often each identity has finished."""
        return Counter(run.identity for run in self.runs() if run.status == "FINISHED")

    def kill(self, what: str) -> bool:
        """Kill a process that works on a job, or the entrypoint, as soon as one does; return whether there was one."""
        assert self.process is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            pids = [pid for pid in self.running() if pid != self.process.pid]
            if pids:
                os.kill(pids[0] if what == WORKER else self.process.pid, signal.SIGKILL)
                return True
            time.sleep(0.02)
        return False

    def wait_for_more(self, count: int) -> None:
        """Wait until so many jobs have finished, or the command has ended."""
        assert self.process is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None and len(self.finished()) < count:
            time.sleep(0.02)

    def orphans(self, seconds: float = 20.0) -> list[int]:
        """Return the processes of runs that are still there after some time without an entrypoint."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = [pid for pid in self.pids if process_alive(pid)]
            if not left:
                return []
            time.sleep(0.1)
        return left

    def complete(self) -> tuple[int, str]:
        """Run the command to its end and return its exit code and what it said."""
        out, _ = self.start().communicate(timeout=PATIENCE * 4)
        return self.process.returncode if self.process else -1, out


def results(sweep: Sweep) -> dict[str, bytes]:
    """Return the tables of every finished identity as bytes, by identity and file."""
    found: dict[str, bytes] = {}
    store = open_store(sweep.spec, writing=False)
    for run in sweep.runs():
        if run.status == "FINISHED":
            store.complete(run.run_id)
            for path in sorted(store.download(run.run_id, "tables").glob("*.json")):
                found[f"{run.identity}/{path.name}"] = path.read_bytes()
    return found


def main() -> int:
    """Run it at full size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server", action="store_true", help="on a tracking server over PostgreSQL")
    asked = parser.parse_args()
    if not asked.server:
        return disturbed(asked, None)
    with team() as server:
        return disturbed(asked, server.uri)


def disturbed(asked: argparse.Namespace, server: str | None) -> int:
    """Kill a sweep at random moments until it is through, and look at what is there; 1 if anything is wrong."""
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as root:
        words = (*TINY, f"seed=range({asked.jobs})", f"workers={asked.workers}")
        slowly = ("nice",)  # whoever kills it must not lag behind it
        killed, plain = (Sweep(Path(root) / name, words, server, name, slowly) for name in ("killed", "plain"))
        for each in (killed, plain):
            each.folder.mkdir()
        done = _killed(killed, asked)
        orphans = killed.orphans()
        code, out = killed.complete()
        finished = killed.finished()
        statuses = Counter(run.status for run in killed.runs())
        print(
            f"{done} of {asked.kills} kills; runs: {dict(statuses)}; orphans: {orphans}; exit code {code}", flush=True
        )
        expected, _ = plain.complete()
        same = results(killed) == results(plain)
        print(f"finished identities: {len(finished)} of {asked.jobs}, the most runs of one: {max(finished.values())}")
        print(f"results as undisturbed, bit for bit: {same}")
        good = len(finished) == asked.jobs and max(finished.values()) == 1 and not statuses["RUNNING"]
        if not (good and same and code == expected == 0 and not orphans):
            print(out)
            return 1
        if done < asked.kills:
            print("the sweep was through before all kills: give it more --jobs")
            return 1
    return 0


def _killed(sweep: Sweep, asked: argparse.Namespace) -> int:
    """Start the sweep again and again, and kill a worker or the entrypoint at random moments; return how often."""
    done = 0
    while done < asked.kills and len(sweep.finished()) < asked.jobs:
        process = sweep.start()
        while done < asked.kills and process.poll() is None:
            sweep.wait_for_more(len(sweep.finished()) + random.randint(0, 2))
            time.sleep(random.random() * 0.3)
            what = random.choice((WORKER, WORKER, ENTRYPOINT))
            done += sweep.kill(what)
            if what == ENTRYPOINT:
                break
        if process.poll() is None:
            process.wait()
    return done


if __name__ == "__main__":
    sys.exit(main())
