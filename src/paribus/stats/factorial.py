"""Main effects of two-level factors over runs, tested within seed and the other factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.few import paired_sign_flip
from paribus.stats.multiplicity import adjust
from paribus.stats.permutation import draws_for

if TYPE_CHECKING:
    import pandas as pd


def main_effects(
    outcome: ArrayLike,
    factors: Mapping[str, Sequence[Any]],
    seeds: Sequence[Any],
    *,
    rng: np.random.Generator,
    n_permutations: int = 9999,
    method: str = "holm",
    alternative: str = "two-sided",
) -> pd.DataFrame:
    """Return the main effect of each factor of a factorial of runs.

    Two runs that differ in one factor only, with the same seed and all else equal, form a pair; under the hypothesis
    that the factor does nothing the sign of each pair's difference is a coin toss (exact randomisation within seed
    and the other factors, Fisher 1935).

    Args:
        outcome: One number per run [runs].
        factors: Level of each run, by factor [runs] each; every factor has two levels, compared as higher minus lower
            in sorted order.
        seeds: Seed of each run [runs].
        rng: Draws the flips above 20 pairs.
        n_permutations: Monte Carlo draws.
        method: Adjustment over the factors, ``holm`` or ``bh``.
        alternative: ``two-sided``, ``greater`` or ``less``.

    Returns:
        One row per factor: ``factor, low, high, smallest_p, effect, p, p_adj, n_pairs, n_unpaired``.

    Raises:
        ValueError: If lengths disagree, a factor has not two levels, or two runs share seed and all factors.
    """
    import pandas as pd

    values, names = np.asarray(outcome, dtype=np.float64), list(factors)
    cells = list(zip(seeds, *(factors[name] for name in names), strict=True))
    if len(cells) != len(values) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} outcomes must be finite and fit {len(cells)} runs")
    by_cell = dict(zip(cells, values.tolist(), strict=True))
    if len(by_cell) < len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        raise ValueError(f"two runs have the same seed and factors: {dict(zip(['seed', *names], twice, strict=True))}")
    rows = []
    for position, name in enumerate(names, start=1):
        levels = sorted(set(factors[name]))
        if len(levels) != 2:
            raise ValueError(f"factor {name!r} must have two levels, has {len(levels)}: {levels}")
        low, high = levels
        partners = [(cell, (*cell[:position], high, *cell[position + 1 :])) for cell in cells if cell[position] == low]
        pairs = np.array([by_cell[b] - by_cell[a] for a, b in partners if b in by_cell])
        draws = draws_for(len(names), n_permutations)
        test = paired_sign_flip(pairs, alternative=alternative, rng=rng, n_permutations=draws) if len(pairs) else None
        rows.append(
            {
                "factor": name,
                "low": low,
                "high": high,
                "smallest_p": test.smallest_p if test else 1.0,
                "effect": test.statistic if test else np.nan,
                "p": test.p if test else np.nan,
                "n_pairs": len(pairs),
                "n_unpaired": len(cells) - 2 * len(pairs),
            }
        )
    table = pd.DataFrame(rows)
    table.insert(6, "p_adj", adjust(table["p"].to_numpy(), method))
    return table
