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
from paribus.stats.interchanged import NAME, interchanged
from paribus.stats.row_sums import LevelTotals, RowSums

MOST_ROWS = 400_000
"""The most edited rows that a null may run through a part of the network."""
LEAST_DRAWS = 20
"""The fewest draws that it gets nevertheless."""


@dataclass(frozen=True)
class Reading:
    """What every question is put to: what is read of which contexts of a network.

    Attributes:
        executor: The network at one checkpoint.
        readout: What is read; its first value counts.
        rows: Which contexts.
        watch: Gets counts, warnings and progress.
    """

    executor: Executor
    readout: Readout
    rows: Ints
    watch: Watch | None = None


@dataclass(frozen=True)
class Null:
    """Draws of a null.

    Attributes:
        draws: One of each row ``[rows, n_null]``, NaN where a row has none.
        name: What they are.
    """

    draws: Floats
    name: str


@dataclass(frozen=True)
class Found:
    """What a method found: effects, and their null.

    Attributes:
        sums: The effects ``[rows]`` by cluster.
        null: Draws of the same under the null; None without.
    """

    sums: ClusterSums
    null: Null | None

    def rows(self, some: Ints) -> Found:
        """Return some of the rows."""
        null = None if self.null is None else Null(self.null.draws[some], self.null.name)
        return Found(self.sums.rows(some), null)


@dataclass(frozen=True)
class Contrasted(Found):
    """Contrasts of a design; their null is that of the readout's null features.

    Attributes:
        means: Mean of the readout at each condition ``[conditions]``.
        strategy: How the conditions were evaluated.
    """

    means: Floats
    strategy: str


def contrasted(
    to: Reading,
    design: Design,
    weights: Floats,
    rng: np.random.Generator,
    *,
    support: Bools | None = None,
    visit: Callable[[Ints, Floats], None] | None = None,
) -> Contrasted:
    """Measure a design on some contexts and add its contrasts up.

    Args:
        to: What is read of which contexts.
        design: The conditions, the baseline first.
        weights: ``[rows, conditions]``; a condition of weight 0 is not used, so that its NaN does not spread.
        rng: Joins clusters where there are more than 512.
        support: Contexts that each row is about ``[rows, n_contexts]``; None: all that have every condition it uses.
        visit: Gets the contexts ``[b]`` and what was read of them ``[conditions, b]``, block by block.

    Example:
        >>> import torch
        >>> from paribus.engine.interventions import Identity, Steer
        >>> from paribus.measure import ArraySubject, Contexts, Outputs
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 1))
        >>> _ = torch.nn.init.ones_(net[1].weight)
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=torch.zeros(4, 2))))
        >>> design = Design(acts=(Identity(), Steer(torch.ones(2), 1.0)), n_acts=2, sites=("0",))
        >>> to = Reading(executor, Outputs(), np.arange(4))
        >>> found = contrasted(to, design, to_baseline(2), np.random.default_rng(0))
        >>> found.sums.means.round(3).tolist()
        [2.0]
    """
    executor, readout = to.executor, to.readout
    sizes = RowSums(len(weights), executor.subject.cluster, copy.deepcopy(rng), to.rows)
    sums = RowSums(len(weights), executor.subject.cluster, rng, to.rows)
    totals, largest = LevelTotals(design.n_conditions), LevelTotals(design.n_conditions)
    wanted = Contrasts(weights, support) if readout.nulls is not None and not design.n_acts else None
    stream = executor.stream(design, readout, to.watch, contrasts=wanted, rows=to.rows)
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
    if to.watch is not None and executor.spacing:
        _say_where_too_coarse(sizes.result().means, weights, largest.means, executor, to.watch)
    settled = _without_rounding(sums.result(), sizes.result(), executor.rounding)
    null = None if stream.null is None else Null(stream.null, "like features")
    return Contrasted(settled, null, totals.means, stream.report.strategy)


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


def draws_within(to: Reading, n_null: int, n_edits: int, strategy: str) -> int:
    """Return how many draws of a null are measured: fewer where each takes passes through a part of the network.

    Args:
        to: What is read of which contexts; its watch is told where they are fewer.
        n_null: How many are asked for.
        n_edits: Edits of each context that a draw takes.
        strategy: How the conditions themselves were evaluated; in closed form draws are almost free.
    """
    if strategy == "closed_form":
        return n_null
    per_draw = n_edits * len(to.rows)
    n = min(n_null, max(LEAST_DRAWS, MOST_ROWS // max(1, per_draw)))
    if n < n_null and to.watch is not None:
        to.watch.warn(
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


def null_means(to: Reading, design: Design, weights: Floats, index: Ints, rng: np.random.Generator) -> Floats:
    """Return mean contrasts of a null's conditions, arranged as draws for each row ``[rows, n_null]``.

    Args:
        to: What is read of which contexts; null features are not read again.
        design: Conditions of the null, the baseline first.
        weights: ``[m, conditions]``, one row for each distinct draw.
        index: Which of them each draw of each row is ``[rows, n_null]``; -1 for none.
        rng: Joins clusters where there are many.
    """
    sums = RowSums(len(weights), np.zeros(len(to.executor.subject), np.int64), rng)
    stream = to.executor.stream(design, to.readout, rows=to.rows)
    for block in stream:
        sums.add(weighted(weights, block.values[0], to.executor.rounding), block.columns)
    if to.watch is not None:
        to.watch.diagnose(engine=stream.report)
    means = np.append(sums.result().means, np.nan)
    return np.asarray(means[index])


def null_to_baseline(to: Reading, design: Design, n_rows: int, name: str, rng: np.random.Generator) -> Null:
    """Return the conditions of a null against its baseline, as many draws for each row, row by row.

    Args:
        to: What is read of which contexts.
        design: The baseline, then the draws of the first row, of the second, ...
        n_rows: How many rows there are.
        name: What the draws are.
        rng: Joins clusters where there are many.
    """
    n = design.n_conditions
    return Null(null_means(to, design, to_baseline(n), np.arange(n - 1).reshape(n_rows, -1), rng), name)


def interchanged_null(sums: ClusterSums, families: Ints, n_null: int, rng: np.random.Generator) -> Null | None:
    """Return the rows of a family interchanged within clusters; None where that changes nothing.

    Args:
        sums: The effects ``[rows]``.
        families: Which rows are interchanged with each other ``[rows]``.
        n_null: Draws.
        rng: Makes them.
    """
    draws = interchanged(sums, families, n_null, rng)
    return None if draws is None else Null(draws, NAME)
