"""Sweep: every level of one factor against its baseline, in the same context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.measure.factor import Factor
from paribus.methods.contrast import (
    Found,
    Null,
    Reading,
    contrasted,
    draws_within,
    interchanged_null,
    null_to_baseline,
    to_baseline,
)
from paribus.stats.clusters import ClusterSums
from paribus.stats.trend import PageSums, Trend


@dataclass(frozen=True)
class Swept(Found):
    """A factor's levels measured: differences to the baseline ``[levels - 1]``, and their null.

    Attributes:
        means: Mean of the readout at each level ``[levels]``, the baseline first.
        trend: Page's trend of the readout over the doses; None where the levels are kinds, or fewer than three.
        slope: Least-squares slope per unit of the dose in each context, one row; None without doses.
        further: The factor's further nulls.
    """

    means: Floats
    trend: Trend | None
    slope: ClusterSums | None
    further: Sequence[Null]


def sweep(to: Reading, factor: Factor, *, n_null: int, n_permutations: int = 9999, rng: np.random.Generator) -> Swept:
    """Measure a (fitted) factor on some contexts.

    The null is that of the readout's like features where it has some and inputs are edited, else that of the factor's
    own kind (random directions, units, donors), measured in conditions of its own. Where there is neither, levels are
    interchanged within clusters (:func:`~paribus.stats.interchanged.interchanged`).

    Args:
        to: What is read of which contexts.
        factor: What is varied.
        n_null: Draws of the null for each level.
        n_permutations: Monte Carlo draws of the trend.
        rng: Randomness of null and trend.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Executor, InputFactor, Outputs, stack
        >>> class Shift(InputFactor):
        ...     name, labels, doses = "shift", ("0", "1", "2"), (0.0, 1.0, 2.0)
        ...     def edit(self, cells):
        ...         return stack([cells.with_value(0, cells.values[0] + one) for one in self.doses])
        >>> net = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(net.weight, 3.0)
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=torch.zeros(8, 1))))
        >>> to = Reading(executor, Outputs(), np.arange(8))
        >>> found = sweep(to, Shift(), n_null=0, rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.slope.means.tolist()
        ([3.0, 6.0], [3.0])
    """
    levels = factor.n_levels
    weights = to_baseline(levels)
    slope = slope_weights(factor.doses)
    weights = weights if slope is None else np.concatenate([weights, slope])
    page = None if factor.doses is None or levels < 3 else PageSums(to.executor.subject.cluster, factor.doses)

    def visit(columns: Ints, values: Floats) -> None:
        if page is not None:
            page.add(values.T, columns)

    found = contrasted(to, factor.design(), weights, rng, visit=visit)
    every = np.arange(len(weights))
    effects = found.rows(every[: levels - 1])
    null, further = effects.null, list[Null]()
    if null is None and n_null:
        n_null = draws_within(to, n_null, levels - 1, found.strategy)
        design = factor.null_design(n_null, rng)
        null = None if design is None else null_to_baseline(to, design, levels - 1, factor.null_name, rng)
        others = factor.further_nulls(n_null, rng)
        further = [null_to_baseline(to, each, levels - 1, name, rng) for name, each in others.items()]
    trend = None if page is None else page.trend(rng=rng, n_permutations=n_permutations)
    if null is None and n_null:
        null = interchanged_null(effects.sums, np.zeros(levels - 1, np.int64), n_null, rng)
    return Swept(
        sums=effects.sums,
        null=null,
        means=found.means,
        trend=trend,
        slope=found.sums.rows(every[levels - 1 :]) if len(weights) >= levels else None,
        further=further,
    )


def slope_weights(doses: Sequence[float] | None) -> Floats | None:
    """Return the weights of the least-squares slope over doses ``[1, levels]``; None where they are none, or all alike.

    Example:
        >>> slope_weights((0.0, 1.0, 2.0)).tolist()
        [[-0.5, 0.0, 0.5]]
    """
    if doses is None or len(np.unique(doses)) < 2:
        return None
    centred = np.asarray(doses, dtype=np.float64) - np.mean(doses)
    return np.asarray(centred / (centred**2).sum())[None]
