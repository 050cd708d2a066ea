"""Closed frequent itemsets by intersecting bit sets of rows; items of one family are nested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError

MOST_VISITED = 500_000
"""Itemsets looked at before a search is refused as too wide."""


@dataclass(frozen=True)
class Itemset:
    """A set of items, at most one of each family.

    Attributes:
        items: Columns of the items, ascending.
        count: Rows that hold all of them.
    """

    items: tuple[int, ...]
    count: int


def frequent_itemsets(present: Bools, families: Sequence[int], *, min_count: int, max_size: int) -> list[Itemset]:
    """Return the closed itemsets that at least ``min_count`` rows hold, largest count first.

    Depth-first search over vertical bit sets (Eclat: Zaki 2000, IEEE TKDE 12:372). Of a family's nested items (the
    rungs reached) an itemset names only the highest, which implies the others. An itemset is closed that no item can
    be added to, and no rung raised in, without losing a row; the rest say nothing more. A set that could
    only be closed by growing beyond ``max_size`` stays.

    Args:
        present: Which rows hold which items ``[n, items]``.
        families: Family of each item; items of one family come in ascending order of rung.
        min_count: Least number of rows.
        max_size: Most items in a set.

    Raises:
        ConfigError: If there are too many to look at.
    """
    family = np.asarray(families)
    counts = present.sum(0)
    items = np.flatnonzero(counts >= max(min_count, 1))
    if not len(items):
        return []
    octets = np.packbits(present[:, items], axis=0).T
    covers = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8))).view(np.uint64)
    search = _Search(covers, family[items], max(min_count, 1), max_size)
    search.grow((), np.full(covers.shape[1], ~np.uint64(0)), len(present), 0)
    found = [Itemset(tuple(int(items[i]) for i in chosen), count) for chosen, count in search.found]
    return sorted(found, key=lambda each: (-each.count, len(each.items), each.items))


class _Search:
    """One depth-first search over the frequent items."""

    def __init__(self, covers: npt.NDArray[np.uint64], family: Ints, min_count: int, max_size: int) -> None:
        """Hold the bit set of every item ``[items, words]`` and its family ``[items]``."""
        self.covers, self.family = covers, family
        self.min_count, self.max_size = min_count, max_size
        self.found: list[tuple[tuple[int, ...], int]] = []
        self.visited = 0

    def grow(self, chosen: tuple[int, ...], cover: npt.NDArray[np.uint64], count: int, start: int) -> None:
        """Keep ``chosen`` if it belongs to the answer, and extend it by every later item of another family."""
        self.visited += 1
        if self.visited > MOST_VISITED:
            raise ConfigError(
                f"more than {MOST_VISITED} itemsets to look at; raise experiment.min_support or lower max_size"
            )
        full = len(chosen) == self.max_size
        joint = np.bitwise_count(self.covers & cover).sum(1, dtype=np.int64)
        own = np.isin(self.family, self.family[list(chosen)])
        if chosen and not self._extends(chosen, joint, count, own, full):
            self.found.append((chosen, count))
        if full:
            return
        for item in np.flatnonzero((joint >= self.min_count) & ~own):
            if item >= start:
                self.grow((*chosen, int(item)), self.covers[item] & cover, int(joint[item]), int(item) + 1)

    def _extends(self, chosen: tuple[int, ...], joint: Ints, count: int, own: Bools, full: bool) -> bool:
        """Return whether a higher rung, or (below ``max_size``) an item of another family, holds for all its rows."""
        same = joint == count
        higher = np.zeros(len(own), bool)
        for item in chosen:
            higher |= (self.family == self.family[item]) & (np.arange(len(own)) > item)
        return bool((same & (higher if full else higher | ~own)).any())
