"""Swap: the same context with another context's level of a factor, against its own level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.measure.factor import Factor, InputFactor
from paribus.methods.contrast import Found, Reading, contrasted, interchanged_null
from paribus.stats.row_sums import RowSums


@dataclass(frozen=True)
class Swapped(Found):
    """Levels exchanged: differences of the level swapped in to the level shown, and their null.

    Attributes:
        pairs: From which level to which, places among the factor's ``[rows, 2]``; -1: from whatever is shown.
        means: Mean of the readout at each level over all contexts ``[levels]``.
        shown: How many contexts show each level ``[levels]``.
        observed: Mean of the readout over the contexts that show a level, as they are ``[levels]``; NaN without any.
        unknown: Contexts that show none of the levels; they are left out.
    """

    pairs: Ints
    means: Floats
    shown: Ints
    observed: Floats
    unknown: int


def swap(to: Reading, factor: InputFactor, *, n_null: int = 0, rng: np.random.Generator) -> Swapped:
    """Give every context each level that others show, and compare with its own.

    Rows are first one for each level swapped into all contexts that show another one, then one for each ordered pair.
    The null is that of the readout's like features; without any, the levels swapped into like contexts are interchanged
    within clusters (:func:`~paribus.stats.interchanged.interchanged`).

    Args:
        to: What is read of which contexts.
        factor: What is swapped; its ``observed`` says which level a context shows.
        n_null: Draws of the null.
        rng: Joins clusters where there are many, and draws the null.

    Raises:
        ConfigError: If it is not known what level contexts show, or they show fewer than two.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Executor, Outputs, stack
        >>> class Side(InputFactor):
        ...     name, labels = "side", ("0", "1")
        ...     def edit(self, cells):
        ...         return stack([cells.with_value(0, np.full_like(cells.values[0], level)) for level in (0.0, 1.0)])
        ...     def observed(self, columns):
        ...         return columns % 2
        >>> executor = Executor(torch.nn.Identity(), ArraySubject(Contexts(inputs=torch.tensor([[0.0], [1.0]] * 4))))
        >>> found = swap(Reading(executor, Outputs(), np.arange(8)), Side(), rng=np.random.default_rng(0))
        >>> found.pairs.tolist(), found.sums.means.tolist()
        ([[-1, 0], [-1, 1], [0, 1], [1, 0]], [-1.0, 1.0, 1.0, -1.0])
    """
    own, pairs = exchanges(factor, to.rows)
    subject, levels = to.executor.subject, factor.n_levels
    shown = np.bincount(own[own >= 0], minlength=levels)
    level_of = np.full(len(subject), -1, np.int64)
    level_of[to.rows] = own
    known = to.rows[own >= 0]
    at = np.concatenate([[(-1, level) for level in range(levels)], pairs])
    source, target = at.T
    sums = RowSums(len(at), subject.cluster, rng, known)
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
    found = contrasted(replace(to, rows=known), factor.design(), weights, rng, support=support, visit=visit)
    null, effects = found.null, sums.result()
    if null is not None:
        null.draws[:levels] = np.nan  # a mean over different own levels is no single contrast
    elif n_null:
        null = interchanged_null(effects, source, n_null, rng)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = totals / shown
    return Swapped(
        sums=effects,
        null=null,
        pairs=at,
        means=found.means,
        shown=shown,
        observed=observed,
        unknown=len(to.rows) - len(known),
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
