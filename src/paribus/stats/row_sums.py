"""Reducing rows of values to sums over clusters block by block, in memory that does not grow with the contexts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import MAX_UNITS, ClusterSums, cluster_codes

HELD_COLUMNS = 512
"""Columns that are held before they are summed: adding few at a time would cost a pass over all sums each time."""


class RowSums:
    """Rows of values ``[rows, contexts]`` that come in blocks of contexts.

    Up to 512 clusters the sums are those of :func:`~paribus.stats.clusters.reduce_to_clusters`; more are joined once,
    at random, into 512 units of nearly equally many clusters, as resampling and tests would do later anyway. Only
    clusters of the contexts that are added count: others would join those for nothing.

    Example:
        >>> sums = RowSums(1, clusters=[0, 0, 1], rng=np.random.default_rng(0))
        >>> sums.add(np.array([[1.0, 3.0]]), np.array([0, 1]))
        >>> sums.add(np.array([[5.0]]), np.array([2]))
        >>> found = sums.result()
        >>> found.means.tolist(), found.n_clusters.tolist()
        ([3.0], [2])
    """

    def __init__(
        self, n_rows: int, clusters: ArrayLike, rng: np.random.Generator, contexts: Ints | None = None
    ) -> None:
        """Start without values.

        Args:
            n_rows: Number of rows.
            clusters: Cluster id of each of all contexts ``[contexts]``.
            rng: Joins clusters where there are many.
            contexts: Those that will be added; None: any.
        """
        self._cluster, k = cluster_codes(clusters)
        if contexts is not None and k > MAX_UNITS:
            own = np.unique(self._cluster[contexts])
            self._cluster, k = np.searchsorted(own, self._cluster), len(own)
        self._n_units = min(k, MAX_UNITS)
        unit_of = np.arange(k)
        if k > MAX_UNITS:
            unit_of[rng.permutation(k)] = np.arange(k) * MAX_UNITS // k
        self._unit = unit_of[np.minimum(self._cluster, k - 1)]  # of a context that is not added it is not asked for
        self._sums, self._counts = np.zeros((2, n_rows, self._n_units))
        self._seen: Bools | None = np.zeros((n_rows, k), bool) if k > MAX_UNITS else None
        self._n, self._mean, self._square = np.zeros((3, n_rows))
        self._held: list[tuple[Floats, Ints]] = []

    def add(self, values: Floats, columns: Ints) -> None:
        """Add the values ``[rows, b]`` of contexts ``columns [b]``; NaN is not supported and left out.

        Raises:
            ValueError: If a value is infinite.
        """
        self._held.append((values, columns))
        if sum(len(held) for _, held in self._held) >= HELD_COLUMNS:
            self._flush()

    def result(self) -> ClusterSums:
        """Return the sums of all that was added."""
        self._flush()
        sd = np.full(len(self._n), np.nan)
        several = self._n >= 2
        sd[several] = np.sqrt(self._square[several] / (self._n[several] - 1))
        joined = None if self._seen is None else self._seen.sum(axis=1)
        return ClusterSums(self._sums, self._counts, sd, joined)

    def _flush(self) -> None:
        if not self._held:
            return
        values = np.concatenate([held for held, _ in self._held], axis=1)
        columns = np.concatenate([held for _, held in self._held])
        self._held = []
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise ValueError(
                f"row {row} holds infinite values; only finite values and NaN (not supported) can be summed"
            )
        shape = self._sums.shape
        place = (np.arange(shape[0])[:, None] * shape[1] + self._unit[columns]).ravel()
        self._sums += np.bincount(place, weights=values.ravel(), minlength=self._sums.size).reshape(shape)
        self._counts += np.bincount(place, weights=known.ravel(), minlength=self._sums.size).reshape(shape)
        if self._seen is not None:
            self._seen[np.nonzero(known)[0], self._cluster[columns[np.nonzero(known)[1]]]] = True
        self._spread(values, known)

    def _spread(self, values: Floats, known: Bools) -> None:
        """Merge mean and squares around it (Chan, Golub and LeVeque 1983)."""
        n = known.sum(axis=1)
        mean = values.sum(axis=1) / np.maximum(n, 1)
        square = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
        total, apart = self._n + n, mean - self._mean
        share = n / np.maximum(total, 1)
        self._square += square + apart**2 * self._n * share
        self._mean += apart * share
        self._n = total


class LevelTotals:
    """Mean and share above 0 of each level, over values ``[levels, contexts]`` that come in blocks of contexts.

    Example:
        >>> totals = LevelTotals(2)
        >>> totals.add(np.array([[0.0, 2.0], [1.0, 3.0]]))
        >>> totals.add(np.array([[4.0], [2.0]]))
        >>> totals.means.tolist(), totals.shares_above.round(2).tolist()
        ([2.0, 2.0], [0.67, 1.0])
    """

    def __init__(self, n_levels: int) -> None:
        """Start without values."""
        self._n, self._total, self._above = np.zeros((3, n_levels))

    def add(self, values: Floats) -> None:
        """Add the values ``[levels, b]`` of some contexts; NaN is left out."""
        known = ~np.isnan(values)
        self._n += known.sum(axis=1)
        self._total += np.where(known, values, 0.0).sum(axis=1)
        self._above += (values > 0).sum(axis=1)

    @property
    def means(self) -> Floats:
        """Mean of each level; NaN without values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._total / self._n)

    @property
    def shares_above(self) -> Floats:
        """Share of values above 0 of each level; NaN without values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._above / self._n)
