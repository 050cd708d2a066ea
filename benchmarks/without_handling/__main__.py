"""Take what keeps Paribus out of a trap away, and its test fails: ``python -m benchmarks.without_handling [WORD ...]``.

Each is taken away in a copy of the checkout; words choose the traps whose names have one of them. Exit code 1 if a test
passes all the same, as it would not notice, or fails anyway.
"""

from __future__ import annotations

import gc
import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.mutants.overlay import Outcome, Overlay, preload
from benchmarks.without_handling.edits import EDITS, Edit
from benchmarks.without_handling.places import PLACES, Place

ROOT = Path(__file__).parents[2]
SECONDS = 240.0
"""Seconds after which a test hangs; without what keeps it from that it may."""


class Without:
    """A plugin of pytest that puts something else in a place."""

    def __init__(self, place: Place) -> None:
        """Take the place."""
        self.place = place

    def pytest_configure(self) -> None:
        """Put it there."""
        module, _, path = self.place.place.partition(":")
        found: Any = importlib.import_module(module)
        *classes, name = path.split(".")
        for each in classes:
            found = getattr(found, each)
        assert hasattr(found, name), f"{self.place.place}: is not there"
        setattr(found, name, self.place.instead)


def main(words: Sequence[str]) -> int:
    """Take away one after the other, and print whether its test notices."""
    chosen = [each for each in (*PLACES, *EDITS) if not words or any(word in each.trap for word in words)]
    unnoticed, proven = 0, set()
    with tempfile.TemporaryDirectory(prefix="paribus_without_") as folder:
        copy = Overlay(ROOT, Path(folder))
        preload()
        gc.freeze()
        for each in chosen:
            began = time.monotonic()
            said = tried(each, copy)
            unnoticed += said != "noticed"
            if said == "noticed":
                proven.add(each.trap)
            where = each.place if isinstance(each, Place) else each.file
            print(f"{each.trap} ({where}): {said}, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} noticed, of {len(proven)} traps")
    return 1 if unnoticed else 0


def tried(each: Place | Edit, copy: Overlay) -> str:
    """Return what a test says with and without."""
    if isinstance(each, Place):
        without = _run(copy, each.test, plugins=partial(_plugins, each))
    else:
        file = copy.folder / each.file
        content = file.read_bytes()
        if content.count(each.before.encode()) != 1:
            return f"STANDS THERE {content.count(each.before.encode())} TIMES"
        copy.write(each.file, content.replace(each.before.encode(), each.after.encode()))
        try:
            without = _run(copy, each.test, only=each.only)
        finally:
            copy.write(each.file, content)
    if without.code == 0:
        return "NOT NOTICED"
    if without.code not in (1, None):
        return f"NO TEST RAN: {without.output[-600:]}"
    return (
        "noticed"
        if _run(copy, each.test, only=each.only if isinstance(each, Edit) else "").code == 0
        else "FAILS ANYWAY"
    )


def _plugins(each: Place) -> list[Any]:
    return [Without(each)]


def _run(copy: Overlay, test: str, *, only: str = "", plugins: Any = list) -> Outcome:
    fork = copy.start([f"tests/{test}[{only}]" if only else f"tests/{test}"], plugins=plugins)
    while (outcome := fork.ended(SECONDS)) is None:
        time.sleep(0.05)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
