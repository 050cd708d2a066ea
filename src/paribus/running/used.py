"""Which config groups a run works with: its params show these and no others, so that a filter finds what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.running.sequence import with_steps

if TYPE_CHECKING:
    from paribus.running.resolved import Resolved

OPTIONAL = ("data", "model", "feature", "slice", "constraints", "training")
"""Groups that hold something in every configuration, whether the experiment looks at it or not."""
OF_A_MODEL = ("data", "model", "training")
"""Groups that say what a trained model is."""


def unused(resolved: Resolved) -> frozenset[str]:
    """Return the groups that neither the experiment, nor a step of it, nor the training of its model has looked at."""
    used = {group for each in with_steps(resolved.request.experiment) for group in each.needs}
    if resolved.source is not None:
        used |= set(OF_A_MODEL)
    return frozenset(OPTIONAL) - used
