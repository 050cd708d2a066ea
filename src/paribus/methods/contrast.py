"""Contrasts: weighted differences of conditions within a context, summed by cluster, block by block."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.nulls import Contrasts
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals, RowSums

MOST_ROWS = 400_000
"""The most edited rows that a null may run through a part of the network."""
LEAST_DRAWS = 20
"""The fewest draws that it gets nevertheless."""


@dataclass(frozen=True)
class Contrasted:
    """Contrasts of a design, summed over clusters.

    Attributes:
        sums: The contrasts ``[rows]`` by cluster.
        means: Mean of the readout at each condition ``[conditions]``.
        null: Mean contrasts of the readout's null features ``[rows, n_null]``; None without.
        strategy: How the conditions were evaluated.
    """

    sums: ClusterSums
    means: Floats
    null: Floats | None
    strategy: str = ""


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
    sizes = RowSums(len(weights), executor.subject.cluster, copy.deepcopy(rng), rows)
    sums = RowSums(len(weights), executor.subject.cluster, rng, rows)
    totals, largest = LevelTotals(design.n_conditions), LevelTotals(design.n_conditions)
    wanted = Contrasts(weights, support) if readout.nulls is not None and not design.n_acts else None
    stream = executor.stream(design, readout, watch, contrasts=wanted, rows=rows)
    for block in stream:
        values = block.values[0]
        found = weighted(weights, values, executor.rounding)
        if support is not None:
            found[~support[:, block.columns]] = np.nan
        sums.add(found, block.columns)
        sizes.add(np.abs(found), block.columns)
        totals.add(values)
        if executor.spacing:
            largest.add(np.abs(values))
        if visit is not None:
            visit(block.columns, values)
    if watch is not None and executor.spacing:
        _say_where_too_coarse(sizes.result().means, weights, largest.means, executor, watch)
    settled = _without_rounding(sums.result(), sizes.result(), executor.rounding)
    return Contrasted(settled, totals.means, stream.null, stream.report.strategy)


def _say_where_too_coarse(sizes: Floats, weights: Floats, values: Floats, executor: Executor, watch: Watch) -> None:
    """Warn of rows whose mean absolute effect ``[rows]`` is below the spacing of a half format at these values."""
    used = np.where(weights != 0, np.abs(values), 0.0).max(1, initial=0.0)
    below = (sizes > 0) & (sizes < executor.spacing * used)
    if below.any():
        name = str(executor.format).removeprefix("torch.")
        watch.warn(
            f"in {int(below.sum())} of {len(sizes)} rows the effect on a context is on average below the spacing of "
            f"{name} ({executor.spacing:.1%} of the values that are read), and part of it may be rounding; "
            "device.dtype=float32 tells"
        )


def _without_rounding(sums: ClusterSums, sizes: ClusterSums, rounding: float) -> ClusterSums:
    """Return sums with those clusters at 0 whose contexts cancel but for the rounding of the number format."""
    kept = np.where(np.abs(sums.sums) <= rounding * sizes.sums, 0.0, sums.sums)
    return replace(sums, sums=kept)


def draws_within(n_null: int, per_draw: int, strategy: str, watch: Watch | None = None) -> int:
    """Return how many draws of a null are measured: fewer where each takes passes through a part of the network.

    Args:
        n_null: How many are asked for.
        per_draw: Edited rows that each takes.
        strategy: How the conditions themselves were evaluated; in closed form draws are almost free.
        watch: Is told where they are fewer.

    Example:
        >>> draws_within(200, 1000, "closed_form"), draws_within(200, 100_000, "suffix")
        (200, 20)
    """
    if strategy == "closed_form":
        return n_null
    n = min(n_null, max(LEAST_DRAWS, MOST_ROWS // max(1, per_draw)))
    if n < n_null and watch is not None:
        watch.warn(
            f"the null has {n} draws instead of {n_null}: each takes {per_draw:,} edited rows through the network "
            "(fewer levels or contexts allow more)"
        )
    return n


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
    so does what is no larger than ``rounding`` times the largest value used, or than that of the typical context: a
    network that computes the same in two ways is off by its number format, always to the same side, and a test of
    thousands of contexts would find that.

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
            typical = np.nanmean(size) if np.isfinite(size).any() else 0.0  # a margin near 0 is made of large logits
            out[row][np.abs(out[row]) <= rounding * np.fmax(size, typical)] = 0.0
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
