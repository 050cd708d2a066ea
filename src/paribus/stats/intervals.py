"""Which interval each kind of quantity gets, its name, and when there is none; decided here alone.

Means get a cluster bootstrap (studentised below 200 clusters and where they count for fewer than 100 equal ones,
percentile from there on), shares Wilson's interval by cluster, gaps of shares Newcombe's, ratios of odds and of shares
a linearised one, pooled means one by empirical Bayes.
Nothing gets an interval from fewer than 6 clusters, or one without width because all units are equal, or one that
leaves the range of its quantity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Bools, Floats

MIN_CLUSTERS = 6
"""Below this many clusters there is no interval."""
EQUAL = 1e-6
"""An interval narrower than this fraction of its ends has no width: the difference is rounding of 32-bit numbers."""

BOOTSTRAP_T, PERCENTILE, EXACT_ZERO = "bootstrap_t", "percentile", "exact_zero"
WILSON, WILSON_BY_CLASS, NEWCOMBE = "wilson", "wilson_by_class", "newcombe"
LINEARISED, EMPIRICAL_BAYES, WELCH, FIELLER = "linearised_t", "empirical_bayes", "welch_t", "fieller"
EMPIRICAL_BAYES_SKEWED = f"{EMPIRICAL_BAYES}: skewed clusters"
"""95 % intervals cover .89 to .95 then: pooling takes means to be normal."""
NONE = "none"
NO_VALUES = f"{NONE}: nothing measured"
EQUAL_UNITS = f"{NONE}: units are equal"
ONE_CLASS = f"{NONE}: one class only"
ONE_GROUP = f"{NONE}: one group only"
NEAR_ZERO = f"{NONE}: the denominator may be 0"
ONE_DECIDES = f"{NONE}: undefined without one of the clusters"
REFERENCE = f"{NONE}: the reference itself"
DIVERGENCE = f"{NONE}: a divergence is never below 0; see its null"
NO_SAMPLE = f"{NONE}: population complete"
"""The whole population was measured: there is no inference over contexts."""

Methods = np.ndarray[Any, Any]
Bounds = tuple[float, float]
SHARE: Bounds = (0.0, 1.0)
"""Range of shares: accuracies, AUROCs, firing rates, coverages."""
SHARE_GAP: Bounds = (-1.0, 1.0)
"""Range of differences of two shares, and of correlations."""
AT_LEAST_0: Bounds = (0.0, np.inf)
"""Range of ratios, and of divergences."""
AT_MOST_0: Bounds = (-np.inf, 0.0)
"""Range of what is taken off a divergence."""


def too_few(n: int, what: str = "cluster") -> str:
    """Return the reason for a missing interval: ``none: 5 clusters``.

    Example:
        >>> too_few(5), too_few(1, "context")
        ('none: 5 clusters', 'none: 1 context')
    """
    return NO_VALUES if not n else f"{NONE}: {n} {what}{'s' if n != 1 else ''}"


def is_none(method: ArrayLike) -> Bools:
    """Return which methods say that there is no interval, element by element.

    Example:
        >>> is_none(["bootstrap_t", "none: 5 clusters"]).tolist()
        [False, True]
    """
    found = np.asarray(method, dtype=object)
    return np.array([str(each).startswith(NONE) for each in found.ravel()], dtype=np.bool_).reshape(found.shape)


def settle(
    low: ArrayLike,
    high: ArrayLike,
    method: ArrayLike | str,
    n_clusters: ArrayLike,
    *,
    bounds: Bounds | None = None,
    unit: str = "cluster",
) -> tuple[Floats, Floats, Methods]:
    """Return ends and method as they may be shown.

    NaN below 6 clusters and where the interval has no width (but for effects that are exactly 0 everywhere), cut to
    the quantity's range, and named.

    Args:
        low: Lower ends ``[rows]``.
        high: Upper ends ``[rows]``.
        method: How each was made ``[rows]``, or one name for all.
        n_clusters: Clusters that each rests on ``[rows]``, or one number for all.
        bounds: Range of the quantity; None where it has none.
        unit: What the clusters are, for the reason.

    Example:
        >>> low, high, method = settle([-0.1, 1.0, 0.2], [0.4, 1.0, 0.6], "bootstrap_t", [9, 9, 5], bounds=SHARE)
        >>> low.tolist(), method.tolist()
        ([0.0, nan, nan], ['bootstrap_t', 'none: units are equal', 'none: 5 clusters'])
    """
    lower, upper = (np.array(end, dtype=np.float64) for end in np.broadcast_arrays(low, high))
    if bounds is not None:
        lower, upper = np.clip(lower, *bounds), np.clip(upper, *bounds)
    k = np.broadcast_to(np.asarray(n_clusters, dtype=np.int64), lower.shape)
    named = np.array(np.broadcast_to(np.asarray(method, dtype=object), lower.shape), dtype=object)
    zero = named == EXACT_ZERO
    narrow = ~zero & (upper - lower <= EQUAL * np.maximum(np.abs(lower), np.abs(upper)))
    for place in np.argwhere(~zero & (k < MIN_CLUSTERS)):
        named[tuple(place)] = too_few(int(k[tuple(place)]), unit)
    named[narrow & (k >= MIN_CLUSTERS)] = EQUAL_UNITS
    unknown = ~zero & ~narrow & ~is_none(named) & (np.isnan(lower) | np.isnan(upper))
    named[unknown & (k >= MIN_CLUSTERS)] = NO_VALUES
    missing = is_none(named)
    lower[missing], upper[missing] = np.nan, np.nan
    return lower, upper, named
