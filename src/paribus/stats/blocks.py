"""Permutations of rows that keep clusters together: whole clusters of equal size are exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Ints
from paribus.stats.clusters import chunk_sizes, cluster_codes


def exchangeable_blocks(clusters: ArrayLike) -> list[Ints]:
    """Return, for each cluster size that occurs, the row indices of its clusters [clusters of that size, size].

    Example:
        >>> [rows.tolist() for rows in exchangeable_blocks(["a", "b", "b", "c", "c"])]
        [[[0]], [[1, 2], [3, 4]]]
    """
    codes, k = cluster_codes(clusters)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=k)
    starts = np.cumsum(sizes) - sizes
    return [
        order[starts[sizes == size][:, None] + np.arange(size)].astype(np.int64) for size in np.unique(sizes[sizes > 0])
    ]


def n_exchangeable(blocks: Iterable[Ints]) -> int:
    """Return how many clusters have another one of their size."""
    return sum(len(rows) for rows in blocks if len(rows) > 1)


def block_permutations(clusters: ArrayLike, n_permutations: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield chunks of row permutations [draws, n] that exchange whole clusters with others of the same size.

    Row order within a cluster is kept, so ``values[rows]`` puts another cluster's values, in their order, in the
    place of each cluster's own. A cluster whose size occurs once stays where it is.

    Args:
        clusters: Cluster id of each row [n].
        n_permutations: Number of permutations in all.
        rng: Draws them.

    Example:
        >>> rows = next(block_permutations([0, 0, 1, 1, 2], 3, np.random.default_rng(0)))
        >>> rows.shape, sorted(rows[0].tolist())
        ((3, 5), [0, 1, 2, 3, 4])
    """
    return permuted(exchangeable_blocks(clusters), n_permutations, rng)


def permuted(blocks: Sequence[Ints], n_permutations: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield chunks of row permutations [draws, n] that exchange the rows of each of ``blocks`` [clusters, size]."""
    n = sum(rows.size for rows in blocks)
    for size in chunk_sizes(n_permutations, n):
        permutation = np.empty((size, n), dtype=np.int64)
        for rows in blocks:
            order = rng.permuted(np.tile(np.arange(len(rows)), (size, 1)), axis=1)
            permutation[:, rows.ravel()] = rows[order].reshape(size, -1)
        yield permutation


def one_row_per_cluster(clusters: ArrayLike, rng: np.random.Generator) -> Ints:
    """Return the index of one random row of each cluster, in the order of the rows: independent rows for a plain test.

    Args:
        clusters: Cluster id of each row [n].
        rng: Draws the rows.

    Example:
        >>> len(one_row_per_cluster([0, 0, 1, 1, 2], np.random.default_rng(0)))
        3
    """
    codes, _ = cluster_codes(clusters)
    order = rng.permutation(len(codes))
    _, first = np.unique(codes[order], return_index=True)
    return np.sort(order[first]).astype(np.int64)
