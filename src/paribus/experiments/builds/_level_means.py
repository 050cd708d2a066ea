"""Levels that are means of several states each: a class of weapons is there if each of its weapons is, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats


@dataclass(frozen=True)
class LevelMeans:
    """Which states make up each level, every state once and in order.

    Attributes:
        groups: Places of the states of each level.
    """

    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of_sizes(cls, sizes: Sequence[int]) -> LevelMeans:
        """Return levels of so many states each, one after the other."""
        ends = np.cumsum(sizes).tolist()
        return cls(tuple(tuple(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)))

    @property
    def plain(self) -> bool:
        """Whether every level is one state."""
        return all(len(group) == 1 for group in self.groups)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return sum(map(len, self.groups))

    def of(self, values: Floats) -> Floats:
        """Return the levels ``[levels, n]`` of states ``[states, n]``; NaN where one of its states is.

        The mean of equal values is exactly that value: rounding must not make an effect of nothing.
        """
        if self.plain:
            return values
        out = values[[group[0] for group in self.groups]].copy()
        for row, group in enumerate(self.groups):
            if len(group) > 1:
                out[row] += (values[list(group)] - out[row]).mean(0)
        return out

    def supported(self, ok: Bools) -> Bools:
        """Return which contexts support each level ``[levels, n]``, from which support each state ``[states, n]``."""
        return ok if self.plain else np.stack([ok[list(group)].all(0) for group in self.groups])

    def spread(self, weights: Floats) -> Floats:
        """Return weights of levels ``[rows, levels]`` as weights of states ``[rows, states]``."""
        if self.plain:
            return weights
        out = np.zeros((len(weights), self.n_states))
        for level, group in enumerate(self.groups):
            out[:, list(group)] = weights[:, [level]] / len(group)
        return out
