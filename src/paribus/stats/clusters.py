"""Reducing rows of values to sums over clusters: the only form in which anything is resampled or tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paribus.arrays import Floats, Ints

CHUNK_ELEMENTS = 1 << 21
"""The most elements of a resampling matrix held at once (16 MiB of float64)."""

MAX_UNITS = 512
"""Above this many clusters, resampling moves random blocks of clusters instead of single ones."""


@dataclass(frozen=True)
class ClusterSums:
    """Rows of values reduced to clusters.

    Attributes:
        sums: Sum of the supported values of each cluster [rows, clusters].
        counts: Number of supported (not NaN) values of each cluster [rows, clusters].
        sd: Sample standard deviation over single values (ddof 1) [rows]; NaN below two values.
        joined: Clusters that support each row [rows], where the units of ``sums`` are joined clusters; else None.

    Example:
        >>> sums = reduce_to_clusters([1.0, 2.0, 4.0], ["a", "a", "b"])
        >>> sums.sums.tolist(), sums.counts.tolist()
        ([[3.0, 4.0]], [[2.0, 1.0]])
    """

    sums: Floats
    counts: Floats
    sd: Floats
    joined: Ints | None = None

    @property
    def n(self) -> Floats:
        """Number of supported values [rows]."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.float64)

    @property
    def n_clusters(self) -> Ints:
        """Number of clusters (or joined ones) with at least one supported value [rows]."""
        return np.asarray(np.count_nonzero(self.counts, axis=1), dtype=np.int64)

    @property
    def effective(self) -> Floats:
        """How many clusters of equal size the clusters count for [rows], ``n^2 / sum_k n_k^2``; NaN without values.

        The effective number of Kish (1965). One cluster with half of the values leaves fewer than 4, however many the
        others are.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.n**2 / (self.counts**2).sum(axis=1), dtype=np.float64)

    @property
    def means(self) -> Floats:
        """Mean over single values, each context weighing the same [rows]; NaN where nothing is supported."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.sums.sum(axis=1) / self.n, dtype=np.float64)

    @property
    def scale(self) -> Floats:
        """How large the values are that the means are made of: mean absolute sum of a cluster, by value [rows]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(self.sums).sum(axis=1) / self.n, dtype=np.float64)

    def rows(self, rows: Ints) -> ClusterSums:
        """Return some of the rows."""
        of_joined = None if self.joined is None else self.joined[rows]
        return ClusterSums(self.sums[rows], self.counts[rows], self.sd[rows], of_joined)

    def supported(self) -> ClusterSums:
        """Return the same rows over the clusters that support any of them.

        Clusters of contexts that are not reported are among the columns: to draw them would leave a resample fewer
        clusters than were measured, and make it depend on contexts that no row is about.

        Example:
            >>> half = reduce_to_clusters([1.0, np.nan, 2.0], ["a", "b", "c"])
            >>> half.sums.shape, half.supported().sums.tolist()
            ((1, 3), [[1.0, 2.0]])
        """
        there = (self.counts > 0).any(axis=0)
        return self if there.all() else replace(self, sums=self.sums[:, there], counts=self.counts[:, there])

    def residuals(self) -> Floats:
        """Return ``sums - mean * counts`` [rows, clusters], the cluster scores of the mean; rounding noise is 0."""
        means = np.nan_to_num(self.means)[:, None]
        scores = self.sums - means * self.counts
        noise = 1e-12 * (np.abs(self.sums) + np.abs(means) * self.counts).max(axis=1, initial=0.0)
        scores[np.abs(scores) <= noise[:, None]] = 0.0
        return scores

    def standard_errors(self) -> Floats:
        """Return the cluster-robust standard error of each mean [rows]; NaN below two clusters.

        Linearised ratio variance ``K/(K-1) * sum_k (S_k - m C_k)^2 / n^2`` (Liang and Zeger 1986, with the usual
        small-sample factor); with one value per cluster it is ``sd / sqrt(n)`` exactly. As everywhere else where it is
        used, it is too small where one cluster has much of the rows (by half where it has half of them and there are
        40): no interval and no test rests on it.
        """
        k = self.n_clusters.astype(np.float64)
        norms = np.empty(len(k))
        for some in slices(len(k), self.sums.shape[1]):
            scores = ClusterSums(self.sums[some], self.counts[some], self.sd[some]).residuals()
            size = np.abs(scores).max(axis=1, initial=0.0)
            scores /= np.where(size > 0, size, 1.0)[:, None]  # squares of tiny effects must not underflow
            norms[some] = size * np.sqrt((scores**2).sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(k >= 2, np.sqrt(k / (k - 1)) * norms / self.n, np.nan)


def joined(parts: Sequence[ClusterSums]) -> ClusterSums:
    """Return the rows of several sums over the same clusters, one after the other.

    Example:
        >>> one = reduce_to_clusters([1.0, 2.0], [0, 1])
        >>> joined([one, one]).sums.shape
        (2, 2)
    """
    of_joined = [part.joined for part in parts if part.joined is not None]
    return ClusterSums(
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.sd for part in parts]),
        np.concatenate(of_joined) if of_joined else None,
    )


def cluster_codes(clusters: ArrayLike) -> tuple[Ints, int]:
    """Return integer codes ``0..K-1`` of cluster ids (numbers or strings) [n], and ``K``.

    Raises:
        ValueError: If ``clusters`` is not one-dimensional.

    Example:
        >>> codes, k = cluster_codes(["slide_7", "slide_2", "slide_7"])
        >>> codes.tolist(), k
        ([1, 0, 1], 2)
    """
    ids = np.asarray(clusters)
    if ids.ndim != 1:
        raise ValueError(f"clusters must be one-dimensional, got shape {ids.shape}")
    unique, codes = np.unique(ids, return_inverse=True)
    return codes.astype(np.int64), len(unique)


def as_rows(values: ArrayLike, clusters: ArrayLike) -> Floats:
    """Return ``values`` as float64 [rows, contexts], checked against ``clusters`` [contexts].

    Raises:
        ValueError: If the shapes disagree.

    Example:
        >>> as_rows([1.0, 2.0], [0, 1]).shape
        (1, 2)
    """
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    n = np.asarray(clusters).shape[0]
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ValueError(f"values of shape {np.shape(values)} do not fit {n} cluster ids")
    return rows


def reduce_to_clusters(values: ArrayLike, clusters: ArrayLike) -> ClusterSums:
    """Reduce rows of values to cluster sums, one row at a time, so that memory stays flat.

    Args:
        values: Values [contexts] or [rows, contexts]; NaN is not supported and left out.
        clusters: Cluster id of each context [contexts].

    Raises:
        ValueError: If the shapes disagree or a value is infinite.

    Example:
        >>> reduce_to_clusters(np.ones((2, 6)), [0, 0, 0, 1, 1, 2]).counts.tolist()
        [[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]
    """
    rows = as_rows(values, clusters)
    codes, k = cluster_codes(clusters)
    sums = np.zeros((len(rows), k))
    counts = np.zeros((len(rows), k))
    sd = np.full(len(rows), np.nan)
    complete = np.bincount(codes, minlength=k).astype(np.float64)
    for i, row in enumerate(rows):
        missing = np.isnan(row)
        if missing.any():
            row, kept = row[~missing], codes[~missing]
            counts[i] = np.bincount(kept, minlength=k)
        else:
            kept = codes
            counts[i] = complete
        if not np.isfinite(row).all():
            raise ValueError(f"row {i} holds infinite values; only finite values and NaN (not supported) can be summed")
        sums[i] = np.bincount(kept, weights=row, minlength=k)
        if row.size >= 2:
            sd[i] = row.std(ddof=1)
    return ClusterSums(sums, counts, sd)


def supported_sums(differences: ArrayLike | ClusterSums, clusters: ArrayLike) -> ClusterSums:
    """Return the sums of differences over clusters, or those that are given, without clusters that support no row."""
    given = differences if isinstance(differences, ClusterSums) else reduce_to_clusters(differences, clusters)
    return given.supported()


def join_units(matrices: tuple[Floats, ...], rng: np.random.Generator, *, limit: int = MAX_UNITS) -> tuple[Floats, ...]:
    """Join clusters at random into ``limit`` blocks of nearly equal size; up to that many stay as they are.

    Moving blocks of independent clusters is still valid: sign flips and permutations of blocks form a subgroup of
    those of clusters, and blocks are themselves independent units to a bootstrap. With 512 blocks the variance is
    estimated with 511 degrees of freedom, which costs almost nothing, and time and memory are bounded.

    Args:
        matrices: Arrays [rows, clusters] that share their clusters.
        rng: Draws the blocks.
        limit: The most units to keep.

    Example:
        >>> (units,) = join_units((np.ones((1, 1000)),), np.random.default_rng(0), limit=10)
        >>> units.tolist()
        [[100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0]]
    """
    k = matrices[0].shape[1]
    if k <= limit:
        return matrices
    order = rng.permutation(k)
    starts = np.linspace(0, k, limit, endpoint=False).astype(np.int64)
    return tuple(np.add.reduceat(matrix[:, order], starts, axis=1) for matrix in matrices)


def chunk_sizes(total: int, width: int) -> Iterator[int]:
    """Return the sizes of blocks of ``total`` rows of ``width``.

    Example:
        >>> list(chunk_sizes(3, width=1 << 20))
        [2, 1]
    """
    return (some.stop - some.start for some in slices(total, width))


def slices(n: int, width: int) -> list[slice]:
    """Return ``n`` rows of ``width`` in blocks of at most :data:`CHUNK_ELEMENTS` elements.

    Example:
        >>> slices(3, width=1 << 20)
        [slice(0, 2, None), slice(2, 3, None)]
    """
    return by_size(n, max(1, CHUNK_ELEMENTS // max(1, width)))


def by_size(n: int, size: int) -> list[slice]:
    """Return ``n`` rows in blocks of at most ``size``.

    Example:
        >>> by_size(3, 2)
        [slice(0, 2, None), slice(2, 3, None)]
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def column_blocks(matrix: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Return a matrix [n, k] a few columns at a time, so that arrays of its size stay small; at least one block.

    Example:
        >>> sum(block.shape[1] for block in column_blocks(np.zeros((10, 7))))
        7
    """
    return (matrix[:, some] for some in slices(max(1, matrix.shape[1]), len(matrix)))


def bootstrap_weights(n_units: int, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield chunks [draws, units] of resampling counts: how often each unit is drawn among ``n_units`` draws.

    Example:
        >>> next(bootstrap_weights(5, 100, np.random.default_rng(0))).sum(axis=1)[:3].tolist()
        [5.0, 5.0, 5.0]
    """
    for size in chunk_sizes(n_draws, n_units):
        drawn = rng.integers(0, n_units, size=(size, n_units))
        drawn += np.arange(size)[:, None] * n_units
        yield np.bincount(drawn.ravel(), minlength=size * n_units).reshape(size, n_units).astype(np.float64)


def random_bits(n_units: int, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield chunks [draws, units] of fair coin tosses, 0.0 or 1.0.

    Example:
        >>> next(random_bits(4, 10, np.random.default_rng(0))).shape
        (10, 4)
    """
    for size in chunk_sizes(n_draws, n_units):
        packed = np.frombuffer(rng.bytes((size * n_units + 7) // 8), dtype=np.uint8)
        yield np.unpackbits(packed, count=size * n_units).reshape(size, n_units).astype(np.float64)


def one_row_where_equal(counts: Floats) -> Floats:
    """Return the sizes of clusters ``[rows, clusters]``, one row where all rows have the same."""
    return counts[:1] if bool((counts == counts[:1]).all()) else counts


def support_groups(counts: Floats, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield ``(rows, clusters)`` index arrays: the given rows grouped by the set of clusters that support them."""
    groups: dict[bytes, list[int]] = {}
    for row in rows:
        groups.setdefault(np.packbits(counts[row] > 0).tobytes(), []).append(int(row))
    for members in groups.values():
        yield np.array(members, dtype=np.int64), np.flatnonzero(counts[members[0]] > 0)
