"""Adding seeds honestly: tests of paired differences at declared looks, and one that holds whenever it is looked at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats
from paribus.stats.bootstrap import Interval
from paribus.stats.intervals import EQUAL_UNITS, too_few

SPENDING = 1.5
"""Exponent of the share of the level that is spent by a look: ``level * (n / last n) ** 1.5``."""
THETAS = (0.4, 0.8, 1.6)
"""Sizes of the drifts, in standard deviations of a difference, that the e-process bets on, in both directions."""
LEAST_PAIRS = 8
"""Fewest pairs with an interval of the e-process: below, it is unbounded."""
MOST_ENUMERATED = 20
"""Pairs up to which all signs are enumerated; above, they are drawn."""
TOLERANCE = 1e-9
E_PROCESS = "sign_flip_e_process"
DECLARED_LOOKS = "declared_looks"


@dataclass(frozen=True)
class Look:
    """The test at one declared look.

    Attributes:
        n: Pairs so far.
        level: Share of sign patterns that this look and those before it may reject together.
        mean: Mean difference of these pairs.
        p: Share of sign patterns that earlier looks reject, or that are as extreme here: reject where it is at most
            ``level``. It is the p-value of a study that stops here.
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
        [0.0096, 0.0177, 0.05]
    """
    return tuple(level * (n / looks[-1]) ** SPENDING for n in looks)


def declared_looks(
    differences: ArrayLike,
    looks: Sequence[int],
    *,
    levels: Sequence[float] | None = None,
    rng: np.random.Generator | None = None,
    n_permutations: int = 99_999,
) -> list[Look]:
    """Test paired differences at looks that were declared before, by flipping signs, two-sided.

    A look rejects if the absolute sum of the differences is among the largest of the sign patterns that no earlier
    look rejects, as many as keep the share rejected by all looks so far within the cumulative level (group-sequential
    testing with a spent level, Lan and DeMets 1983, on the enumerated permutation distribution). Under differences
    that are symmetric about 0 the chance that any look rejects is at most the last level.

    Args:
        differences: Paired differences in the order in which they count, as far as there are any [n].
        looks: After how many pairs is looked, rising; those that are not reached yet are left out of the result.
        levels: Cumulative level of each look; None: :func:`spending` of .05.
        rng: Draws signs where there are more than 20 pairs.
        n_permutations: How many are drawn.

    Raises:
        ValueError: If looks or levels do not rise, a difference is missing, or a generator is needed and missing.

    Example:
        >>> [look.rejects for look in declared_looks([1.0, 2.0, 1.5, 0.5, 1.0, 2.0, 1.1, 0.9], [4, 8])]
        [False, True]
    """
    values = _checked(differences)
    wanted = spending(looks) if levels is None else tuple(levels)
    for name, given in (("looks", tuple(looks)), ("levels", wanted)):
        if not given or given[0] <= 0 or any(b <= a for a, b in itertools.pairwise(given)):
            raise ValueError(f"{name} must rise and be positive, got {list(given)}")
    if len(wanted) != len(looks) or wanted[-1] >= 1:
        raise ValueError(f"levels: {len(wanted)} for {len(looks)} looks; give one below 1 for each")
    reached = [n for n in looks if n <= len(values)]
    if not reached:
        return []
    values = values[: reached[-1]]
    sizes, signs = np.abs(values), _signs(values, rng, n_permutations)
    alive: Bools = np.ones(len(signs), bool)
    found: list[Look] = []
    before = False
    for n, level in zip(reached, wanted, strict=False):
        sums = np.abs(signs[:, :n] @ sizes[:n])
        tolerance = TOLERANCE * sizes[:n].sum()
        observed = abs(float(values[:n].sum()))
        spent = float((~alive).mean())
        p = spent + float((alive & (sums >= observed - tolerance)).mean())
        rejects = before or p <= level + 1e-12
        found.append(Look(n, level, float(values[:n].mean()), min(1.0, p), rejects))
        alive &= ~_rejected(sums, alive, level, tolerance)
        before = rejects
    return found


def _rejected(sums: Floats, alive: Bools, level: float, tolerance: float) -> Bools:
    """Return the patterns that a look rejects: the largest of those alive, ties together, within the level."""
    n = len(sums)
    left = math.floor(level * n + 1e-9) - int((~alive).sum())
    order = np.sort(sums[alive])[::-1]
    if left <= 0 or not len(order):
        return np.zeros(n, bool)
    if left >= len(order):
        return alive.copy()
    # ties with the first one that is not rejected are not rejected either
    return np.asarray(alive & (sums > order[left] + tolerance))


def _signs(values: Floats, rng: np.random.Generator | None, drawn: int) -> Floats:
    """Return sign patterns ``[m, n]``: all of them up to a common flip, or that of the data and drawn ones."""
    n = len(values)
    if n <= MOST_ENUMERATED:
        patterns = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)[None] & 1
        return np.concatenate([np.ones((len(patterns), 1)), 1.0 - 2.0 * patterns], axis=1)
    if rng is None:
        raise ValueError(f"{n} pairs are too many to enumerate every sign: pass a generator")
    signs = 1.0 - 2.0 * rng.integers(0, 2, size=(drawn, n)).astype(np.float64)
    return np.concatenate([np.where(values < 0, -1.0, 1.0)[None], signs])


def e_value(differences: ArrayLike, mean: float = 0.0) -> Floats:
    """Return the sign-flip e-process for a stated mean after each pair ``[n]``.

    With ``d_i = x_i - mean`` and ``s_i^2`` the mean of ``d_j^2`` up to i, it is the mean over theta in
    +-{.4, .8, 1.6} of the products of ``exp(theta d_i / s_i) / cosh(theta d_i / s_i)``: a martingale where the
    differences are symmetric about the mean, given their sizes (Ramdas et al. 2020, arXiv 2009.03167; Howard et al.
    2021). It may be looked at after every pair: reject where it reaches ``1 / level``.

    Args:
        differences: Paired differences in the order of their seeds, never of finishing [n].
        mean: The mean that is tested.

    Example:
        >>> bool(e_value(np.ones(12))[-1] > 20), bool(e_value([1.0, -1.0] * 6)[-1] < 1)
        (True, True)
    """
    d = _checked(differences) - mean
    scale = np.sqrt(np.cumsum(d**2) / np.arange(1, len(d) + 1))
    z = np.divide(d, scale, out=np.zeros_like(d), where=scale > 0)
    thetas = np.array([*THETAS, *(-theta for theta in THETAS)])[:, None] * z[None]
    steps = thetas - np.logaddexp(thetas, -thetas) + math.log(2.0)
    return np.asarray(np.exp(np.cumsum(steps, axis=1)).mean(axis=0))


def e_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the means that the e-process does not reject (their hull), valid however many pairs were waited for.

    Args:
        differences: Paired differences in the order of their seeds [n].
        confidence: Its coverage, over all times at once.

    Returns:
        Method ``none: ...`` below eight pairs, or where all differences are equal.

    Example:
        >>> found = e_interval(np.random.default_rng(0).normal(2.0, 1.0, 20))
        >>> bool(found.low < 2.0 < found.high), found.method
        (True, 'sign_flip_e_process')
    """
    values = _checked(differences)
    if len(values) < LEAST_PAIRS:
        return Interval(math.nan, math.nan, too_few(len(values), "pair"))
    middle, spread = float(np.median(values)), float(np.ptp(values))
    if spread == 0:
        return Interval(math.nan, math.nan, EQUAL_UNITS)
    most = 1 / (1 - confidence)

    def rejected(mean: float) -> bool:
        return bool(e_value(values, mean)[-1] >= most)

    # The hull: from far outside inwards, so that a gap within is not taken for an end.
    steps = np.linspace(0.0, 3.0, 601) * spread
    ends = []
    for sign in (-1.0, 1.0):
        inside = [step for step in steps if not rejected(middle + sign * step)]
        if not inside:
            ends.append(middle)
            continue
        near = inside[-1]
        far = near + (steps[1] - steps[0])
        while not rejected(middle + sign * far):
            far *= 2
        for _ in range(40):
            between = (near + far) / 2
            near, far = (near, between) if rejected(middle + sign * between) else (between, far)
        ends.append(middle + sign * near)
    return Interval(min(ends), max(ends), E_PROCESS)


def _checked(differences: ArrayLike) -> Floats:
    found = np.asarray(differences, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"differences must be a non-empty list of finite numbers, got {found.tolist()}")
    return found
