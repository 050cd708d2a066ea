"""Adding seeds without inflating the error rate: tests at looks that were declared before the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats
from paribus.stats.bootstrap import Interval
from paribus.stats.few import complete
from paribus.stats.intervals import EQUAL_UNITS
from paribus.stats.inversion import UNREACHED

SPENDING = math.log(0.4) / math.log(0.5)
"""Exponent of the share of the level that is spent by a look, ``level * (n / last n) ** SPENDING``: two fifths of the
level by half of the pairs."""
MOST_ENUMERATED = 20
"""Pairs up to which a look enumerates all signs; of the pairs after the last such look they are drawn."""
TOLERANCE = 1e-9
DECLARED_LOOKS = "declared_looks"


@dataclass(frozen=True)
class Look:
    """The test at one declared look.

    Attributes:
        n: Pairs so far.
        level: Share of sign patterns that this look and those before it may reject together.
        mean: Mean difference of these pairs.
        p: Share of sign patterns that earlier looks reject or may claim, or that are as extreme here: reject where it
            is at most ``level``. It is the p-value of a study that stops here, at this level.
        rejects: Whether it is rejected at this look or was before.
    """

    n: int
    level: float
    mean: float
    p: float
    rejects: bool


def spending(looks: Sequence[int], level: float = 0.05) -> tuple[float, ...]:
    """Return by look how much of the level is spent up to it.

    Example:
        >>> [round(each, 4) for each in spending([8, 12, 24])]
        [0.0117, 0.02, 0.05]
    """
    return tuple(level * (n / looks[-1]) ** SPENDING for n in looks)


@dataclass(frozen=True)
class FlippedSums:
    """The sums of paired differences at each look that is reached, under every sign pattern.

    Attributes:
        looks: The looks that are reached.
        sums: By look the sum of the differences under each pattern [patterns]; the first pattern is as observed.
        counts: By look the sum of the signs, so that of ``x - mean`` the sums are ``sums - mean * counts``.
        sizes: By look the sum of the absolute differences, for the tolerance of ties.
        floor: The smallest share of patterns that there is.
    """

    looks: tuple[int, ...]
    sums: tuple[Floats, ...]
    counts: tuple[Floats, ...]
    sizes: tuple[float, ...]
    floor: float


def flipped_sums(
    differences: ArrayLike,
    looks: Sequence[int],
    *,
    rng: np.random.Generator | None = None,
    n_permutations: int = 99_999,
) -> FlippedSums:
    """Return what :func:`look_again` needs, once for all levels and means.

    Args:
        differences: Paired differences in the order in which they count, as far as there are any [n].
        looks: Number of pairs at each look, ascending; looks that are not reached yet are left out of the result.
        rng: Draws signs where there are more than 20 pairs. Pass one of the same seed at every look.
        n_permutations: Patterns drawn at least, where signs are drawn.

    Raises:
        ValueError: If no look is reached, or a generator is needed and missing.

    Example:
        >>> flipped_sums([1.0, 2.0, 3.0], [2, 3]).sums[1].tolist()
        [6.0, 2.0, 0.0, -4.0]
    """
    values = complete(differences, "differences")
    reached = tuple(n for n in looks if n <= len(values))
    if not reached:
        raise ValueError(f"no look of {list(looks)} is reached by {len(values)} pairs")
    n, enumerated = reached[-1], max((look for look in reached if look <= MOST_ENUMERATED), default=1)
    later = values[enumerated:n]
    if len(later) and rng is None:
        raise ValueError(f"{n} pairs are too many to enumerate every sign: pass a generator")
    times = -(-(n_permutations + 1) // 2 ** (enumerated - 1)) if len(later) else 1

    def all_of(look: int) -> tuple[Floats, Floats]:
        first, second = (_all_signs(each[:look], enumerated) for each in (values, np.ones(n)))
        return np.tile(first, times), np.tile(second, times)

    found = [all_of(look) for look in reached if look <= enumerated]
    if len(later) and rng is not None:
        after = enumerate(_drawn_signs(*all_of(enumerated), later, rng), enumerated + 1)
        found += [each for place, each in after if place in reached]
    sizes = tuple(float(np.abs(values[:look]).sum()) for look in reached)
    sums, counts = zip(*found, strict=True)
    return FlippedSums(reached, sums, counts, sizes, 1.0 / len(sums[0]))


def _drawn_signs(
    totals: Floats, counts: Floats, values: Floats, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Yield the sums of differences and of signs after each further pair, whose signs are drawn.

    Signs are drawn pair by pair, each pattern's by themselves, so that pairs that follow change nothing before. The
    patterns stay exchangeable: given all of them the observed one is any of them with equal chance, so tests are exact.
    """
    for value in values:
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=len(totals)).astype(np.float64)
        signs[0] = 1.0
        totals, counts = totals + signs * value, counts + signs
        yield totals, counts


def _all_signs(values: Floats, n: int) -> Floats:
    """Return the sum of the first values under all sign patterns of ``n``, up to a common flip [2 ** (n - 1)]."""
    totals = values[:1].copy()
    for value in values[1:]:
        totals = np.concatenate([totals + value, totals - value])
    return np.tile(totals, 2 ** (n - len(values)))


def look_again(flipped: FlippedSums, levels: Sequence[float], mean: float = 0.0) -> list[Look]:
    """Return the test of paired differences at each declared look that is reached, by flipping signs, two-sided.

    A look rejects if the absolute sum of the differences is among the largest over the sign patterns that no earlier
    look rejects, with the share rejected by all looks so far within the cumulative level (group-sequential testing with
    a spent level, Lan and DeMets 1983, on the enumerated permutation distribution). Under differences that are
    symmetric about the mean the chance that any look rejects is at most the last level.

    The number of patterns is finite, so a look often leaves a part of its level unspent. The next look uses only as
    much of it as the earlier one would not use at a slightly larger level; otherwise a larger level could reject less.

    What a look decides stays when pairs are added: looks of up to 20 pairs are enumerated whatever follows, and a
    generator of the same seed draws the same signs for the same pairs, however many come after them.

    Args:
        flipped: From :func:`flipped_sums`.
        levels: Cumulative level of each look.
        mean: The mean that is tested.

    Example:
        >>> flipped = flipped_sums([1.0, 2.0, 1.5, 0.5, 1.0, 2.0, 1.1, 0.9], [4, 8])
        >>> look_again(flipped, (0.01, 0.05))[1].p
        0.0078125
    """
    alive: Bools = np.ones(len(flipped.sums[0]), bool)
    found: list[Look] = []
    rejects, spent, before = False, 0.0, 0.0
    # by how much all levels would have to grow until an earlier look rejects more
    growth = math.inf
    every = zip(flipped.looks, levels, flipped.sums, flipped.counts, flipped.sizes, strict=False)
    for n, level, totals, counts, size in every:
        sums = np.abs(totals - mean * counts)
        tolerance = TOLERANCE * (size + n * abs(mean))
        most = growth * (level - before)
        room = min(level - spent, most)
        p = level - room + float((alive & (sums >= sums[0] - tolerance)).mean())
        rejects = rejects or p <= level + 1e-12
        found.append(Look(n, level, float(totals[0] / n), min(1.0, p), rejects))
        gone, following = _rejected(sums, alive, room, tolerance)
        if following <= most:
            growth = min(growth, (spent + following) / level)
        alive &= ~gone
        spent, before = float((~alive).mean()), level
    return found


def looks_p(flipped: FlippedSums, looks: Sequence[int]) -> float:
    """Return the smallest level that, spent over the declared looks, rejects at a look so far: a p-value.

    It is at most a level exactly where :func:`look_again` rejects with :func:`spending` of that level, as whatever
    a level rejects every larger one does too; so it can be adjusted over several tests.

    Args:
        flipped: From :func:`flipped_sums`.
        looks: All declared looks.

    Example:
        >>> flipped = flipped_sums([1.0, 2.0, 1.5, 0.5, 1.0, 2.0, 1.1, 0.9], [8, 12])
        >>> p = looks_p(flipped, [8, 12])
        >>> round(p, 4), round(2 / 2**8 / (8 / 12) ** SPENDING, 4)
        (0.0134, 0.0134)
    """

    def rejects(level: float) -> bool:
        return look_again(flipped, spending(looks, level))[-1].rejects

    low, high = 0.0, 1.0
    if not rejects(high):
        return 1.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if rejects(middle) else (middle, high)
    return max(high, smallest_looks_p(looks, flipped.looks[-1], flipped.floor))  # halving ends a little below it


def smallest_looks_p(looks: Sequence[int], n: int, floor: float = 0.0) -> float:
    """Return the smallest :func:`looks_p` that ``n`` pairs can reach, whatever the data; NaN before the first look.

    It is that of differences of one sign. A look soon after another one may have too little left to reject even these:
    see :func:`look_again` on what is left over.

    Args:
        looks: All declared looks.
        n: Pairs so far.
        floor: The smallest share of patterns that there is.

    Example:
        >>> round(smallest_looks_p([8, 12, 24], 8), 4), round(smallest_looks_p([8, 12, 24], 12), 4)
        (0.0334, 0.0012)
    """
    found, before = math.inf, 0.0
    for look, share in zip(looks, spending(looks, 1.0), strict=True):
        if look > n:
            break
        least = max(2.0 ** (1 - look), floor)
        # found * (share - before): what a level at which no earlier look rejects the largest pattern leaves to this one
        if least <= found * (share - before):
            found = min(found, least / share)
        before = share
    return min(1.0, found) if math.isfinite(found) else math.nan


def looks_interval(flipped: FlippedSums, looks: Sequence[int], confidence: float = 0.95) -> Interval:
    """Return the means that no look so far rejects (their hull): it inverts the test of the declared looks.

    Args:
        flipped: From :func:`flipped_sums`.
        looks: All declared looks.
        confidence: Its coverage, over all looks at once.

    Returns:
        Method ``none: ...`` where no look so far can reject, or where all differences are equal.

    Example:
        >>> values = np.random.default_rng(0).normal(2.0, 1.0, 12)
        >>> found = looks_interval(flipped_sums(values, [8, 12]), [8, 12])
        >>> bool(found.low < 2.0 < found.high), found.method
        (True, 'declared_looks')
    """
    levels, last = spending(looks, 1 - confidence), len(flipped.looks) - 1
    if smallest_looks_p(looks, flipped.looks[last], flipped.floor) > 1 - confidence + 1e-12:
        return Interval(math.nan, math.nan, UNREACHED)
    middle = float(flipped.sums[last][0] / flipped.looks[last])
    spread = 2 * flipped.sizes[last] / flipped.looks[last]
    if np.ptp(np.abs(flipped.sums[last] - middle * flipped.counts[last])) <= TOLERANCE * max(spread, 1e-300):
        return Interval(math.nan, math.nan, EQUAL_UNITS)
    return hull(lambda mean: look_again(flipped, levels, mean)[-1].rejects, middle, spread, 61, DECLARED_LOOKS)


def _rejected(sums: Floats, alive: Bools, room: float, tolerance: float) -> tuple[Bools, float]:
    """Return the patterns that a look rejects, and the share that it would reject with the next ones.

    They are the largest of those alive, ties together, whose share is at most ``room``.
    """
    living, left = sums[alive], math.floor(room * len(sums) + 1e-9)
    if left >= len(living):
        return alive.copy(), math.inf
    # ties with the first one that is not rejected are not rejected either
    place = len(living) - 1 - max(0, left)
    first = np.partition(living, place)[place]
    return alive & (sums > first + tolerance), float((alive & (sums >= first - tolerance)).mean())


def hull(rejected: Callable[[float], bool], middle: float, reach: float, n_steps: int, method: str) -> Interval:
    """Return the hull of the means not rejected, searched from outside inwards: a gap is not taken for an end."""
    steps = np.linspace(0.0, reach, n_steps)
    ends = []
    for sign in (-1.0, 1.0):
        near = next((step for step in steps[::-1] if not rejected(middle + sign * step)), None)
        if near is None:
            ends.append(middle)
            continue
        far = near + (steps[1] - steps[0])
        while not rejected(middle + sign * far):
            far *= 2
        for _ in range(40):
            between = (near + far) / 2
            near, far = (near, between) if rejected(middle + sign * between) else (between, far)
        ends.append(middle + sign * near)
    return Interval(min(ends), max(ends), method)
