"""The config groups that a run uses: its params show only these, so that filters match actual use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.running.sequence import with_steps

if TYPE_CHECKING:
    from paribus.running.resolved import Resolved

OPTIONAL = ("data", "model", "feature", "slice", "constraints", "training")
"""Groups that are set in every configuration, whether the experiment uses them or not."""
OF_A_MODEL = ("data", "model", "training")
"""Groups that describe a trained model."""


def unused(resolved: Resolved) -> frozenset[str]:
    """Return the groups that neither the experiment, nor a step of it, nor the training of its model has used."""
    used = {group for each in with_steps(resolved.request.experiment) for group in each.needs}
    if resolved.source is not None:
        used |= set(OF_A_MODEL)
    return frozenset(OPTIONAL) - used
