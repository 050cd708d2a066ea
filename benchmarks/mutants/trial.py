"""Trying changes: each is written into a copy of the checkout, and tests run until one fails.

First the tests that mirror the file; for what passes them, the others that are known to run the changed function (or
any function of the file, for a change outside of functions), the quickest first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.mutants.changes import MODULE, Change
from benchmarks.mutants.mirror import mirror
from benchmarks.mutants.overlay import Fork, Outcome, Overlay
from benchmarks.mutants.profile import Profile

PAUSE = 0.02
SOURCE = "src/paribus"
WIDER_SECONDS = 60.0
"""The tests beyond the mirror together take at most this long (on code that is not changed)."""


@dataclass(frozen=True)
class Ran:
    """One test on the code as it is.

    Attributes:
        node: Its pytest id.
        seconds: How long it took.
        passed: Whether it passed.
        functions: ``file:function`` of everything it ran.
    """

    node: str
    seconds: float
    passed: bool
    functions: frozenset[str]

    @property
    def file(self) -> str:
        """The test's file."""
        return self.node.partition("::")[0]

    @property
    def case(self) -> tuple[str, str]:
        """Its file and the name of its case: tests of one case share what the first of them measured."""
        return self.file, self.node.partition("[")[2]


@dataclass(frozen=True)
class Verdict:
    """How the trial of a change ended.

    Attributes:
        change: The change.
        killed: Whether a test noticed.
        by: ``mirror``, ``wider`` or ``time`` (the tests no longer ended); empty if none did.
        seconds: How long it took.
    """

    change: Change
    killed: bool
    by: str
    seconds: float


@dataclass(frozen=True)
class Request:
    """Tests that are to run in a copy.

    Attributes:
        tests: Test files or ids.
        limit: Seconds after which they are killed.
        plugins: Makes pytest plugins inside the fork.
        changed: Whether a change is in place.
    """

    tests: Sequence[str]
    limit: float
    plugins: Callable[[], list[Any]] = list
    changed: bool = True


Task = Callable[[Overlay], Generator[Request, Outcome, None]]


def run(tasks: Iterable[Task], copies: Sequence[Overlay]) -> None:
    """Work tasks off, one at a time in each copy."""
    waiting = iter(tasks)
    busy: dict[int, tuple[Generator[Request, Outcome, None], Request, Fork]] = {}
    left = True
    try:
        while left or busy:
            for number, copy in enumerate(copies):
                if number not in busy:
                    left = _begin(waiting, copy, number, busy) if left else False
                    continue
                task, request, fork = busy[number]
                outcome = fork.ended(request.limit)
                if outcome is not None:
                    del busy[number]
                    _go_on(task, outcome, copy, number, busy)
            time.sleep(PAUSE)
    finally:
        for _, _, fork in busy.values():
            fork.end()


def _begin(waiting: Any, copy: Overlay, number: int, busy: dict[int, Any]) -> bool:
    task = next(waiting, None)
    if task is None:
        return False
    _go_on(task(copy), None, copy, number, busy)
    return True


def _go_on(task: Generator[Request, Any, None], outcome: Any, copy: Overlay, number: int, busy: dict[int, Any]) -> None:
    try:
        request = task.send(outcome)
    except StopIteration:
        return
    busy[number] = (task, request, copy.start(request.tests, plugins=request.plugins, changed=request.changed))


def measure(
    tests: Sequence[str], copies: Sequence[Overlay], folder: Path, *, source: str = SOURCE, limit: float = 900.0
) -> list[Ran]:
    """Run test files on the code as it is, and return what each test ran.

    A file that does not run to its end is one test that did not pass: it can notice nothing.

    Args:
        tests: Test files.
        copies: Where they run.
        folder: Where what they ran is written to.
        source: The package's folder in a copy.
        limit: Seconds that a file may take.
    """
    found: list[Ran] = []

    def task(name: str) -> Task:
        def steps(copy: Overlay) -> Generator[Request, Outcome, None]:
            out = folder / f"{name.replace('/', '.')}.json"
            package = copy.folder / source
            outcome = yield Request([name], limit, lambda: [Profile(package, out)], changed=False)
            whole = outcome.code in (0, 1, 5) and out.exists()
            found.extend(
                _ran(json.loads(out.read_text())) if whole else [Ran(name, outcome.seconds, False, frozenset())]
            )

        return steps

    run([task(name) for name in tests], copies)
    return found


def _ran(kept: dict[str, Any]) -> list[Ran]:
    found = []
    for node, test in kept["tests"].items():
        shared = kept["shared"].get(node.partition("::")[0], [])
        functions = frozenset([*test["ran"], *shared])
        found.append(Ran(node, float(test["seconds"]), test["outcome"] in ("passed", "skipped"), functions))
    return found


def wider(change: Change, ran: Sequence[Ran], tests: Path, *, seconds: float = WIDER_SECONDS) -> list[Ran]:
    """Return the tests beyond the mirror that run the changed function, the quickest first, within ``seconds``."""
    without = mirror(change.file, tests)
    inside = "<lambda>" not in change.function and change.function != MODULE
    name = f"{change.file}:{change.function}"
    whole = not any(name in test.functions for test in ran) or not inside
    hit = [test for test in ran if _runs(test, change.file if whole else name, whole)]
    cases = {test.case for test in hit if test.case[1]}
    chosen = [test for test in ran if test in set(hit) or test.case in cases]
    taken, spent = [], 0.0
    for test in sorted(chosen, key=lambda test: test.seconds):
        spent += test.seconds
        if test.file not in without and spent <= seconds:
            taken.append(test)
    return taken


def _runs(test: Ran, name: str, whole: bool) -> bool:
    return any(function.startswith(f"{name}:") for function in test.functions) if whole else name in test.functions


def mirrored(change: Change, ran: Sequence[Ran], tests: Path) -> list[Ran]:
    """Return the tests that mirror the changed file, the quickest file first, and in it the quickest test."""
    files = mirror(change.file, tests)
    found = [test for test in ran if test.file in files]
    of_file = {name: sum(test.seconds for test in found if test.file == name) for name in files}
    return sorted(found, key=lambda test: (of_file[test.file], test.file, test.seconds))


def try_changes(
    chosen: Sequence[Change],
    copies: Sequence[Overlay],
    tests_of: Callable[[Change], Sequence[Ran]],
    *,
    by: str,
    told: Callable[[Verdict], None],
    source: str = SOURCE,
) -> list[Verdict]:
    """Try changes and return how each trial ended.

    Args:
        chosen: The changes.
        copies: Where they are tried, each one at a time.
        tests_of: Returns the tests of a change; those that fail without a change are left out.
        by: What these tests are called.
        told: Is told of each as soon as it is known.
        source: The package's folder in a copy.
    """
    verdicts: list[Verdict] = []

    def task(change: Change) -> Task:
        def steps(copy: Overlay) -> Generator[Request, Outcome, None]:
            began, path = time.monotonic(), f"{source}/{change.file}"
            tests = [test for test in tests_of(change) if test.passed]
            how = ""
            if tests:
                before = (copy.folder / path).read_bytes()
                copy.write(path, change.apply(before))
                outcome = yield Request([test.node for test in tests], limit(tests))
                how = "time" if outcome.code is None else by if outcome.code else ""
                copy.write(path, before)
            verdicts.append(Verdict(change, bool(how), how, time.monotonic() - began))
            told(verdicts[-1])

        return steps

    run([task(change) for change in chosen], copies)
    return verdicts


def limit(tests: Sequence[Ran]) -> float:
    """Return after how many seconds tests that do not end are killed: what they need thrice over, and a minute."""
    return 60.0 + 3 * sum(test.seconds for test in tests)
