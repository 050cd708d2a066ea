"""Changes that change nothing: kept in a file with the reason, found again by their text and not by a line number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.mutants.changes import Change

FILE = Path(__file__).with_name("equivalents.yaml")
FIELDS = ("file", "function", "before", "after", "reason")


@dataclass(frozen=True)
class Equivalent:
    """A change after which the program does the same, or as well.

    Attributes:
        file: As in :class:`~benchmarks.mutants.changes.Change`.
        function: The same.
        before: The same.
        after: The same.
        reason: Why no test can or should notice it.
    """

    file: str
    function: str
    before: str
    after: str
    reason: str

    def covers(self, change: Change) -> bool:
        """Whether it speaks of this change."""
        named = (self.file, self.function, self.before, self.after)
        return named == (change.file, change.function, change.before, change.after)


def read(path: Path = FILE) -> list[Equivalent]:
    """Read the kept file.

    Raises:
        ValueError: If an entry has other fields, or gives no reason.
    """
    entries = yaml.safe_load(path.read_text()) or [] if path.exists() else []
    for entry in entries:
        if set(entry) != set(FIELDS) or len(str(entry["reason"])) < 10:
            raise ValueError(f"{path.name}: an entry needs {', '.join(FIELDS)}, with a reason in words: {entry}")
    return [Equivalent(**{name: str(entry[name]) for name in FIELDS}) for entry in entries]
