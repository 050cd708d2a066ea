"""Ablate: sets of units removed, against random sets of similar units."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.factor import Units
from paribus.methods.contrast import Found, Null, Reading, contrasted, draws_within, null_means, to_baseline


@dataclass(frozen=True)
class Ablated(Found):
    """Effects of removing sets of units: differences to the context with all units.

    The null is the same of random sets of as many similar units, NaN where there are too few others.

    Attributes:
        means: Mean of the readout, with all units first ``[sets + 1]``.
    """

    means: Floats


def ablate(
    to: Reading,
    units: Units,
    off: Bools,
    *,
    n_null: int,
    rng: np.random.Generator,
    joining: np.random.Generator | None = None,
) -> Ablated:
    """Remove sets of (fitted) units in some contexts.

    Args:
        to: What is read of which contexts.
        units: The units.
        off: Which of them are removed ``[sets, k]``.
        n_null: Random sets for each set.
        rng: Draws them.
        joining: Joins clusters where there are more than 512, alike in every call that is given one in the same state,
            so that what two calls return can be compared cluster by cluster; None: ``rng``.

    Example:
        >>> import torch
        >>> from paribus.engine.interventions import AblateUnits
        >>> from paribus.measure import ActUnits, ArraySubject, Contexts, Executor, Outputs
        >>> class Channels(ActUnits):
        ...     name, names, sites = "channels", ("0", "1"), ("0",)
        ...     def remove(self, off, columns):
        ...         return AblateUnits(np.flatnonzero(off))
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 1, bias=False))
        >>> net[1].weight.data = torch.tensor([[1.0, 5.0]])
        >>> to = Reading(Executor(net, ArraySubject(Contexts(inputs=torch.ones(4, 2)))), Outputs(), np.arange(4))
        >>> found = ablate(to, Channels(), singles(2), n_null=3, rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.null.draws.tolist()
        ([-1.0, -5.0], [[-5.0, -5.0, -5.0], [-1.0, -1.0, -1.0]])
    """
    on = remaining(off)
    joined = rng if joining is None else copy.deepcopy(joining)
    found = contrasted(to, units.design(on), to_baseline(len(on)), joined)
    null = found.null
    if null is None and n_null:
        n_null = draws_within(to, n_null, len(off), found.strategy)
        null = like_sets(to, units, off, n_null, rng)
    return Ablated(found.sums, null, found.means)


def singles(k: int) -> Bools:
    """Return each of ``k`` units alone ``[k, k]``.

    Example:
        >>> singles(2).tolist()
        [[True, False], [False, True]]
    """
    return np.eye(k, dtype=bool)


def together(members: Sequence[Sequence[int] | Ints], n: int) -> Bools:
    """Return sets of ``n`` units as rows ``[sets, n]``.

    Example:
        >>> together([[0, 2], [1]], 3).tolist()
        [[True, False, True], [False, True, False]]
    """
    off = np.zeros((len(members), n), bool)
    for row, some in enumerate(members):
        off[row, list(some)] = True
    return off


def remaining(off: Bools) -> Bools:
    """Return the units that stay in each condition ``[sets + 1, k]``: all of them, then those not in each of the sets.

    Example:
        >>> remaining(singles(2)).tolist()
        [[True, True], [False, True], [True, False]]
    """
    return np.concatenate([np.ones((1, off.shape[1]), bool), ~off])


def _against_all(members: Sequence[tuple[int, ...]], k: int) -> tuple[Bools, Floats]:
    """Return the conditions and weights of sets that are removed, each against all units."""
    on = remaining(together(members, k))
    return on, to_baseline(len(on))


def like_sets(
    to: Reading,
    units: Units,
    off: Bools,
    n_null: int,
    rng: np.random.Generator,
    compared: Callable[[Sequence[tuple[int, ...]], int], tuple[Bools, Floats]] = _against_all,
) -> Null | None:
    """Return what random sets of similar units do; None where no set has any.

    Args:
        to: What is read of which contexts.
        units: The units.
        off: The sets ``[sets, k]``.
        n_null: Random sets for each.
        rng: Draws them.
        compared: From sets of units and how many there are to the conditions ``[m, k]`` that are measured, and each
            set's weights ``[sets, m]``.
    """
    known: dict[tuple[int, ...], int] = {}
    index = np.full((len(off), n_null), -1, np.int64)
    for row, sets in enumerate(units.like(off, n_null, rng)):
        for draw, members in enumerate(sets):
            index[row, draw] = known.setdefault(tuple(sorted(members.tolist())), len(known))
    if not known:
        return None
    pool = units.pool()[0]
    on, weights = compared(list(known), len(pool.names))
    return Null(null_means(to, pool.design(on), weights, index, rng), units.null_name)
