"""Do the tests notice when the code is wrong?

    OMP_NUM_THREADS=1 python -m benchmarks.mutants [--rooms stats,engine] [--files stats/few.py] [--list]

A seeded sample of single changes of the numeric rooms is tried, one by one, in copies of the checkout; what must fail
are the tests that mirror the changed file, or those that are known to run the changed function. Printed is one line for
every survivor, and a summary. Exit code 1 if fewer than 90 % of the changes that are not called equivalent
(``equivalents.yaml``, with reasons) are noticed, or more than 15 % are called equivalent. Two processes need about
half an hour.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.mutants import equivalents
from benchmarks.mutants.changes import Change
from benchmarks.mutants.equivalents import Equivalent
from benchmarks.mutants.mirror import mirror, test_files
from benchmarks.mutants.overlay import Overlay, preload
from benchmarks.mutants.sample import ONE_IN, ROOMS, SEED, sample
from benchmarks.mutants.trial import WIDER_SECONDS, Ran, Verdict, measure, mirrored, try_changes, wider

ROOT = Path(__file__).parents[2]
LEAST_KILLED = 0.9
MOST_EQUIVALENT = 0.15
LEAST_TRIED = 200


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; see the module."""
    asked = _parser().parse_args(words)
    package = ROOT / "src" / "paribus"
    chosen = sample(package, rooms=asked.rooms.split(","), seed=asked.seed, one_in=asked.one_in)
    if asked.files:
        chosen = [change for change in chosen if change.file in asked.files.split(",")]
    if asked.list:
        for change in chosen:
            print(line(change))
        return 0
    known = equivalents.read()
    called = [change for change in chosen if any(entry.covers(change) for entry in known)]
    tried = chosen if asked.equivalents_too else [change for change in chosen if change not in called]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no test is left running
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="paribus_mutants_") as folder:
        copies = [Overlay(ROOT, Path(folder) / str(number)) for number in range(asked.jobs)]
        preload()
        gc.freeze()
        done = _tried(tried, copies, Path(folder), mirror_only=asked.mirror_only, seconds=asked.wider_seconds)
    whole = asked.rooms == ",".join(ROOMS) and not asked.files
    return summary(done, called, known if whole else [], seconds=time.monotonic() - began, whole=whole)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.mutants", description="Tries single changes of the code.")
    parser.add_argument("--rooms", default=",".join(ROOMS), help="rooms, joined by commas")
    parser.add_argument("--files", default="", help="only these source files of the sample")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--one-in", type=int, default=ONE_IN, help="one of so many possible changes is tried")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--wider-seconds", type=float, default=WIDER_SECONDS, help="bound of tests beyond the mirror")
    parser.add_argument("--mirror-only", action="store_true", help="only the tests that mirror the file")
    parser.add_argument("--equivalents-too", action="store_true", help="try what is called equivalent, too")
    parser.add_argument("--list", action="store_true", help="print the sample and try nothing")
    return parser


def _tried(
    chosen: Sequence[Change], copies: Sequence[Overlay], folder: Path, *, mirror_only: bool, seconds: float
) -> list[Verdict]:
    """Try changes, first with the tests that mirror the file, then what is left with all others."""
    tests = ROOT / "tests"
    names = dict.fromkeys(name for change in chosen for name in mirror(change.file, tests))
    ran = _measured(list(names), copies, folder)
    done = try_changes(
        chosen,
        copies,
        lambda change: mirrored(change, ran, tests),
        by="mirror",
        told=partial(_tell, "passes its mirror"),
    )
    left = [verdict.change for verdict in done if not verdict.killed]
    if mirror_only or not left:
        return done
    ran += _measured([name for name in test_files(tests) if name not in names], copies, folder)
    again = try_changes(
        left,
        copies,
        lambda change: wider(change, ran, tests, seconds=seconds),
        by="wider",
        told=partial(_tell, "survived"),
    )
    return [*(verdict for verdict in done if verdict.killed), *again]


def _measured(names: Sequence[str], copies: Sequence[Overlay], folder: Path) -> list[Ran]:
    began = time.monotonic()
    ran = measure(names, copies, folder)
    for test in ran:
        if not test.passed:
            print(f"left out, it fails or does not end without a change: {test.node}", flush=True)
    print(f"{len(ran)} tests ran without a change, {time.monotonic() - began:.0f} s", flush=True)
    return ran


def line(change: Change) -> str:
    """Return a change in one line."""
    return f"{change.file}:{change.line} {change.function} ({change.kind})  {change.before}  ->  {change.after}"


def _tell(what: str, verdict: Verdict) -> None:
    if not verdict.killed:
        print(f"{what}  {line(verdict.change)}", flush=True)


def summary(
    done: Sequence[Verdict], called: Sequence[Change], known: Sequence[Equivalent], *, seconds: float, whole: bool
) -> int:
    """Print how the sample ended, and return the exit code.

    Args:
        done: How the changes that were tried ended.
        called: Changes of the sample that are called equivalent.
        known: Every kept equivalent, to say which no longer stand in the code's sample.
        seconds: How long it took.
        whole: Whether the whole sample was tried, so that it must be large enough.
    """
    for verdict in done:
        if verdict.killed and verdict.change in called:
            print(f"called equivalent, but noticed  {line(verdict.change)}")
    for entry in known:
        if not any(entry.covers(change) for change in called):
            print(f"no longer in the sample  {entry.file} {entry.function}: {entry.before} -> {entry.after}")
    counted = [verdict for verdict in done if verdict.change not in called]
    killed = [verdict for verdict in counted if verdict.killed]
    n = len(counted) + len(called)
    by = ", ".join(f"{count} by {name}" for name, count in Counter(verdict.by for verdict in killed).most_common())
    for room in ROOMS:
        own = [verdict for verdict in counted if verdict.change.file.startswith(f"{room}/")]
        if own:
            print(f"{room:<16} {sum(verdict.killed for verdict in own):>4} of {len(own):>4} noticed")
    share = len(killed) / len(counted) if counted else 1.0
    print(f"{n} changes: {len(called)} called equivalent ({len(called) / max(n, 1):.1%}); of the other {len(counted)}")
    print(f"{len(killed)} noticed ({share:.1%}; {by}), {len(counted) - len(killed)} not; {seconds / 60:.1f} minutes")
    enough = n >= LEAST_TRIED or not whole
    if not enough:
        print(f"at least {LEAST_TRIED} changes should be tried: choose a smaller ONE_IN")
    return 0 if share >= LEAST_KILLED and len(called) <= MOST_EQUIVALENT * n and enough else 1


if __name__ == "__main__":
    sys.exit(main())
