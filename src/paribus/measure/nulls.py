"""Null features: others of the same kind beside the one under study, and their mean effects from the same passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from paribus.arrays import Bools, Floats, Ints

CANCELLED = 1e-6
"""Means of a null feature below this share of its largest value are what rounding left of values that cancel."""


@dataclass(frozen=True, eq=False)
class Contrasts:
    """Mean effects asked of the null features: weighted sums over conditions, averaged over contexts.

    Attributes:
        weights: ``[rows, conditions]``, e.g. +1 at a level and -1 at the baseline, or (+1, -1, -1, +1) for a square.
        support: ``[rows, n]``, the contexts each row averages over; None for all that have every condition it uses.

    Example:
        >>> Contrasts(np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])).support is None
        True
    """

    weights: Floats
    support: Bools | None = None


@dataclass(frozen=True, eq=False)
class NullFeatures:
    """Features of the same kind with like firing rates.

    Attributes:
        rows: Their places among the columns ``[n_null]``.
        scale: sd of the feature under study over the sd of each ``[n_null]``.

    Example:
        >>> NullFeatures(rows=np.array([3, 8]), scale=np.array([1.0, 0.5])).rows.tolist()
        [3, 8]
    """

    rows: Ints
    scale: Floats


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean, sd and firing rate of features over some contexts, each ``[F]``.

    Attributes:
        rows: Places of the features among the columns ``[F]``.
        mean: Mean activation.
        sd: Standard deviation of the activation, zeros included.
        firing_rate: P(f > 0).
        sd_z: Standard deviation of the pre-activation.

    Example:
        >>> rates = np.array([0.5, 0.4])
        >>> Moments(np.arange(2), rates, np.ones(2), rates, np.ones(2)).firing_rate.tolist()
        [0.5, 0.4]
    """

    rows: Ints
    mean: Floats
    sd: Floats
    firing_rate: Floats
    sd_z: Floats


def matched(moments: Moments, own: int, n_null: int, rng: np.random.Generator) -> NullFeatures:
    """Choose the null features: alive, not the feature itself, nearest in firing rate (ties at random).

    Args:
        moments: Of the candidates and the feature under study.
        own: Place of the feature under study; it must be among ``moments.rows``.
        n_null: How many at most.
        rng: Breaks ties.

    Example:
        >>> rates = np.array([0.5, 0.4, 0.9])
        >>> moments = Moments(np.arange(3), rates, np.ones(3), rates, np.ones(3))
        >>> matched(moments, 0, 1, np.random.default_rng(0)).rows.tolist()
        [1]
    """
    here = int(np.flatnonzero(moments.rows == own)[0])
    usable = (moments.sd > 0) & (moments.rows != own)
    distance = np.abs(moments.firing_rate - moments.firing_rate[here])
    order = np.lexsort((rng.random(len(moments.rows)), distance))
    chosen = order[usable[order]][:n_null]
    return NullFeatures(moments.rows[chosen], moments.sd[here] / moments.sd[chosen])


def spread(mean: Floats, square: Floats) -> Floats:
    """Return standard deviations from means and mean squares; a constant feature has exactly 0 despite rounding.

    Example:
        >>> spread(np.array([2.0]), np.array([4.0 + 1e-15]))
        array([0.])
    """
    variance = np.maximum(square - mean**2, 0.0)
    return np.where(variance <= 1e-12 * np.maximum(1.0, mean**2), 0.0, np.sqrt(variance))


class NullSums:
    """Sums of contrasts over contexts, block by block, without keeping a value for every condition."""

    def __init__(self, contrasts: Contrasts, nulls: NullFeatures) -> None:
        """Start with empty sums."""
        self.contrasts, self.nulls = contrasts, nulls
        rows = len(contrasts.weights)
        self._total, self._count = np.zeros((rows, len(nulls.rows))), np.zeros(rows)
        self._entries = np.nonzero(contrasts.weights)
        self._pending: dict[int, Floats] = {}
        self._largest = np.zeros(len(nulls.rows))

    def weights(self, inverse: Ints, n_unique: int, ok: Bools, columns: Ints) -> csr_array:
        """Return how much each distinct input of a block counts in each row, sparse ``[n_unique, rows]``.

        Args:
            inverse: Place among the distinct inputs of every evaluated cell, in order of ``np.nonzero(ok)``.
            n_unique: Number of distinct inputs.
            ok: Which cells ``[conditions, b]`` are evaluated.
            columns: Contexts of the block ``[b]``.
        """
        at = np.zeros(ok.shape, np.int64)
        at[ok] = inverse
        row, level = self._entries
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        holds = np.logical_and.reduceat(ok[level], starts, axis=0)
        if self.contrasts.support is not None:
            holds &= self.contrasts.support[np.ix_(row[starts], columns)]
        self._count[row[starts]] += holds.sum(1)
        counted = np.repeat(holds, np.diff(starts, append=len(row)), axis=0)
        times = np.repeat(self.contrasts.weights[row, level], counted.sum(1))
        rows = np.repeat(row, counted.sum(1))
        return csr_array((times, (at[level][counted], rows)), shape=(n_unique, len(self.contrasts.weights)))

    def add(self, weights: csr_array, values: Floats, batch: slice) -> None:
        """Keep one batch ``[b, n_null]``; one that is repeated after running out of memory replaces itself."""
        self._pending[batch.start] = weights[batch].T @ values
        np.fmax(self._largest, np.abs(values).max(0, initial=0.0), out=self._largest)

    def commit(self) -> None:
        """Add up the batches of a block."""
        for values in self._pending.values():
            self._total += values
        self._pending.clear()

    def means(self) -> Floats:
        """Return mean effects ``[rows, n_null]`` in units of the feature under study; NaN without support.

        What is left of values that cancel but for rounding is 0, as it is for the feature itself.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._total / self._count[:, None]
        return np.where(np.abs(means) <= CANCELLED * self._largest, 0.0, means * self.nulls.scale)
