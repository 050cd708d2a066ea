"""A training that a job of a sweep needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """A training that a job needs, and has made where it is missing.

    Attributes:
        identity: The identity of its run.
        experiment: Its type.

    Example:
        >>> Training("0f3a", "train_classifier").experiment
        'train_classifier'
    """

    identity: str
    experiment: str
