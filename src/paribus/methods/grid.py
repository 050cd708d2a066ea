"""Grid: all combinations of two factors' levels, and how far two changes together differ from their sum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Floats
from paribus.measure.factor import ActFactor, Factor, InputFactor, crossed
from paribus.methods.contrast import (
    Found,
    Null,
    Reading,
    contrasted,
    draws_within,
    interchanged_null,
    null_means,
    to_baseline,
)


@dataclass(frozen=True)
class Gridded:
    """Two factors' combinations measured; cells in the order of the first factor's levels, the second's going fastest.

    Attributes:
        cells: Differences of every cell but the first to the baseline of both ``[a * b - 1]``.
        joint: Interactions ``y(i, j) - y(i, 0) - y(0, j) + y(0, 0)`` of the other levels ``[(a - 1) * (b - 1)]``.
        means: Mean of the readout in every cell ``[a, b]``.
    """

    cells: Found
    joint: Found
    means: Floats


def grid(to: Reading, one: Factor, other: Factor, *, n_null: int, rng: np.random.Generator) -> Gridded:
    """Measure two (fitted) factors' combinations on some contexts; a factor of the inputs comes first.

    Where only the second edits activations, the null crosses the first with that one's null conditions; the null of
    two factors of the inputs is that of the readout's like features. Without any of these, cells (and interactions) are
    interchanged within clusters (:func:`~paribus.stats.interchanged.interchanged`).

    Raises:
        ConfigError: If the two cannot be crossed.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Executor, Outputs, stack
        >>> class Column(InputFactor):
        ...     labels = ("0", "1")
        ...     def __init__(self, at):
        ...         self.name, self.at = f"column {at}", at
        ...     def edit(self, cells):
        ...         changed = cells.values[0].copy()
        ...         changed[..., self.at] = 1.0
        ...         return stack([cells, cells.with_value(0, changed)])
        >>> class Product(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.prod(1, keepdim=True)
        >>> executor = Executor(Product(), ArraySubject(Contexts(inputs=torch.zeros(8, 2))))
        >>> to = Reading(executor, Outputs(), np.arange(8))
        >>> found = grid(to, Column(0), Column(1), n_null=0, rng=np.random.default_rng(0))
        >>> found.means.tolist(), found.joint.sums.means.tolist()
        ([[0.0, 0.0], [0.0, 1.0]], [1.0])
    """
    a, b = one.n_levels, other.n_levels
    cells = to_baseline(a * b)
    squares = interaction_weights(a, b)
    found = contrasted(to, crossed(one, other), np.concatenate([cells, squares]), rng)
    every = np.arange(len(cells) + len(squares))
    null = found.null
    if null is None and n_null and isinstance(one, InputFactor) and isinstance(other, ActFactor):
        n_null = draws_within(to, n_null, a * (b - 1), found.strategy)
        null = _crossed_null(to, one, other, n_null, rng)
    if null is None and n_null:
        families = (every >= len(cells)).astype(np.int64)
        null = interchanged_null(found.sums, families, n_null, rng)
    both = Found(found.sums, null)
    return Gridded(both.rows(every[: len(cells)]), both.rows(every[len(cells) :]), found.means.reshape(a, b))


def interaction_weights(a: int, b: int) -> Floats:
    """Return the weights of all interactions ``[(a - 1) * (b - 1), a * b]``.

    Example:
        >>> interaction_weights(2, 2).tolist()
        [[1.0, -1.0, -1.0, 1.0]]
    """
    weights = np.zeros(((a - 1) * (b - 1), a, b))
    for row, (i, j) in enumerate((i, j) for i in range(1, a) for j in range(1, b)):
        weights[row, 0, 0] = weights[row, i, j] = 1.0
        weights[row, i, 0] = weights[row, 0, j] = -1.0
    return weights.reshape(len(weights), a * b)


def _crossed_null(
    to: Reading, one: InputFactor, other: ActFactor, n_null: int, rng: np.random.Generator
) -> Null | None:
    """Return draws for all cells and then for all interactions: the second factor's null beside the first's levels."""
    null = other.null_design(n_null, rng)
    if null is None:
        return None
    a, b, m = one.n_levels, other.n_levels, null.n_conditions
    design = replace(null, edit=one.edit, n_levels=a)
    draws = 1 + np.arange(m - 1).reshape(b - 1, -1)  # the null condition of each level and draw
    n = draws.shape[1]
    weights: list[Floats] = []
    index = np.full((a * b - 1 + (a - 1) * (b - 1), n), -1, np.int64)

    def add(row: int, draw: int, terms: list[tuple[int, int, float]]) -> None:
        weight = np.zeros((a, m))
        for i, at, times in terms:
            weight[i, at] += times
        index[row, draw] = len(weights)
        weights.append(weight.ravel())

    for draw in range(n):
        for i in range(a):
            for j in range(b):
                row, at = i * b + j - 1, int(draws[j - 1, draw]) if j else 0
                if i or j:
                    add(row, draw, [(i, at, 1.0), (0, 0, -1.0)])
                if i and j:
                    square = [(i, at, 1.0), (i, 0, -1.0), (0, at, -1.0), (0, 0, 1.0)]
                    add(a * b - 1 + (i - 1) * (b - 1) + j - 1, draw, square)
    return Null(null_means(to, design, np.array(weights), index, rng), other.null_name)
