"""Interact: whether the effects of two units add up, by inclusion-exclusion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.measure.executor import Executor
from paribus.measure.factor import Units
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.methods.contrast import contrasted, draws_within, null_means
from paribus.stats.clusters import ClusterSums


@dataclass(frozen=True)
class Interacted:
    """Interactions of sets of units.

    Attributes:
        members: The units of each row: single ones, then pairs, then triples if asked for.
        sums: Interaction of each row, by cluster: the effect of a unit's presence, and what two (three) together add
            beyond what smaller sets predict.
        null: The same of random pairs (sets) of like units ``[rows, n_null]``; None without.
        null_name: What they are.
    """

    members: tuple[tuple[int, ...], ...]
    sums: ClusterSums
    null: Floats | None
    null_name: str


def interact(
    executor: Executor,
    units: Units,
    chosen: Sequence[int],
    readout: Readout,
    rows: Ints,
    *,
    order: int = 2,
    n_null: int,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Interacted:
    """Remove chosen (fitted) units alone and together; all others stay.

    The interaction of a set is ``sum over its subsets S of (-1)^|S| y(without S)``: for one unit the effect of its
    presence, for two what their joint presence adds beyond both alone.

    Args:
        executor: The network at one checkpoint.
        units: The units.
        chosen: Which of them.
        readout: What is read.
        rows: The contexts that are reported.
        order: The largest sets, 2 or 3.
        n_null: Random sets for each row.
        rng: Draws them.
        watch: Gets counts and progress.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, InputUnits, Outputs, stack
        >>> class Columns(InputUnits):
        ...     name, names = "columns", ("0", "1", "2")
        ...     def keep(self, cells, on):
        ...         return stack([cells.with_value(0, cells.values[0] * row.astype(np.float32)) for row in on])
        >>> class Net(torch.nn.Module):
        ...     def forward(self, x):
        ...         return (x[:, 0] * x[:, 1] + x[:, 2])[:, None]
        >>> executor = Executor(Net(), ArraySubject(Contexts(inputs=torch.ones(4, 3))))
        >>> found = interact(executor, Columns(), [0, 1, 2], Outputs(), np.arange(4), n_null=0,
        ...                  rng=np.random.default_rng(0))
        >>> dict(zip(found.members, found.sums.means.tolist()))
        {(0,): 1.0, (1,): 1.0, (2,): 1.0, (0, 1): 1.0, (0, 2): 0.0, (1, 2): 0.0}
    """
    members = tuple(itertools.chain(*(itertools.combinations(chosen, size) for size in range(1, order + 1))))
    masks, weights = inclusion_exclusion(members, len(units.names))
    found = contrasted(executor, units.design(masks), readout, weights, rows, rng, watch=watch)
    null, name = found.null, "like features" if found.null is not None else ""
    if null is None and n_null:
        n_null = draws_within(n_null, len(members) * len(rows), found.strategy, watch)
        null, name = _like(executor, units, members, readout, rows, n_null, rng, watch), units.null_name
    return Interacted(members, found.sums, null, name if null is not None else "")


def inclusion_exclusion(members: Sequence[tuple[int, ...]], k: int) -> tuple[Bools, Floats]:
    """Return the conditions that sets of units need, all units first ``[m, k]``, and each set's weights ``[sets, m]``.

    Example:
        >>> masks, weights = inclusion_exclusion([(0, 1)], 2)
        >>> masks.tolist(), weights.tolist()
        ([[True, True], [False, True], [True, False], [False, False]], [[1.0, -1.0, -1.0, 1.0]])
    """
    place: dict[tuple[int, ...], int] = {(): 0}
    terms: list[tuple[int, int, float]] = []
    for row, units in enumerate(members):
        for size in range(len(units) + 1):
            for subset in itertools.combinations(units, size):
                at = place.setdefault(tuple(sorted(subset)), len(place))
                terms.append((row, at, (-1.0) ** size))
    masks = np.ones((len(place), k), bool)
    for gone, at in place.items():
        masks[at, list(gone)] = False
    weights = np.zeros((len(members), len(place)))
    for row, at, sign in terms:
        weights[row, at] += sign
    return masks, weights


def _like(
    executor: Executor,
    units: Units,
    members: Sequence[tuple[int, ...]],
    readout: Readout,
    rows: Ints,
    n_null: int,
    rng: np.random.Generator,
    watch: Watch | None,
) -> Floats | None:
    """Return interactions of random sets of like units ``[rows, n_null]``."""
    off = np.zeros((len(members), len(units.names)), bool)
    for row, of_row in enumerate(members):
        off[row, list(of_row)] = True
    pool = units.pool()[0]
    known: dict[tuple[int, ...], int] = {}
    index = np.full((len(members), n_null), -1, np.int64)
    for row, sets in enumerate(units.like(off, n_null, rng)):
        for draw, found in enumerate(sets):
            index[row, draw] = known.setdefault(tuple(sorted(found.tolist())), len(known))
    if not known:
        return None
    masks, weights = inclusion_exclusion(list(known), len(pool.names))
    return null_means(executor, pool.design(masks), readout, weights, index, rows, rng, watch)
