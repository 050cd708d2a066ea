"""Cores: the minimal sets of units that keep the readout, for each context separately, over the lattice of subsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats
from paribus.errors import ConfigError
from paribus.measure.factor import Units
from paribus.methods.contrast import Reading
from paribus.methods.lattice import minimal_sets, robust_sets

MOST_UNITS = 12
"""Above this many units the lattice is not measured."""
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Cored:
    """Cores of contexts.

    Attributes:
        sets: The cores that occur, as units chosen ``[c, m]``, by how many contexts have them, the most first.
        found: Which contexts have each of them ``[c, n]``.
        told: Contexts in which cores are defined ``[n]``: the readout with all units exceeds that with none.
        retention: Share of the effect of all units that each core keeps: a ratio of means over the contexts that have
            it ``[c]``, as a ratio in each has no bound where all units do little.
        full: The readout with all units ``[n]``.
        empty: The readout without the chosen ones ``[n]``.
    """

    sets: Bools
    found: Bools
    told: Bools
    retention: Floats
    full: Floats
    empty: Floats

    @property
    def shares(self) -> Floats:
        """Share of the contexts in which cores are defined that have a core with each unit ``[m]``; NaN without any."""
        if not self.told.any():
            return np.full(self.sets.shape[1], np.nan)
        return np.array([self.found[with_it].any(axis=0)[self.told].mean() for with_it in self.sets.T])


def cores(to: Reading, units: Units, chosen: Sequence[int], *, threshold: float = 0.7, robust: bool = True) -> Cored:
    """Measure every subset of the chosen (fitted) units and return each context's cores; all other units stay.

    A set suffices where ``y(S) >= y(none) + threshold * (y(all) - y(none))`` and, if ``robust``, where all sets that
    hold it do too; a core is a set that suffices while none of its proper subsets does.

    Args:
        to: What is read of which contexts; more of what is read is what a core keeps.
        units: The units.
        chosen: Which of them, at most 12.
        threshold: Share that a core keeps.
        robust: Whether larger sets must suffice too.

    Raises:
        ConfigError: If too many are chosen.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Executor, InputUnits, Outputs, stack
        >>> class Columns(InputUnits):
        ...     name, names = "columns", ("0", "1", "2")
        ...     def keep(self, cells, on):
        ...         return stack([cells.with_value(0, cells.values[0] * row.astype(np.float32)) for row in on])
        >>> class Both(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x[:, :1] * x[:, 1:2]
        >>> executor = Executor(Both(), ArraySubject(Contexts(inputs=torch.ones(4, 3))))
        >>> found = cores(Reading(executor, Outputs(), np.arange(4)), Columns(), [0, 1, 2])
        >>> found.sets.tolist(), found.found.mean(1).tolist()
        ([[True, True, False]], [1.0])
    """
    m, k = len(chosen), len(units.names)
    if not 0 < m <= MOST_UNITS:
        raise ConfigError(f"cores: takes 1 to {MOST_UNITS} units, got {m}; choose fewer (experiment.n_units)")
    subsets = np.arange(1 << m)[::-1]  # all units first
    held = (subsets[:, None] >> np.arange(m) & 1).astype(bool)
    on = np.ones((1 << m, k), bool)
    on[:, list(chosen)] = held
    n = len(to.rows)
    place = np.full(len(to.executor.subject), -1, np.int64)
    place[to.rows] = np.arange(n)
    minimal = np.zeros((1 << m, n), bool)
    kept, full, empty = np.full((1 << m, n), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    told = np.zeros(n, bool)
    for block in to.executor.stream(units.design(on), to.readout, to.watch, rows=to.rows):
        at = place[block.columns]
        values = block.values[0][::-1]  # now subset s is at s
        known = ~np.isnan(values)
        none, every = values[0], values[-1]
        gain = every - none
        active = known[0] & known[-1] & (gain > TOLERANCE * np.maximum(1.0, np.abs(every)))
        least = none + threshold * gain - TOLERANCE * np.maximum(1.0, np.abs(gain))
        qualifies = np.ascontiguousarray((np.where(known, values, -np.inf) >= least) & active)
        if robust:
            qualifies = np.ascontiguousarray(robust_sets(qualifies, known))
        minimal[:, at] = minimal_sets(qualifies)
        kept[:, at] = values - none
        full[at], empty[at], told[at] = every, none, active
    times = minimal.sum(1)
    order = np.argsort(-times, kind="stable")
    order = order[times[order] > 0]
    return Cored(
        sets=(order[:, None] >> np.arange(m) & 1).astype(bool),
        found=minimal[order],
        told=told,
        retention=np.array([kept[one, minimal[one]].sum() / (full - empty)[minimal[one]].sum() for one in order]),
        full=full,
        empty=empty,
    )
