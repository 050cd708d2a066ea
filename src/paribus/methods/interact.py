"""Interact: whether the effects of two units add up, by inclusion-exclusion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats
from paribus.measure.factor import Units
from paribus.methods.ablate import like_sets, together
from paribus.methods.contrast import Found, Reading, contrasted, draws_within


@dataclass(frozen=True)
class Interacted(Found):
    """Interactions of sets of units, and the same of random sets of like units.

    They are the effect of a unit's presence, and what two (three) together add beyond what smaller sets predict.

    Attributes:
        members: The units of each row: single ones, then pairs, then triples if asked for.
    """

    members: tuple[tuple[int, ...], ...]


def interact(
    to: Reading,
    units: Units,
    chosen: Sequence[int],
    *,
    order: int = 2,
    n_null: int,
    rng: np.random.Generator,
) -> Interacted:
    """Remove chosen (fitted) units alone and together; all others stay.

    The interaction of a set is ``sum over its subsets S of (-1)^|S| y(without S)``: for one unit the effect of its
    presence, for two what their joint presence adds beyond both alone.

    Args:
        to: What is read of which contexts.
        units: The units.
        chosen: Which of them.
        order: The largest sets, 2 or 3.
        n_null: Random sets for each row.
        rng: Draws them.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts, Executor, InputUnits, Outputs, stack
        >>> class Columns(InputUnits):
        ...     name, names = "columns", ("0", "1", "2")
        ...     def keep(self, cells, on):
        ...         return stack([cells.with_value(0, cells.values[0] * row.astype(np.float32)) for row in on])
        >>> class Net(torch.nn.Module):
        ...     def forward(self, x):
        ...         return (x[:, 0] * x[:, 1] + x[:, 2])[:, None]
        >>> executor = Executor(Net(), ArraySubject(Contexts(inputs=torch.ones(4, 3))))
        >>> to = Reading(executor, Outputs(), np.arange(4))
        >>> found = interact(to, Columns(), [0, 1, 2], n_null=0, rng=np.random.default_rng(0))
        >>> dict(zip(found.members, found.sums.means.tolist()))
        {(0,): 1.0, (1,): 1.0, (2,): 1.0, (0, 1): 1.0, (0, 2): 0.0, (1, 2): 0.0}
    """
    members = tuple(itertools.chain(*(itertools.combinations(chosen, size) for size in range(1, order + 1))))
    masks, weights = inclusion_exclusion(members, len(units.names))
    found = contrasted(to, units.design(masks), weights, rng)
    null = found.null
    if null is None and n_null:
        n_null = draws_within(to, n_null, len(members), found.strategy)
        null = like_sets(to, units, together(members, len(units.names)), n_null, rng, inclusion_exclusion)
    return Interacted(found.sums, null, members)


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
    weights = np.zeros((len(members), len(place)))
    for row, at, sign in terms:
        weights[row, at] += sign
    return ~together(list(place), k), weights
