"""What a measurement reports to while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class Watch(Protocol):
    """Receives counts, warnings and progress; an experiment's recorder is one.

    Example:
        >>> from paribus.experiments.base import MemoryRecorder
        >>> watch = MemoryRecorder()
        >>> watch.diagnose(n_contexts_tested=3)
        >>> watch.diagnostics.n_contexts_tested
        3
    """

    def diagnose(self, **changes: Any) -> None:
        """Set fields of the diagnostics (counts add up, engine reports merge)."""

    def warn(self, message: str) -> None:
        """Record a warning for the reader."""

    def progress(self, items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        """Iterate over ``items`` and show the progress."""
