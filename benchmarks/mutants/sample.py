"""The sample: which of all possible changes are tried. It hardly moves when the code is edited.

Every change has a number of its own, a hash of the seed, its file, its function and its text before and after (never
its line). From each file the changes with the smallest numbers are taken, in proportion to how many the file offers.
So an edit elsewhere changes nothing here, and an edit in a file replaces only what was edited, and at most the last of
the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from benchmarks.mutants.changes import Change, changes, valid

SEED = 20261125
ROOMS = ("stats", "engine", "subspace", "results", "tracking", "compare", "subjects/builds")
ONE_IN = 50
WATCHED = (
    ("stats/few.py", "smallest_p"),
    ("stats/few.py", "_reachable"),
    ("stats/few.py", "welch_interval"),
    ("compare/arms.py", "_intervals_of_arms"),
    ("compare/collect.py", "_unfinished"),
    ("subjects/builds/legality.py", "legal"),
    ("subjects/builds/legality.py", "_least_singles"),
)
"""Functions in which changes once passed all tests; some of each are tried beside the sample, for ever."""
N_WATCHED = 4


def number(change: Change, seed: int) -> str:
    """Return the number of a change: 64 hexadecimal digits, as good as random."""
    return hashlib.sha256("\0".join([str(seed), *map(str, change.key)]).encode()).hexdigest()


def from_file(source: bytes, file: str, *, seed: int, one_in: int) -> list[Change]:
    """Return the changes of one file that are tried, in the file's order.

    Its share of the sample, at least one where it offers any, and those of its :data:`WATCHED` functions.
    """
    offered = changes(source, file)
    ranked = sorted(offered, key=lambda change: number(change, seed))
    good = (change for change in ranked if valid(change, source))
    chosen = list(islice(good, max(1, round(len(offered) / one_in))))
    for watch in WATCHED:
        inside = (change for change in ranked if (change.file, change.function) == watch and valid(change, source))
        chosen += islice(inside, N_WATCHED)
    return sorted(dict.fromkeys(chosen), key=lambda change: (change.start, change.end, change.text))


def files(package: Path, rooms: Sequence[str] = ROOMS) -> list[Path]:
    """Return the source files of the rooms."""
    return [path for room in rooms for path in sorted((package / room).rglob("*.py")) if path.name != "__init__.py"]


def sample(package: Path, *, rooms: Sequence[str] = ROOMS, seed: int = SEED, one_in: int = ONE_IN) -> list[Change]:
    """Return the changes that are tried in the rooms of a package, file by file."""
    found: list[Change] = []
    for path in files(package, rooms):
        found += from_file(path.read_bytes(), path.relative_to(package).as_posix(), seed=seed, one_in=one_in)
    return found
