"""Which contexts can donate the value at a place to each other: those with equally many positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.errors import DataError
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.measure.subject import Subject


def spans(table: Ints) -> Ints:
    """Return how many different positions a name has in each context ``[n]``.

    Example:
        >>> spans(np.array([[3, 4, 4], [2, 3, 4]])).tolist()
        [2, 3]
    """
    return np.asarray(1 + (np.diff(np.sort(table, axis=1), axis=1) != 0).sum(1))


def sizes_at(place: Place, subject: Subject) -> Ints | None:
    """Return how many positions a place has in each context ``[n]``; None where it has as many in all.

    A value of another length would put padding where the context goes on, and would be misaligned where sequences are
    padded on the left.
    """
    if place.table is not None:
        found = spans(place.table)
    elif place.at_some or subject.lengths is None:
        return None
    else:
        found = np.asarray(subject.lengths)
    return None if (found == found[0]).all() else found


def refuse_uneven(place: Place, columns: Ints, donors: Ints, subject: Subject) -> None:
    """Refuse a place of which a donor has more or fewer positions than the context it gives its value to.

    Raises:
        DataError: If some donor has.
    """
    sizes = sizes_at(place, subject)
    if sizes is None:
        return
    here, there = sizes[columns], sizes[donors]
    if (here != there).any():
        one = int(np.flatnonzero(here != there)[0])
        hint = "name positions, as in @end" if place.table is None else f"name one position, as in @{place.named}.last"
        raise DataError(
            f"place {place}: {int((here != there).sum())} of {len(columns)} contexts have a different number of "
            f"{'positions' if place.table is None else 'these positions'} than their donor ({here[one]} and "
            f"{there[one]} in the first); {hint}"
        )


@dataclass(frozen=True, eq=False)
class Donors:
    """Values of some contexts, given to others.

    Attributes:
        values: What they have at the place ``[m, k, *positions]``.
        sizes: How many positions each of them has ``[m]``; None where all contexts have as many.
        asked: The number of positions of every context ``[n]``.
    """

    values: Tensor
    sizes: Ints | None = None
    asked: Ints | None = None

    def to(self, columns: Ints) -> Tensor:
        """Return what contexts ``columns [b]`` are given: one donor each, of as many positions ``[b, k, *positions]``.

        Raises:
            DataError: If a context has no such donor.

        Example:
            >>> Donors(torch.arange(3.0)[:, None]).to(np.arange(4)).ravel().tolist()
            [0.0, 1.0, 1.0, 2.0]
        """
        spread = columns * 2_654_435_761 % (1 << 32)
        if self.sizes is None or self.asked is None:
            return self.values[torch.from_numpy(spread % len(self.values))]
        chosen = np.empty(len(columns), np.int64)
        for size in np.unique(self.asked[columns]):
            alike, mine = np.flatnonzero(self.sizes == size), self.asked[columns] == size
            if not len(alike):
                raise _none(int(size))
            chosen[mine] = alike[spread[mine] % len(alike)]
        return self.values[torch.from_numpy(chosen)]


def drawn(rows: Ints, most: int, sizes: Ints | None, rng: np.random.Generator) -> Ints:
    """Return at most ``most`` of the contexts ``rows`` at random, ascending; one of each size first.

    Example:
        >>> drawn(np.arange(6), 2, np.array([5, 5, 5, 5, 5, 7]), np.random.default_rng(0)).tolist()[-1]
        5
    """
    if sizes is None:
        return np.sort(rng.choice(rows, min(len(rows), most), replace=False))
    some = rng.permutation(rows)
    turn = np.empty(len(some), np.int64)  # which of its size a context is
    for size in np.unique(sizes[some]):
        own = sizes[some] == size
        turn[own] = np.arange(own.sum())
    return np.sort(some[np.argsort(turn, kind="stable")[:most]])


def donors_at(
    places: Sequence[Place], rows: Ints, most: int, rng: np.random.Generator, executor: Executor
) -> tuple[Donors, ...]:
    """Return the values of some of the contexts ``rows`` at places that all have as many positions.

    Args:
        places: The bound places.
        rows: The contexts that may donate.
        most: The most of them.
        rng: Draws them.
        executor: Reads the values.
    """
    sizes = sizes_at(places[0], executor.subject)
    some = drawn(rows, most, sizes, rng)
    own = None if sizes is None else sizes[some]
    return tuple(Donors(place.part(executor.values(str(place.site), some), some), own, sizes) for place in places)


def refuse_without_donor(place: Place, subject: Subject, reported: Ints, fit: Ints, most: int) -> None:
    """Refuse contexts of a number of positions that none of those fitted on has.

    Raises:
        DataError: If there are such ones, or more numbers than donors are kept.
    """
    sizes = sizes_at(place, subject)
    if sizes is None:
        return
    missing = np.setdiff1d(sizes[reported], sizes[fit])
    if len(missing):
        raise _none(int(missing[0]))
    if len(np.unique(sizes[fit])) > most:
        raise DataError(f"ablation=resample: contexts of {len(np.unique(sizes[fit]))} lengths; at most {most}")


def _none(size: int) -> DataError:
    return DataError(
        f"ablation=resample: a context of {size} positions has no donor of as many among those that are not reported; "
        "use ablation=mean, or contexts of one length"
    )
