"""``paribus reproduce RUN``: the exact request of a run once more, and every number beside the kept one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from paribus.cli.arguments import Arguments
from paribus.cli.checkout import in_checkout
from paribus.cli.found import found_run
from paribus.cli.store import spec_with_runs
from paribus.errors import ConfigError
from paribus.results.difference import DIFFERENT, SAME, WITHIN, Tolerance
from paribus.running.reproduce import Reproduced, reproduce
from paribus.running.run import single_folder
from paribus.tracking.opening import open_store

SUMMARY = "runs a finished run again, says what is no longer as it was, and compares every table and metric"
USAGE = """
paribus reproduce RUN [--rtol 1e-4] [--atol 1e-6] [--threads N] [--checkout] [--changed-files] [--config-dir DIR]
                      [--into DIR] [--json] [tracking=...]

RUN is the id of a run, its first digits, or latest. Its exact configuration is run again, beside it: the store is only
read, the new files go into a folder of their own. Says what differs from then in code, packages, data and machine; then
of every table and metric whether it is the same bit for bit, within the tolerance (rtol times the larger of both, plus
atol), or different. Exit code 0 if nothing is different, 1 if something is.

--threads N   calculate with so many threads; by default as many as the run had
--checkout    in a work tree of its own at the recorded commit, with the recorded changes
--changed-files
              go on where files that the run read (data, weights) are not as they were, and say which; else that is
              refused (exit code 2)
--config-dir DIR
              where the run's folder of own options is now; by default where it was, or at the same place below the
              working folder
--into DIR    where the new files go
--json        everything, for programs
"""


def run(arguments: Sequence[str]) -> int:
    """Reproduce it.

    Raises:
        ParibusError: If there is no such run, or it cannot be repeated.
    """
    parser = Arguments("reproduce")
    parser.add_argument("run", nargs="?")
    parser.add_argument("--rtol", type=float, default=Tolerance.relative)
    parser.add_argument("--atol", type=float, default=Tolerance.absolute)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--into")
    parser.add_argument("--checkout", action="store_true")
    parser.add_argument("--moved", action="append", default=[])  # of a checkout: TOP=PLACE
    parser.add_argument("--changed-files", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.store_options()
    asked = parser.take(arguments)
    if asked.run is None or "=" in asked.run:
        raise ConfigError("reproduce: wants a run (paribus reproduce RUN; paribus runs lists them)")
    if asked.rtol < 0 or asked.atol < 0 or (asked.threads is not None and not 1 <= asked.threads <= 1024):
        raise ConfigError("reproduce: --rtol and --atol want 0 or more, --threads 1 to 1024")
    spec = spec_with_runs("reproduce", asked.overrides, asked.config_dir)
    kept = found_run("reproduce", open_store(spec, writing=False), asked.run)
    store = open_store(replace(spec, experiment=kept.experiment), writing=False)
    folder = Path(asked.into) if asked.into else single_folder()
    if asked.checkout:
        words = [word for word in arguments if word not in ("--checkout", asked.run)]
        return in_checkout(store.complete(kept.run_id), [kept.run_id, *words])
    tolerance = Tolerance(asked.rtol, asked.atol)
    moved = dict(pair.split("=", 1) for pair in asked.moved if "=" in pair)
    made = reproduce(
        store,
        kept,
        folder.absolute(),
        tolerance=tolerance,
        threads=asked.threads,
        config_dir=asked.config_dir,
        moved=moved,
        changed_files=asked.changed_files,
    )
    if asked.json:
        print(json.dumps(dataclasses.asdict(made), ensure_ascii=False, indent=1))
    else:
        print("\n".join(lines(made, kept.name, tolerance)))
    return 1 if DIFFERENT in made.counts() else 0


def lines(made: Reproduced, name: str, tolerance: Tolerance) -> list[str]:
    """Return what was found, in lines: first what is not as it was, then every number that is not the same."""
    said = [f"{made.run_id[:8]}  {name}"]
    for what in dataclasses.fields(made.changed):
        values = getattr(made.changed, what.name)
        said.append(f"{what.name}: {'as it was' if not values else 'differs'}")
        said += [f"  {value}" for value in values]
    said.append(f"again: {made.command}  ({made.seconds:.1f} s, files in {made.folder})")
    said.append(f"tolerance: {tolerance}")
    said += [
        str(one) for one in made.compared if one.verdict != SAME or one.name.rpartition(": ")[2].startswith("table")
    ]
    counts = made.counts()
    said.append(
        f"{len(made.compared)} tables and metrics: {counts.get(SAME, 0)} the same bit for bit, "
        f"{counts.get(WITHIN, 0)} within the tolerance, {counts.get(DIFFERENT, 0)} different"
    )
    return said
