"""Rows that cannot be read: counted, named by line, left out; too many stop the load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from paribus.errors import DataError

TOLERATED = 0.01
SHOWN = 10
AT_ONCE = 20_000
"""Rows whose text is held at once."""

Row = TypeVar("Row")


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield the rows some at a time."""
    return iter(lambda: list(islice(rows, AT_ONCE)), [])


@dataclass
class Rows:
    """Counts the rows of one load.

    Attributes:
        where: What is being read, for messages.
        n: Rows read so far.
        bad: ``line N: reason`` of the rows left out (the first thousand).
        n_bad: How many were left out.
    """

    where: str
    n: int = 0
    bad: list[str] = field(default_factory=list)
    n_bad: int = 0

    def reject(self, line: str, reason: str) -> None:
        """Count one row as unreadable."""
        self.n_bad += 1
        if len(self.bad) < 1000:
            self.bad.append(f"{line}: {reason}")

    def finish(self) -> tuple[str, ...]:
        """Return what was left out.

        Raises:
            DataError: If more than 1 % of the rows are bad; the first ten are listed.
        """
        if self.n_bad > TOLERATED * self.n:
            listed = "; ".join(self.bad[:SHOWN])
            raise DataError(f"{self.where}: {self.n_bad} of {self.n} rows cannot be read (more than 1 %): {listed}")
        return tuple(self.bad)
