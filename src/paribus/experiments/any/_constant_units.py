"""Units that an ablation cannot change, because their value is the same in all reported contexts."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.factors._heads import LayeredHeads
from paribus.factors._units import Channels
from paribus.measure.executor import Executor
from paribus.measure.factor import Units

CONSTANT = "constant here"
LEAST_RANGE = 1e-6
"""Range of a unit, over the largest of all, below which it does not differ."""


def constant_units(units: Units, executor: Executor, rows: Ints) -> Bools:
    """Return the units whose ablation is uninformative ``[k]``: it sets them to the value they have in all contexts.

    A donor's value is that of the same position, so only contexts count; a mean is one over positions too. Setting to 0
    is informative for constant units too, so none is returned for it, nor for units that are not channels.
    """
    if not isinstance(units, LayeredHeads | Channels) or units.ablation == "zero":
        return np.zeros(len(units.names), bool)
    ranges = executor.ranges_at(units.sites, rows, over_positions=units.ablation == "mean")
    largest = max(float(found.max()) for found in ranges.values())
    return np.array([ranges[site][channels].max() <= LEAST_RANGE * largest for site, channels in _channels(units)])


def _channels(units: LayeredHeads | Channels) -> list[tuple[str, list[int]]]:
    if isinstance(units, LayeredHeads):
        size = units.size
        return [(units.sites[index], list(range(head * size, (head + 1) * size))) for index, head in units.heads]
    own = units.place.channels
    return [(units.sites[0], [one if own is None else own[one] for one in group]) for group in units.groups]
