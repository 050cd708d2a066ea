"""The kind of claim a result supports."""

from __future__ import annotations

from enum import StrEnum


class Evidence(StrEnum):
    """How a number was obtained. Every result and every table carries one.

    Example:
        >>> Evidence("interventional") is Evidence.INTERVENTIONAL, f"{Evidence.WEIGHTS}"
        (True, 'weights')
    """

    INTERVENTIONAL = "interventional"
    """The model was run on edited inputs or with edited activations."""
    OBSERVATIONAL = "observational"
    """Nothing was changed; differences may be confounded."""
    WEIGHTS = "weights"
    """Read from the parameters."""
    TRAINING = "training"
    """Recorded while a model was trained."""
    COMPARISON = "comparison"
    """Made from other runs."""
