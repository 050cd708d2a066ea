"""A test that is valid at any time, however seeds are added: the sign-flip e-process."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats
from paribus.stats.bootstrap import Interval
from paribus.stats.few import complete, spread
from paribus.stats.intervals import EQUAL_UNITS, NONE, too_few
from paribus.stats.inversion import EQUAL
from paribus.stats.sequential import hull

THETAS = (0.4, 0.8, 1.6)
"""Sizes of the effects, in standard deviations of a difference, that the e-process bets on, in both directions."""
LEAST_PAIRS = 8
"""Fewest pairs with an interval of the e-process: below, it is unbounded at 95 %."""
UNBOUNDED = f"{NONE}: no mean is far enough to be rejected by so few pairs at this level"
E_PROCESS = "sign_flip_e_process"


def smallest_e_p(n: int) -> float:
    """Return a bound of the p that the e-process can reach with so many pairs, whatever the data.

    A difference is at most ``sqrt(i)`` times the root mean square of the ``i`` so far.

    Example:
        >>> smallest_e_p(8) < 0.05 < smallest_e_p(4)
        True
    """
    z = np.sqrt(np.arange(1, n + 1, dtype=np.float64))
    return float(min(1.0, 1.0 / _e_values(z)[-1]))


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
    d = complete(differences, "differences") - mean
    scale = np.sqrt(np.cumsum(d**2) / np.arange(1, len(d) + 1))
    return _e_values(np.divide(d, scale, out=np.zeros_like(d), where=scale > 0))


def _e_values(z: Floats) -> Floats:
    thetas = np.array([*THETAS, *(-theta for theta in THETAS)])[:, None] * z[None]
    steps = thetas - np.logaddexp(thetas, -thetas) + math.log(2.0)
    return np.asarray(np.exp(np.cumsum(steps, axis=1)).mean(axis=0))


def e_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the means that the e-process does not reject (their hull), valid at any stopping time.

    Args:
        differences: Paired differences in the order of their seeds [n].
        confidence: Its coverage, over all times at once.

    Returns:
        Method ``none: ...`` below eight pairs, where all differences are equal, or where not even a mean far from
        all of them is rejected: the interval is unbounded (of 8 pairs above 97.6 %, as many adjusted ones are).

    Example:
        >>> found = e_interval(np.random.default_rng(0).normal(2.0, 1.0, 20))
        >>> bool(found.low < 2.0 < found.high), found.method
        (True, 'sign_flip_e_process')
    """
    values = complete(differences, "differences")
    if len(values) < LEAST_PAIRS:
        return Interval(math.nan, math.nan, too_few(len(values), "pair"))
    middle, reach = float(np.median(values)), float(np.ptp(values))
    if spread(values) == 0:
        return Interval(math.nan, math.nan, EQUAL_UNITS)
    most = 1 / (1 - confidence)
    if _e_values(np.ones(len(values)))[-1] <= most * (1 + EQUAL):  # what a mean far away comes to
        return Interval(math.nan, math.nan, UNBOUNDED)

    def rejected(mean: float) -> bool:
        return bool(e_value(values, mean)[-1] >= most)

    return hull(rejected, middle, 3.0 * reach, 601, E_PROCESS)
