"""Screening the families at every rung, to choose candidates for interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import RESOLUTION
from paribus.experiments.builds._moves import Move, apply_moves, setting
from paribus.experiments.builds.interaction_experiment import InteractionExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import States

USUAL_IS_ENOUGH = 0.25
"""Share of its largest effect from which on a family is set to its usual rung, which leaves most room for others."""
REACHED = 0.5
"""Else it is set to the lowest rung with this share of its largest effect."""


@dataclass(frozen=True)
class Screened:
    """What a family's own effect is.

    Attributes:
        family: The family.
        level: AP that it is to be set to.
        rms: Root mean square of its effect at that level, over the contexts in which it is legal; NaN without any.
        largest: The largest such effect over all its levels, contexts in which one is not legal counting as unmoved.
        largest_at: The level of that; None where none has an effect.
    """

    family: Family
    level: int
    rms: float
    largest: float
    largest_at: int | None


def screen(
    setup: BuildSetup,
    experiment: InteractionExperiment,
    ranges: Sequence[tuple[Family, Sequence[int], int]],
    recorder: Recorder | None,
) -> list[Screened]:
    """Measure every family's own effect at each of its levels against its absence, block by block.

    Effects are root mean squares over contexts, not means: what raises the feature beside one token and lowers it
    beside another is an effect as well.

    Args:
        setup: The contexts to look at.
        experiment: Says what is held in every state.
        ranges: Families with their levels in AP, ascending, and the usual one among these.
        recorder: Gets counts and progress.
    """
    moves: list[Move] = []
    gone: list[int] = []
    there: list[int] = []
    for family, levels, _ in ranges:
        first = len(moves)
        moves += [setting(setup.edits, family, level) for level in (None, *levels)]
        gone += [first] * len(levels)
        there += range(first + 1, first + 1 + len(levels))

    def edited(states: States) -> States:
        return apply_moves(experiment.hold(setup, states), moves)

    total, count = np.zeros((2, len(there)))
    for block in setup.stream(Design(edited, len(moves), description="single effects"), recorder):
        f = block.values[0]
        square = (f[there] - f[gone]) ** 2
        known = ~np.isnan(square)
        total += np.where(known, square, 0.0).sum(1)
        count += known.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rms, reach = np.sqrt(total / count), np.sqrt(total / len(setup.contexts))
    cuts = np.cumsum([len(levels) for _, levels, _ in ranges])[:-1]
    return [
        _chosen(family, np.asarray(levels, np.int64), usual, own_rms, own_reach, RESOLUTION * setup.sd)
        for (family, levels, usual), own_rms, own_reach in zip(
            ranges, np.split(rms, cuts), np.split(reach, cuts), strict=True
        )
    ]


def _chosen(family: Family, levels: Ints, usual: int, rms: Floats, reach: Floats, none: float) -> Screened:
    """Choose the level of one family from its effects at all levels; those up to ``none`` are rounding."""
    largest = float(reach.max())
    place = int(np.flatnonzero(levels == usual)[0])
    if largest <= none:
        return Screened(family, usual, float(rms[place]), largest, None)
    if reach[place] < USUAL_IS_ENOUGH * largest:
        place = int(np.flatnonzero(reach >= REACHED * largest)[0])
    return Screened(family, int(levels[place]), float(rms[place]), largest, int(levels[int(reach.argmax())]))
