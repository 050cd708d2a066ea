"""Where a training saves its state, and under which names."""

from __future__ import annotations

from typing import Any, Protocol

from paribus.errors import CheckpointError


class CheckpointStore(Protocol):
    """Storage for checkpoints that survives a kill of the process."""

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


AUTOENCODER = "autoencoder_"


def autoencoder_name(number: int) -> str:
    """Return the name under which a sparse autoencoder is kept beside the weights of its network, from 1.

    Example:
        >>> autoencoder_name(1)
        'autoencoder_1'
    """
    return f"{AUTOENCODER}{number}"


RESUME = "resume"
"""The name of the state from which an interrupted training resumes."""


def kept_state(workspace: CheckpointStore, identity: str) -> dict[str, Any] | None:
    """Return the saved state of an interrupted training; None without.

    Args:
        workspace: Where it is kept.
        identity: What the training now begun is: data, settings, seed, starting weights.

    Raises:
        CheckpointError: If it belongs to another training.
    """
    kept = workspace.load(RESUME)
    if kept is not None and kept["identity"] != identity:
        raise CheckpointError(
            "resume: the kept state belongs to a training with other data, seed or settings; "
            "use an empty workspace for this one"
        )
    return kept
