"""What an experiment reports to: a recorder, with a place for large objects; and one of each that lives in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from paribus.results.schema import Curve, Diagnostics, Figure, Table


class Workspace(Protocol):
    """A place for the large objects of a run (checkpoints), which outlives a kill of the process."""

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep tensors and plain values under ``name`` (atomically; replaces an older one)."""

    def load(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under ``name``, or None."""

    def names(self) -> tuple[str, ...]:
        """Return the names kept so far, sorted."""

    def publish(self, name: str) -> None:
        """Make ``name`` an artifact of the run, for other runs to load."""


class Recorder(Protocol):
    """Receives what an experiment finds, as it is found; the only way out of an experiment.

    Example:
        >>> recorder = MemoryRecorder()
        >>> recorder.metric("accuracy", 0.9)
        >>> recorder.warn("3 clusters only")
        >>> recorder.metrics, recorder.diagnostics.warnings
        ({'accuracy': 0.9}, ('3 clusters only',))
    """

    workspace: Workspace

    def table(self, table: Table) -> None:
        """Keep a finished table."""

    def figure(self, figure: Figure) -> None:
        """Declare a figure of tables already handed over."""

    def curve(self, curve: Curve) -> None:
        """Keep a metric over levels."""

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Keep a headline metric, or one point of a history."""

    def warn(self, message: str) -> None:
        """Record a warning for the reader; it is shown and kept in the diagnostics."""

    def diagnose(self, **changes: Any) -> None:
        """Set fields of :class:`paribus.results.schema.Diagnostics` (counts add up, engine reports merge)."""

    def progress(self, items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        """Iterate over ``items`` and show how far it got."""


class MemoryWorkspace:
    """A workspace that lives in memory, for notebooks and tests.

    Example:
        >>> place = MemoryWorkspace()
        >>> place.save("epoch_1", {"weight": [1.0]})
        >>> place.names(), place.load("epoch_1")
        (('epoch_1',), {'weight': [1.0]})
    """

    def __init__(self) -> None:
        """Start empty."""
        self._kept: dict[str, dict[str, Any]] = {}
        self.published: list[str] = []

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep ``state`` under ``name``."""
        self._kept[name] = state

    def load(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under ``name``, or None."""
        return self._kept.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names kept so far, sorted."""
        return tuple(sorted(self._kept))

    def publish(self, name: str) -> None:
        """Remember that ``name`` is to be an artifact."""
        self.published.append(name)


@dataclass
class MemoryRecorder:
    """Keeps everything in memory; the tracked recorder extends it.

    Example:
        >>> recorder = MemoryRecorder()
        >>> recorder.metric("accuracy", 0.9)
        >>> recorder.metrics
        {'accuracy': 0.9}
    """

    workspace: Workspace = field(default_factory=MemoryWorkspace)
    tables: dict[str, Table] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)

    def table(self, table: Table) -> None:
        """Keep a finished table (a later one of the same name replaces it)."""
        self.tables[table.name] = table

    def figure(self, figure: Figure) -> None:
        """Keep a figure; its tables must have been handed over.

        Raises:
            ValueError: If a table it names is not there.
        """
        missing = [name for name in figure.tables if name not in self.tables]
        if missing:
            raise ValueError(f"figure {figure.name!r} needs tables not handed over yet: {', '.join(missing)}")
        self.figures.append(figure)

    def curve(self, curve: Curve) -> None:
        """Keep a curve."""
        self.curves.append(curve)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Keep the latest value of a metric."""
        self.metrics[name] = float(value)

    def warn(self, message: str) -> None:
        """Keep a warning once."""
        if message not in self.diagnostics.warnings:
            self.diagnostics = replace(self.diagnostics, warnings=(*self.diagnostics.warnings, message))

    def diagnose(self, **changes: Any) -> None:
        """Merge into the diagnostics: counts add up, engine reports merge, the rest replaces."""
        self.diagnostics = merge_diagnostics(self.diagnostics, changes)

    def progress(self, items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        """Iterate without showing anything."""
        yield from items


def merge_diagnostics(known: Diagnostics, changes: dict[str, Any]) -> Diagnostics:
    """Return ``known`` with ``changes`` merged in: counts add up, engine reports merge, the rest replaces."""
    merged = dict(changes)
    for name in ("n_contexts_tested", "n_contexts_skipped"):
        if name in merged:
            merged[name] = getattr(known, name) + int(merged[name])
    if "constraint_violations" in merged:
        counts = dict(known.constraint_violations)
        for key, count in merged["constraint_violations"].items():
            counts[key] = counts.get(key, 0) + int(count)
        merged["constraint_violations"] = counts
    if "engine" in merged:
        merged["engine"] = known.engine.joined(merged["engine"])
    if "warnings" in merged:
        merged["warnings"] = tuple(dict.fromkeys((*known.warnings, *merged["warnings"])))
    return replace(known, **merged)
