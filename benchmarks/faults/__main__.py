"""Stop a command at every point of its runs' lives, in every way, and start it again: ``python -m benchmarks.faults``.

After the second start there must be one finished run of each identity with the result of an undisturbed one, every
finished run whole, nothing RUNNING, and nothing left behind. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

from benchmarks.faults.points import FAULTS
from benchmarks.faults.trial import Command, Verdict, steps, trial, warm_up

CONF = str(Path(__file__).with_name("conf"))
BUILDS = ("experiment=family_1d_sweep", "experiment.family=swim_speed_up", "data=builds_generated", "data.n_builds=60",
          "model=planted", "feature=threshold", "stats=quick", "stats.n_bootstrap=100", "tracking.experiment=faults",
          )  # fmt: skip
CASES = {
    "experiment": ("-m", *BUILDS, "device=cpu", "seed=0"),
    "study": ("-m", "study=faults", "--config-dir", CONF, "device=cpu", "seed=0"),
}


def main() -> int:
    """Run the cases that were asked for and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=[*CASES, "server"], action="append")
    parser.add_argument("--fault", choices=list(FAULTS), action="append")
    parser.add_argument("--every", type=int, default=1, help="take every n-th point only")
    parser.add_argument("--first", type=int, default=0, help="begin at this point, to go on with an earlier table")
    asked = parser.parse_args()
    _load()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        database = _migrated(Path(folder))
        for name in asked.case or [*CASES, "server"]:
            with _command(name, database) as command:
                faults = asked.fault or (["away", "kill"] if name == "server" else list(FAULTS))
                bad += _case(name, command, faults, asked.every, asked.first)
    return 1 if bad else 0


def _case(name: str, command: Command, faults: list[str], every: int, first: int) -> int:
    """Try every point of a command with every fault; return how many trials went wrong."""
    started = time.monotonic()
    warm_up(command)
    names, expected = steps(command)
    chosen = [at for at in _chosen(names, every, requests=command.server is not None) if at >= first]
    print(f"\n{name}: {len(names)} points, {len(chosen)} tried; {len(expected.finished)} runs", flush=True)
    verdicts: dict[int, list[Verdict]] = defaultdict(list)
    for at in chosen:
        verdicts[at] = [trial(command, names, at, fault, expected) for fault in faults]
        line = "  ".join(f"{v.fault} {'ok' if not v.problems else 'WRONG':<5} {v.ended:<10}" for v in verdicts[at])
        print(f"{at:>4}  {names[at][:72]:<72}  {line}", flush=True)
        for verdict in verdicts[at]:
            for problem in verdict.problems:
                print(f"        {verdict.fault}: {problem}", flush=True)
    wrong = [verdict for each in verdicts.values() for verdict in each if verdict.problems]
    tried = len(chosen) * len(faults)
    print(f"{name}: {tried - len(wrong)} of {tried} trials right, {time.monotonic() - started:.0f} s", flush=True)
    return len(wrong)


def _chosen(names: list[str], every: int, *, requests: bool) -> list[int]:
    """Return the points to try: of steps that come again and again with the same name, the first two and the last."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        if not requests or name.startswith("request"):
            places[name].append(at)
    return sorted({at for each in places.values() for at in (*each[:2], each[-1])})[::every]


def _load() -> None:
    """Import what the command needs, once, before any process is forked."""
    import matplotlib.figure  # noqa: F401
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401
    import torch

    import paribus.cli.launch
    import paribus.compare._compare_interventions
    import paribus.experiments.builds.family_1d_sweep.work
    import paribus.experiments.training.train_classifier.work
    import paribus.report.page
    import paribus.running.run
    import paribus.sweep.end  # noqa: F401

    torch.set_num_threads(1)


def _migrated(folder: Path) -> Path:
    """Make one empty store, which is copied for every trial (making one takes seconds)."""
    from benchmarks.faults.trial import in_child
    from paribus.tracking import local

    ended, sent = in_child(lambda: {"uri": local.prepare(folder)}, folder)
    if ended != "exit 0":
        raise RuntimeError(f"no store could be made: {sent}")
    return folder / local.DATABASE


@contextmanager
def _command(name: str, database: Path) -> Iterator[Command]:
    from paribus.cli.main import main as paribus
    from paribus.tracking.relocate import relocate

    def fill(folder: Path) -> None:
        shutil.copy2(database, folder / database.name)
        relocate(folder)
        (folder / f"{database.name}.before_relocate").unlink()

    if name != "server":
        words = CASES[name]
        yield Command(lambda: paribus(words), fill, "faults")
        return
    from benchmarks.faults.server import serving

    with serving(database) as server:
        words = (*CASES["experiment"], "tracking=server", f"tracking.uri={server.uri}")
        yield Command(lambda: paribus(words), lambda folder: server.clear(), "faults", server.folder)


if __name__ == "__main__":
    sys.exit(main())
