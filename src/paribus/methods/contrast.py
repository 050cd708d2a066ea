"""What every method adds up: weighted differences of conditions within a context, by cluster, block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.nulls import Contrasts
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals, RowSums


@dataclass(frozen=True)
class Contrasted:
    """Contrasts of a design, summed over clusters.

    Attributes:
        sums: The contrasts ``[rows]`` by cluster.
        means: Mean of the readout at each condition ``[conditions]``.
        null: Mean contrasts of the readout's null features ``[rows, n_null]``; None without.
    """

    sums: ClusterSums
    means: Floats
    null: Floats | None


def contrasted(
    executor: Executor,
    design: Design,
    readout: Readout,
    weights: Floats,
    rows: Ints,
    rng: np.random.Generator,
    *,
    support: Bools | None = None,
    watch: Watch | None = None,
    visit: Callable[[Ints, Floats], None] | None = None,
) -> Contrasted:
    """Measure a design on some contexts and add its contrasts up.

    Args:
        executor: Runs it.
        design: The conditions, the baseline first.
        readout: What is read; its first value counts.
        weights: ``[rows, conditions]``; a condition of weight 0 is not used, so that its NaN does not spread.
        rows: Which contexts.
        rng: Joins clusters where there are more than 512.
        support: Contexts that each row is about ``[rows, n_contexts]``; None: all that have every condition it uses.
        watch: Gets counts, warnings and progress.
        visit: Gets the contexts ``[b]`` and what was read of them ``[conditions, b]``, block by block.

    Example:
        >>> import torch
        >>> from paribus.engine.interventions import Identity, Steer
        >>> from paribus.measure import ArraySubject, Contexts, Outputs
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 1))
        >>> _ = torch.nn.init.ones_(net[1].weight)
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=torch.zeros(4, 2))))
        >>> design = Design(acts=(Identity(), Steer(torch.ones(2), 1.0)), n_acts=2, sites=("0",))
        >>> found = contrasted(executor, design, Outputs(), to_baseline(2), np.arange(4), np.random.default_rng(0))
        >>> found.sums.means.round(3).tolist()
        [2.0]
    """
    sums = RowSums(len(weights), executor.subject.cluster, rng)
    totals = LevelTotals(design.n_conditions)
    wanted = Contrasts(weights, support) if readout.nulls is not None and not design.n_acts else None
    stream = executor.stream(design, readout, watch, contrasts=wanted, rows=rows)
    for block in stream:
        values = block.values[0]
        found = weighted(weights, values, executor.rounding)
        if support is not None:
            found[~support[:, block.columns]] = np.nan
        sums.add(found, block.columns)
        totals.add(values)
        if visit is not None:
            visit(block.columns, values)
    return Contrasted(sums.result(), totals.means, stream.null)


def to_baseline(n_conditions: int) -> Floats:
    """Return the weights of every condition against the first ``[n_conditions - 1, n_conditions]``.

    Example:
        >>> to_baseline(3).tolist()
        [[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
    """
    weights = np.eye(n_conditions)[1:]
    weights[:, 0] = -1.0
    return weights


def weighted(weights: Floats, values: Floats, rounding: float = 0.0) -> Floats:
    """Return weighted sums ``[rows, n]`` of conditions ``[conditions, n]``; NaN where a condition it uses is missing.

    Weights of a row add up to 0. The first condition used is taken off all others, so that equal values give exactly 0;
    so does what is no larger than ``rounding`` times the largest value used: a network that computes the same in two
    ways is off by its number format, always to the same side, and a test of thousands of contexts would find that.

    Example:
        >>> weighted(np.array([[-1.0, 1.0, 0.0]]), np.array([[0.1], [0.1], [np.nan]])).tolist()
        [[0.0]]
    """
    out = np.empty((len(weights), values.shape[1]))
    for row, weight in enumerate(weights):
        first, *others = np.flatnonzero(weight)
        out[row] = sum(weight[one] * (values[one] - values[first]) for one in others)
        if rounding:
            size = np.abs(values[[first, *others]]).max(0) * np.abs(weight).max()
            out[row][np.abs(out[row]) <= rounding * size] = 0.0
    return out


def null_means(
    executor: Executor,
    design: Design,
    readout: Readout,
    weights: Floats,
    index: Ints,
    rows: Ints,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Floats:
    """Return mean contrasts of a null's conditions, arranged as draws for each row ``[rows, n_null]``.

    Args:
        executor: Runs it.
        design: Conditions of the null, the baseline first.
        readout: What is read; null features are not read again.
        weights: ``[m, conditions]``, one row for each distinct draw.
        index: Which of them each draw of each row is ``[rows, n_null]``; -1 for none.
        rows: Which contexts.
        rng: Joins clusters where there are many.
        watch: Is told how they were measured.
    """
    sums = RowSums(len(weights), np.zeros(len(executor.subject), np.int64), rng)
    stream = executor.stream(design, readout, rows=rows)
    for block in stream:
        sums.add(weighted(weights, block.values[0], executor.rounding), block.columns)
    if watch is not None:
        watch.diagnose(engine=stream.report)
    means = np.append(sums.result().means, np.nan)
    return np.asarray(means[index])
