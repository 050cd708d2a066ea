"""Swap: the same context with another context's level of a factor, against its own level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor, InputFactor
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.methods.contrast import contrasted
from paribus.stats.clusters import ClusterSums
from paribus.stats.interchanged import NAME as INTERCHANGED
from paribus.stats.interchanged import interchanged
from paribus.stats.row_sums import RowSums


@dataclass(frozen=True)
class Swapped:
    """Levels exchanged.

    Attributes:
        pairs: From which level to which, places among the factor's ``[rows, 2]``; -1: from whatever is shown.
        sums: Differences of the level swapped in to the level shown ``[rows]``, by cluster.
        means: Mean of the readout at each level over all contexts ``[levels]``.
        shown: How many contexts show each level ``[levels]``.
        observed: Mean of the readout over the contexts that show a level, as they are ``[levels]``; NaN without any.
        null: Draws of the null ``[rows, n_null]``; None without.
        null_name: What they are.
        unknown: Contexts that show none of the levels; they are left out.
    """

    pairs: Ints
    sums: ClusterSums
    means: Floats
    shown: Ints
    observed: Floats
    null: Floats | None
    null_name: str
    unknown: int


def swap(
    executor: Executor,
    factor: InputFactor,
    readout: Readout,
    rows: Ints,
    *,
    n_null: int = 0,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Swapped:
    """Give every context each level that others show, and compare with its own.

    Rows are first one for each level swapped into all contexts that show another one, then one for each ordered pair.
    The null is that of the readout's like features; without any, the levels swapped into like contexts are interchanged
    within clusters (:func:`~paribus.stats.interchanged.interchanged`).

    Args:
        executor: The network at one checkpoint.
        factor: What is swapped; its ``observed`` says which level a context shows.
        readout: What is read.
        rows: The contexts that are reported.
        n_null: Draws of the null.
        rng: Joins clusters where there are many, and draws the null.
        watch: Gets counts and progress.

    Raises:
        ConfigError: If it is not known what level contexts show, or they show fewer than two.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Outputs, stack
        >>> class Side(InputFactor):
        ...     name, labels = "side", ("0", "1")
        ...     def edit(self, cells):
        ...         return stack([cells.with_value(0, np.full_like(cells.values[0], level)) for level in (0.0, 1.0)])
        ...     def observed(self, columns):
        ...         return columns % 2
        >>> executor = Executor(torch.nn.Identity(), ArraySubject(Contexts(inputs=torch.tensor([[0.0], [1.0]] * 4))))
        >>> found = swap(executor, Side(), Outputs(), np.arange(8), rng=np.random.default_rng(0))
        >>> found.pairs.tolist(), found.sums.means.tolist()
        ([[-1, 0], [-1, 1], [0, 1], [1, 0]], [-1.0, 1.0, 1.0, -1.0])
    """
    own, pairs = exchanges(factor, rows)
    levels = factor.n_levels
    shown = np.bincount(own[own >= 0], minlength=levels)
    level_of = np.full(len(executor.subject), -1, np.int64)
    level_of[rows] = own
    known = rows[own >= 0]
    at = np.concatenate([[(-1, level) for level in range(levels)], pairs])
    source, target = at.T
    sums = RowSums(len(at), executor.subject.cluster, rng, known)
    totals = np.zeros(levels)

    def visit(columns: Ints, values: Floats) -> None:
        mine = level_of[columns]
        base = values[mine, np.arange(len(columns))]
        totals[:] += np.bincount(mine, weights=np.where(np.isnan(base), 0.0, base), minlength=levels)
        applies = np.where(source[:, None] < 0, target[:, None] != mine, source[:, None] == mine)
        sums.add(np.where(applies, values[target] - base, np.nan), columns)

    weights = np.zeros((len(at), levels))
    weights[np.arange(len(at)), target] += 1.0
    weights[np.arange(len(at)), np.where(source < 0, (target + 1) % levels, source)] -= 1.0
    support = np.where(source[:, None] < 0, False, source[:, None] == level_of)
    found = contrasted(
        executor, factor.design(), readout, weights, known, rng, support=support, watch=watch, visit=visit
    )
    null, name, effects = found.null, "like features", sums.result()
    if null is not None:
        null[:levels] = np.nan  # a mean over different own levels is no single contrast
    elif n_null:
        null, name = interchanged(effects, source, n_null, rng), INTERCHANGED
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = totals / shown
    return Swapped(
        pairs=at,
        sums=effects,
        means=found.means,
        shown=shown,
        observed=observed,
        null=null,
        null_name=name if null is not None else "",
        unknown=len(rows) - len(known),
    )


def exchanges(factor: Factor, rows: Ints) -> tuple[Ints, Ints]:
    """Return the level that contexts ``rows [n]`` show (-1: none), and all pairs of a shown one and another ``[p, 2]``.

    Raises:
        ConfigError: If it is not known what level contexts show, or they show fewer than two.
    """
    own = factor.observed(rows)
    if own is None:
        raise ConfigError(f"experiment.factor: contexts show no level of {factor.name}; use experiment=sweep")
    shown = np.unique(own[own >= 0])
    if len(shown) < 2:
        names = ", ".join(factor.labels[one] for one in shown) or "none"
        raise ConfigError(
            f"experiment.split: its contexts show {names} of {factor.name}, a swap needs two levels; name a split that "
            "shows more"
        )
    return own, np.array([(a, b) for a in shown for b in range(factor.n_levels) if a != b], np.int64)
