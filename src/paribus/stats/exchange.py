"""Exchanging whole clusters: free permutations, or cyclic shifts within random groups where there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.stats.blocks import n_exchangeable, permuted
from paribus.stats.clusters import chunk_sizes

TABLES_FROM = 256
"""From this many clusters on, clusters move by cyclic shifts within random groups, whose sums are tabulated."""
GROUP_SIZE = 64
MAX_BLOCKS = 1024
HELD_PER_ROW = 8
"""Numbers that sums hold at once for each row and draw."""

Sums = Callable[[Ints, Ints, int], Floats]
"""From row permutations ``[draws, n]``, the group of every row's cluster and the number of groups to additive sums
``[draws, groups, k]``."""


@dataclass(frozen=True)
class Exchange:
    """Clusters that may change places.

    Attributes:
        classes: Row numbers of the clusters of each size ``[clusters, size]``; clusters of one class exchange.
    """

    classes: tuple[Ints, ...]

    @property
    def n_exchangeable(self) -> int:
        """Clusters that have another one to exchange with."""
        return n_exchangeable(self.classes)

    def draws(self, sums: Sums, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Yield chunks ``[draws, k]`` of the sums under random exchanges.

        Few clusters are permuted freely. Many are put into random groups of up to 64 blocks, and each group is shifted
        cyclically: these shifts form a subgroup of all permutations, so that p-values stay exact (Hemerik and Goeman
        2018), and since sums add up over groups, 64 evaluations of the data serve any number of draws.

        Args:
            sums: Additive over clusters.
            n_draws: How many.
            rng: Draws them.
        """
        if sum(map(len, self.classes)) < TABLES_FROM:
            yield from self._free(sums, n_draws, rng)
        else:
            yield from self._shifted(sums, n_draws, rng)

    @property
    def _n(self) -> int:
        return sum(rows.size for rows in self.classes)

    def _free(self, sums: Sums, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
        group = np.zeros(self._n, np.int64)
        for moved in permuted(self.classes, n_draws, rng):
            yield sums(moved, group, 1)[:, 0]

    def _shifted(self, sums: Sums, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
        groups = list(self._groups(rng))
        group = np.full(self._n, len(groups), np.int64)  # clusters left over stay where they are
        for i, blocks in enumerate(groups):
            group[blocks] = i
        parts = []
        start = 0
        for size in chunk_sizes(GROUP_SIZE, self._n * HELD_PER_ROW):
            moved = np.tile(np.arange(self._n), (size, 1))
            for shift in range(size):
                for blocks in groups:
                    moved[shift, blocks] = np.roll(blocks, -(start + shift), axis=0)
            parts.append(sums(moved, group, len(groups) + 1))
            start += size
        table = np.concatenate(parts)
        for size in chunk_sizes(n_draws, table.shape[2]):
            total = np.tile(table[0, -1], (size, 1))
            for i, blocks in enumerate(groups):
                total += table[rng.integers(0, len(blocks), size), i]
            yield total

    def _groups(self, rng: np.random.Generator) -> Iterator[Ints]:
        """Yield the rows of random groups of blocks of equally many clusters ``[blocks, rows of a block]``."""
        joined = -(-sum(map(len, self.classes)) // MAX_BLOCKS)
        for rows in self.classes:
            n_blocks = len(rows) // joined
            if n_blocks > 1:
                some = rng.permutation(len(rows))[: n_blocks * joined]
                yield from np.array_split(rows[some].reshape(n_blocks, -1), -(-n_blocks // GROUP_SIZE))
