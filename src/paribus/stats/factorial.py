"""Main effects of two-level factors over runs: the pairs that differ in one factor only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats
from paribus.stats.few import differences


@dataclass(frozen=True)
class MainEffect:
    """The main effect of one factor, as pairs of runs.

    Attributes:
        factor: Its name.
        low: The level that is taken as reference: the lower one in sorted order.
        high: The other one.
        differences: Outcome at ``high`` minus outcome at ``low`` of every pair [pairs]; their mean is the effect.
        n_unpaired: Runs without a partner.

    Example:
        >>> MainEffect("decay", 0, 1, np.array([0.4, 0.3]), n_unpaired=0).differences.mean().round(2)
        np.float64(0.35)
    """

    factor: str
    low: Any
    high: Any
    differences: Floats
    n_unpaired: int


def main_effects(
    outcome: ArrayLike, factors: Mapping[str, Sequence[Any]], seeds: Sequence[Any]
) -> tuple[MainEffect, ...]:
    """Return the main effect of each factor of a factorial of runs.

    Two runs that differ in one factor only, with the same seed and all else equal, form a pair; under the hypothesis
    that the factor does nothing the sign of each pair's difference is a coin toss (exact randomisation within seed
    and the other factors, Fisher 1935): :func:`paribus.stats.few.paired_sign_flip` tests it.

    Args:
        outcome: One number per run [runs].
        factors: Level of each run, by factor [runs] each; every factor has two levels, compared as higher minus lower
            in sorted order.
        seeds: Seed of each run [runs].

    Raises:
        ValueError: If lengths disagree, a factor has not two levels, or two runs share seed and all factors.

    Example:
        >>> factors = {"decay": [0, 1, 0, 1], "scale": [1, 1, 8, 8]}
        >>> effects = main_effects([0.1, 0.5, 0.2, 0.6], factors, seeds=[0, 0, 0, 0])
        >>> [(one.factor, [round(float(d), 1) for d in one.differences]) for one in effects]
        [('decay', [0.4, 0.4]), ('scale', [0.1, 0.1])]
    """
    values, names = np.asarray(outcome, dtype=np.float64), list(factors)
    cells = list(zip(seeds, *(factors[name] for name in names), strict=True))
    if len(cells) != len(values) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} outcomes must be finite and fit {len(cells)} runs")
    by_cell = dict(zip(cells, values.tolist(), strict=True))
    if len(by_cell) < len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        raise ValueError(f"two runs have the same seed and factors: {dict(zip(['seed', *names], twice, strict=True))}")
    found = []
    for position, name in enumerate(names, start=1):
        levels = sorted(set(factors[name]))
        if len(levels) != 2:
            raise ValueError(f"factor {name!r} must have two levels, has {len(levels)}: {levels}")
        low, high = levels
        partners = [(cell, (*cell[:position], high, *cell[position + 1 :])) for cell in cells if cell[position] == low]
        both = [(by_cell[b], by_cell[a]) for a, b in partners if b in by_cell]
        pairs = differences(*zip(*both, strict=True)) if both else np.zeros(0)
        found.append(MainEffect(name, low, high, pairs, len(cells) - 2 * len(pairs)))
    return tuple(found)
