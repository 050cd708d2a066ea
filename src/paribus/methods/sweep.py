"""Sweep: every level of one factor against its baseline, in the same context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.methods.contrast import contrasted, draws_within, null_means, to_baseline
from paribus.stats.clusters import ClusterSums
from paribus.stats.interchanged import NAME as INTERCHANGED
from paribus.stats.interchanged import interchanged
from paribus.stats.trend import PageSums, Trend


@dataclass(frozen=True)
class Swept:
    """A factor's levels measured.

    Attributes:
        sums: Differences to the baseline ``[levels - 1]`` by cluster.
        means: Mean of the readout at each level ``[levels]``, the baseline first.
        null: Draws of the null for each difference ``[levels - 1, n_null]``; None without.
        null_name: What they are.
        trend: Page's trend of the readout over the doses; None where the levels are kinds, or fewer than three.
        slope: Least-squares slope per unit of the dose in each context, one row; None without doses.
        further: Draws of the factor's further nulls ``[levels - 1, n_null]``, by what they are.
    """

    sums: ClusterSums
    means: Floats
    null: Floats | None
    null_name: str
    trend: Trend | None
    slope: ClusterSums | None
    further: Mapping[str, Floats]


def sweep(
    executor: Executor,
    factor: Factor,
    readout: Readout,
    rows: Ints,
    *,
    n_null: int,
    n_permutations: int = 9999,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Swept:
    """Measure a (fitted) factor on some contexts.

    The null is that of the readout's like features where it has some and inputs are edited, else that of the factor's
    own kind (random directions, units, donors), measured in conditions of its own. Where there is neither, levels are
    interchanged within clusters (:func:`~paribus.stats.interchanged.interchanged`).

    Args:
        executor: The network at one checkpoint.
        factor: What is varied.
        readout: What is read.
        rows: The contexts that are reported.
        n_null: Draws of the null for each level.
        n_permutations: Monte Carlo draws of the trend.
        rng: Randomness of null and trend.
        watch: Gets counts and progress.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, InputFactor, Outputs, stack
        >>> class Shift(InputFactor):
        ...     name, labels, doses = "shift", ("0", "1", "2"), (0.0, 1.0, 2.0)
        ...     def edit(self, cells):
        ...         return stack([cells.with_value(0, cells.values[0] + one) for one in self.doses])
        >>> net = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(net.weight, 3.0)
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=torch.zeros(8, 1))))
        >>> found = sweep(executor, Shift(), Outputs(), np.arange(8), n_null=0, rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.slope.means.tolist()
        ([3.0, 6.0], [3.0])
    """
    levels = factor.n_levels
    weights = to_baseline(levels)
    slope = slope_weights(factor.doses)
    weights = weights if slope is None else np.concatenate([weights, slope])
    page = None if factor.doses is None or levels < 3 else PageSums(executor.subject.cluster, factor.doses)

    def visit(columns: Ints, values: Floats) -> None:
        if page is not None:
            page.add(values.T, columns)

    found = contrasted(executor, factor.design(), readout, weights, rows, rng, watch=watch, visit=visit)
    every = np.arange(len(weights))
    null, name = found.null, "like features" if found.null is not None else ""
    if null is not None:
        null = null[: levels - 1]
    elif n_null:
        n_null = draws_within(n_null, (levels - 1) * len(rows), found.strategy, watch)
        design = factor.null_design(n_null, rng)
        null, name = _own_null(executor, factor, design, readout, rows, rng, watch), factor.null_name
    further = {
        kind: draws
        for kind, design in (factor.further_nulls(n_null, rng) if found.null is None and n_null else {}).items()
        if (draws := _own_null(executor, factor, design, readout, rows, rng, watch)) is not None
    }
    trend = None if page is None else page.trend(rng=rng, n_permutations=n_permutations)
    effects = found.sums.rows(every[: levels - 1])
    if null is None and n_null:
        null, name = interchanged(effects, np.zeros(levels - 1, np.int64), n_null, rng), INTERCHANGED
    return Swept(
        sums=effects,
        means=found.means,
        null=null,
        null_name=name if null is not None else "",
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


def _own_null(
    executor: Executor,
    factor: Factor,
    design: Design | None,
    readout: Readout,
    rows: Ints,
    rng: np.random.Generator,
    watch: Watch | None,
) -> Floats | None:
    if design is None:
        return None
    n = design.n_conditions
    index = np.arange(n - 1).reshape(factor.n_levels - 1, -1)
    return null_means(executor, design, readout, to_baseline(n), index, rows, rng, watch)
