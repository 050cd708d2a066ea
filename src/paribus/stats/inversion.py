"""Intervals that invert a permutation test of few runs: the shifts that the test does not reject."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.bootstrap import Interval
from paribus.stats.clusters import chunk_sizes, random_bits
from paribus.stats.intervals import EQUAL_UNITS, NONE

UNREACHED = f"{NONE}: too few runs for this level"
TOLERANCE = 1e-10
"""Sums that differ by less than this share of the summed sizes are ties: rounding never makes a p smaller."""
ROUNDING = 1e-13
"""Numbers that differ by less than this share of the largest are equal."""
EQUAL = 1e-9
"""An interval whose width is below this share of its ends has none: the units are equal up to rounding."""


@dataclass(frozen=True)
class Shifts:
    """A two-sided permutation test of a mean (difference), for every shift at once.

    The test of a shift ``d`` takes it from every pair (from every run of the first arm) and counts the arrangements
    that are at least as extreme as the observed one. Both the sign flip and the permutation of labels have the
    property that an arrangement counts exactly while ``d`` lies between two numbers of its own, and that the observed
    difference lies between them for every arrangement:

    * sign flip: ``|sum_k s_k (x_k - d)| >= |sum_k (x_k - d)|`` if and only if ``d`` lies between the mean of the
      flipped pairs and that of the others (factor the difference of squares);
    * labels: with ``j`` runs exchanged, ``D`` the sum of the arm's runs after centring all runs, ``D*`` that of the
      arrangement and ``h = 2 n_a n_b / (n_a + n_b) >= j``, between ``mean(leaving) - mean(entering)`` and
      ``(D + D*) / (h - j)``.

    So ``p(d)`` falls on both sides of the estimate, the shifts that are not rejected are an interval, and its ends are
    order statistics of those numbers: no search, no grid. (For one-sided sign flips these are the typical values of
    Hartigan 1969; inversion in general: Lehmann and Romano, Testing Statistical Hypotheses, section 3.5.)

    Attributes:
        low: Lower bound of the shifts at which each arrangement counts, ascending [arrangements].
        high: Upper bounds, descending [arrangements].
        always: Arrangements that count at every shift: the observed one, its mirror image, and in a Monte Carlo test
            the one that is added.
        total: What counts are divided by.
        size: Largest of the numbers that the shifts were made from, by which rounding is known.

    Example:
        >>> shifts = sign_flip_shifts(np.array([1.0, 2.0, 1.5, 0.5, 1.0, 1.2]))
        >>> len(shifts.low), shifts.total
        (31, 32)
    """

    low: Floats
    high: Floats
    always: int
    total: int
    size: float = 0.0

    @property
    def p(self) -> float:
        """The two-sided p of no shift."""
        inside = min(np.searchsorted(self.low, 0.0, side="right"), np.searchsorted(-self.high, 0.0, side="right"))
        return float((self.always + int(inside)) / self.total)

    @property
    def smallest_p(self) -> float:
        """The smallest p that any data of this design can have."""
        return self.always / self.total

    def interval(self, confidence: float, method: str) -> Interval:
        """Return the shifts whose p is above ``1 - confidence``: 0 is among them if and only if p is.

        Returns:
            Method ``none: ...`` where the design cannot reject at this level, or all units are equal.
        """
        needed = math.floor((1 - confidence) * self.total + 1e-9) + 1 - self.always
        if needed <= 0:
            return Interval(math.nan, math.nan, UNREACHED)
        low, high = float(self.low[needed - 1]), float(self.high[needed - 1])
        if high - low <= max(EQUAL * max(abs(low), abs(high)), ROUNDING * self.size):
            return Interval(math.nan, math.nan, EQUAL_UNITS)
        return Interval(low, high, method)


def sign_flip_shifts(values: Floats) -> Shifts:
    """Return the exact test of paired differences [n] over all ``2^n`` sign patterns.

    A pattern and its mirror image count together, so only the half with the first sign fixed is enumerated.

    Example:
        >>> sign_flip_shifts(np.array([1.0, 2.0, 4.0])).total
        4
    """
    flipped, count = np.zeros(1), np.zeros(1)
    for value in values[1:]:
        flipped, count = np.concatenate([flipped, flipped + value]), np.concatenate([count, count + 1])
    low, high, always = _of_flips(flipped, count, values)
    return Shifts(low, high, always, len(flipped), _size(values))


def drawn_sign_flip_shifts(values: Floats, n_draws: int, rng: np.random.Generator) -> Shifts:
    """Return the Monte Carlo test of paired differences [n] over ``n_draws`` sign patterns, one more being added."""
    pieces = []
    for bits in random_bits(len(values), n_draws, rng):
        pieces.append(_of_flips((1 - bits) @ values, (1 - bits).sum(axis=1), values))
    return _drawn(pieces, n_draws, _size(values))


def label_shifts(first: Floats, second: Floats) -> Shifts:
    """Return the exact test of two arms [n_a], [n_b] over all ``C(n_a + n_b, n_a)`` labellings.

    Example:
        >>> label_shifts(np.array([5.0, 6.0]), np.array([1.0, 2.0])).total
        6
    """
    n, n_a = len(first) + len(second), len(first)
    chosen = labellings(n, n_a)
    low, high, always = _of_labels(chosen, first, second)
    return Shifts(low, high, always, len(chosen), _size(first, second))


def labellings(n: int, n_a: int) -> Ints:
    """Return every choice of ``n_a`` of ``n`` runs ``[choices, n_a]``."""
    every = itertools.combinations(range(n), n_a)
    return np.fromiter(itertools.chain.from_iterable(every), dtype=np.int64).reshape(-1, n_a)


def drawn_label_shifts(first: Floats, second: Floats, n_draws: int, rng: np.random.Generator) -> Shifts:
    """Return the Monte Carlo test of two arms over ``n_draws`` labellings, one more being added."""
    n, n_a, pieces = len(first) + len(second), len(first), []
    for size in chunk_sizes(n_draws, n):
        order = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        pieces.append(_of_labels(order[:, :n_a], first, second))
    return _drawn(pieces, n_draws, _size(first, second))


def _size(*arms: Floats) -> float:
    return float(max(np.abs(arm).max() for arm in arms))


def _drawn(pieces: list[tuple[Floats, Floats, int]], n_draws: int, size: float) -> Shifts:
    low, high = np.sort(np.concatenate([p[0] for p in pieces])), np.sort(np.concatenate([p[1] for p in pieces]))[::-1]
    return Shifts(low, high, sum(p[2] for p in pieces) + 1, n_draws + 1, size)


def _of_flips(flipped: Floats, count: Floats, values: Floats) -> tuple[Floats, Floats, int]:
    """Return lower and upper numbers and how many patterns always count, from sums and counts of the flipped pairs."""
    total, n = values.sum(), len(values)
    two = (count > 0) & (count < n)
    flipped, count = flipped[two], count[two]
    ends = np.stack([flipped / count, (total - flipped) / (n - count)])
    extreme = np.abs(total - 2 * flipped) >= np.abs(total) - TOLERANCE * np.abs(values).sum()
    return *_sorted(ends, extreme), int((~two).sum())


def _of_labels(chosen: Ints, first: Floats, second: Floats) -> tuple[Floats, Floats, int]:
    """Return lower and upper numbers and how many labellings always count; ``chosen`` [labellings, n_a] are indices."""
    n_a, n_b = len(first), len(second)
    centred = np.concatenate([first, second])
    centred = centred - centred.mean()
    entering = chosen >= n_a
    j = entering.sum(axis=1).astype(np.float64)
    h = 2 * n_a * n_b / (n_a + n_b)
    two = (j > 0) & (h - j > 1e-9)
    taken = centred[chosen]
    entered = np.where(entering, taken, 0.0).sum(axis=1)[two]
    stayed = np.where(entering, 0.0, taken).sum(axis=1)[two]
    j, own = j[two], centred[:n_a].sum()
    ends = np.stack([(own - stayed - entered) / j, (own + stayed + entered) / (h - j)])
    extreme = np.abs(stayed + entered) >= np.abs(own) - TOLERANCE * np.abs(centred).sum()
    return *_sorted(ends, extreme), int((~two).sum())


def _sorted(ends: Floats, extreme: Bools) -> tuple[Floats, Floats]:
    """Return the lower ends ascending and the upper ones descending; ties by rounding at no shift count as inside."""
    low, high = ends.min(axis=0), ends.max(axis=0)
    low[extreme], high[extreme] = np.minimum(low[extreme], 0.0), np.maximum(high[extreme], 0.0)
    return np.sort(low), np.sort(high)[::-1]
