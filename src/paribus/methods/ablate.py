"""Ablate: sets of units removed, against random sets of similar units."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.executor import Executor
from paribus.measure.factor import Units
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.methods.contrast import contrasted, draws_within, null_means, to_baseline
from paribus.stats.clusters import ClusterSums


@dataclass(frozen=True)
class Ablated:
    """Effects of removing sets of units.

    Attributes:
        sums: Differences to the context with all units ``[sets]``, by cluster.
        means: Mean of the readout, with all units first ``[sets + 1]``.
        null: The same of random sets of as many similar units ``[sets, n_null]``, NaN where there are too few others;
            None without.
        null_name: What they are.
    """

    sums: ClusterSums
    means: Floats
    null: Floats | None
    null_name: str


def ablate(
    executor: Executor,
    units: Units,
    off: Bools,
    readout: Readout,
    rows: Ints,
    *,
    n_null: int,
    rng: np.random.Generator,
    joining: np.random.Generator | None = None,
    watch: Watch | None = None,
) -> Ablated:
    """Remove sets of (fitted) units in some contexts.

    Args:
        executor: The network at one checkpoint.
        units: The units.
        off: Which of them are removed ``[sets, k]``.
        readout: What is read.
        rows: The contexts that are reported.
        n_null: Random sets for each set.
        rng: Draws them.
        joining: Joins clusters where there are more than 512, alike in every call that is given one in the same state,
            so that what two calls return can be compared cluster by cluster; None: ``rng``.
        watch: Gets counts and progress.

    Example:
        >>> import torch
        >>> from paribus.engine.interventions import AblateUnits
        >>> from paribus.measure import ActUnits, ArraySubject, Contexts, Outputs
        >>> class Channels(ActUnits):
        ...     name, names, sites = "channels", ("0", "1"), ("0",)
        ...     def remove(self, off, columns):
        ...         return AblateUnits(np.flatnonzero(off))
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 1, bias=False))
        >>> net[1].weight.data = torch.tensor([[1.0, 5.0]])
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=torch.ones(4, 2))))
        >>> found = ablate(executor, Channels(), singles(2), Outputs(), np.arange(4), n_null=3,
        ...                rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.null.tolist()
        ([-1.0, -5.0], [[-5.0, -5.0, -5.0], [-1.0, -1.0, -1.0]])
    """
    on = np.concatenate([np.ones((1, off.shape[1]), bool), ~off])
    joined = rng if joining is None else copy.deepcopy(joining)
    found = contrasted(executor, units.design(on), readout, to_baseline(len(on)), rows, joined, watch=watch)
    null, name = found.null, "like features" if found.null is not None else ""
    if null is None and n_null:
        n_null = draws_within(n_null, len(off) * len(rows), found.strategy, watch)
        null, name = null_effects(executor, units, off, readout, rows, n_null, rng, watch), units.null_name
    return Ablated(found.sums, found.means, null, name if null is not None else "")


def singles(k: int) -> Bools:
    """Return each of ``k`` units alone ``[k, k]``.

    Example:
        >>> singles(2).tolist()
        [[True, False], [False, True]]
    """
    return np.eye(k, dtype=bool)


def null_effects(
    executor: Executor,
    units: Units,
    off: Bools,
    readout: Readout,
    rows: Ints,
    n_null: int,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Floats | None:
    """Return mean effects of random sets of similar units ``[sets, n_null]``; None where no set has any.

    Sets that are drawn several times are measured once.
    """
    drawn = units.like(off, n_null, rng)
    pool = units.pool()[0]
    known: dict[tuple[int, ...], int] = {}
    index = np.full((len(off), n_null), -1, np.int64)
    for row, sets in enumerate(drawn):
        for draw, members in enumerate(sets):
            index[row, draw] = known.setdefault(tuple(sorted(members.tolist())), len(known))
    if not known:
        return None
    on = np.ones((1 + len(known), len(pool.names)), bool)
    for members, place in known.items():
        on[1 + place, list(members)] = False
    return null_means(executor, pool.design(on), readout, to_baseline(len(on)), index, rows, rng, watch)
