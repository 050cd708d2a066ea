"""How many runs a design needs: to be able to reject at all, and to have a given power."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import stats

from paribus.stats.few import smallest_p

MOST = 10_000
"""Runs of an arm beyond which no number is given."""
POWER = 0.8


def reach_needs(design: str, level: float) -> int | None:
    """Return the fewest pairs, or runs of each arm, with which a design can reject at a level at all.

    Args:
        design: ``paired_sign_flip``, ``label_permutation``, ``mann_whitney`` or ``fisher``.
        level: Level of the test, after adjustment.

    Example:
        >>> reach_needs("paired_sign_flip", 0.05), reach_needs("label_permutation", 0.05)
        (6, 4)
    """
    return _first(lambda n: smallest_p(design, n, n) <= level + 1e-12, 1)


def paired_power(n: int, effect: float, sd: float, level: float) -> float:
    """Return the power of a two-sided test of ``n`` paired differences, by the noncentral t distribution.

    The exact sign-flip test has nearly the same power from about 8 pairs on, and none below the number of pairs given
    by :func:`reach_needs`.

    Example:
        >>> round(paired_power(34, 0.5, 1.0, 0.05), 2)
        0.81
    """
    return _power(effect / sd * math.sqrt(n), n - 1, level)


def unpaired_power(n: int, effect: float, sd: float, level: float) -> float:
    """Return the power of a two-sided test of two arms of ``n`` runs each, with the pooled ``sd``.

    Example:
        >>> round(unpaired_power(64, 0.5, 1.0, 0.05), 2)
        0.8
    """
    return _power(effect / sd * math.sqrt(n / 2), 2 * n - 2, level)


def runs_needed(design: str, effect: float, sd: float, level: float) -> int | None:
    """Return the fewest pairs, or runs of each arm, with which a test has power :data:`POWER` at a true difference.

    Args:
        design: ``paired_sign_flip`` for paired differences with sd ``sd``; otherwise two arms with pooled sd ``sd``.
        effect: The true difference.
        sd: Standard deviation, in the same unit.
        level: Level of the test, after adjustment.

    Returns:
        None where it would be more than 10,000, where the effect is 0, the sd is not positive, or one of them is not
        finite.

    Example:
        >>> runs_needed("paired_sign_flip", 1.0, 1.0, 0.05), runs_needed("label_permutation", 1.0, 1.0, 0.05)
        (10, 17)
    """
    if not (math.isfinite(effect) and math.isfinite(sd)) or effect == 0 or sd <= 0:
        return None
    least = reach_needs(design, level)
    power_of = paired_power if design == "paired_sign_flip" else unpaired_power
    return None if least is None else _first(lambda n: power_of(n, abs(effect), sd, level) >= POWER, max(2, least))


def sd_at_most(sd: float, df: int) -> float:
    """Return the upper confidence limit of a standard deviation of normal values with ``df`` degrees of freedom.

    A pilot's sd is too small as often as too large; planning with this limit makes the planned power hold in a share
    :data:`POWER` of pilots (Browne 1995).

    Example:
        >>> round(sd_at_most(1.0, 7), 2)
        1.35
    """
    return float(sd * math.sqrt(df / stats.chi2.ppf(1 - POWER, df))) if df > 0 else math.nan


def _power(shift: float, df: int, level: float) -> float:
    if df < 1:
        return 0.0
    limit = float(stats.t.ppf(1 - level / 2, df))
    if shift - limit > 12:  # scipy's noncentral t loses its digits far out
        return 1.0
    return float(stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift))


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """Return the smallest integer from ``start`` on at which a monotone condition holds; None beyond 10,000."""
    low, high = start - 1, start
    while not holds(high):
        low, high = high, high * 2
        if low >= MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high if high <= MOST else None
