"""The recorder of a run: keeps what an experiment reports in memory and, immediately, in the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from paribus.experiments.recording import MemoryRecorder

if TYPE_CHECKING:
    from paribus.results.schema import Table
    from paribus.tracking.file_run import FileRun

log = logging.getLogger("paribus")


@dataclass(kw_only=True)
class TrackedRecorder(MemoryRecorder):
    """Writes tables to the run at once, so that a run that fails later still has them.

    Attributes:
        run: The run.
        name: Heading of the progress bar and of warnings.
    """

    run: FileRun
    name: str = ""

    def table(self, table: Table) -> None:
        """Keep a finished table, in memory and in the run."""
        super().table(table)
        self.run.table(table)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Keep the latest value of a metric; with a step, the point becomes part of its history."""
        super().metric(name, value, step)
        if step is not None:
            self.run.metric(name, float(value), step)

    def warn(self, message: str) -> None:
        """Keep a warning once, and show it."""
        if message not in self.diagnostics.warnings:
            log.warning("%s: %s", self.name, message)
        super().warn(message)

    def progress(self, items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        """Iterate with a progress bar in an interactive terminal; over a single item without one."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        if total is not None and total < 2:
            yield from items
            return
        title = " ".join(dict.fromkeys(part for part in (self.name, description) if part))
        yield from tqdm(items, total=total, desc=title, disable=None, leave=False, mininterval=0.5)
