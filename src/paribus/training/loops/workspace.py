"""Where a training keeps its state, and under which names."""

from __future__ import annotations

from typing import Any, Protocol


class CheckpointStore(Protocol):
    """A place for checkpoints that outlives a kill of the process."""

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep tensors and plain values under ``name``; replaces an older one."""

    def load(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under ``name``, or None."""


def checkpoint_name(epoch: int) -> str:
    """Return the name under which the weights after ``epoch`` epochs are kept.

    Example:
        >>> checkpoint_name(12)
        'checkpoint_e00012'
    """
    return f"checkpoint_e{epoch:05d}"
