"""Adjustment of p-values over a family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats


def together(confidence: float, rows: int) -> float:
    """Return the confidence of each of ``rows`` intervals that hold together with ``confidence`` (Bonferroni).

    Right under any dependence of the rows; :mod:`paribus.stats.simultaneous` uses theirs where rows share resamples.

    Example:
        >>> round(together(0.95, 10), 4), together(0.95, 0)
        (0.995, 0.95)
    """
    return 1 - (1 - confidence) / max(1, rows)


def adjust(p: ArrayLike, method: str = "bh") -> Floats:
    """Return adjusted p-values over one family, in the given order.

    Args:
        p: Raw p-values, any shape; NaN (no test was made) stays NaN and does not count in the family.
        method: ``bh`` bounds the false discovery rate under independence or positive dependence (Benjamini and
            Hochberg 1995), ``holm`` the family-wise error under any dependence (Holm 1979).

    Raises:
        ValueError: If a p-value lies outside [0, 1] or the method is unknown.

    Example:
        >>> [round(float(p), 3) for p in adjust([0.01, 0.02, 0.9])]
        [0.03, 0.03, 0.9]
        >>> [round(float(p), 3) for p in adjust([0.01, 0.02, 0.9], "holm")]
        [0.03, 0.04, 0.9]
    """
    raw = np.asarray(p, dtype=np.float64)
    tested = raw[~np.isnan(raw)]
    if ((tested < 0) | (tested > 1)).any():
        raise ValueError(f"p-values must lie in [0, 1], got {tested.min():g} to {tested.max():g}")
    m = len(tested)
    order = np.argsort(tested, kind="stable")
    rank = np.arange(1, m + 1)
    if method == "bh":
        ascending = np.minimum.accumulate((tested[order] * (m / rank))[::-1])[::-1]
    elif method == "holm":
        ascending = np.maximum.accumulate(tested[order] * (m - rank + 1))
    else:
        raise ValueError(f"method must be 'bh' or 'holm', got {method!r}")
    back = np.empty(m)
    back[order] = np.minimum(ascending, 1.0)
    adjusted = np.full(raw.shape, np.nan)
    adjusted[~np.isnan(raw)] = back
    return adjusted


def holm_confidences(p: ArrayLike, confidence: float) -> Floats:
    """Return for each p the confidence of the interval that agrees with Holm's decision on it.

    Holm compares the ``i``-th smallest of ``m`` with ``(1 - confidence) / (m - i + 1)`` and stops at the first that is
    larger. What it rejected gets the level it was rejected at (equal p-values the strictest of theirs), all others the
    level at which it stopped. An interval that inverts the test of ``p`` at this confidence leaves 0 out if and only if
    the adjusted p is at most ``1 - confidence``. The intervals do not cover all at once; for that, every one would
    need ``1 - (1 - confidence) / m``.

    Args:
        p: Raw p-values, any shape; NaN (no test was made) stays NaN and does not count in the family.
        confidence: Of the family.

    Example:
        >>> [round(float(c), 4) for c in holm_confidences([0.001, 0.2, 0.9], 0.95)]
        [0.9833, 0.975, 0.975]
    """
    raw = np.asarray(p, dtype=np.float64)
    tested = raw[~np.isnan(raw)]
    m, alpha = len(tested), 1 - confidence
    order = np.argsort(tested, kind="stable")
    levels = alpha / (m - np.arange(m))
    kept = np.flatnonzero(tested[order] > levels + 1e-12)
    stopped = int(kept[0]) if len(kept) else m
    own = np.empty(m)
    own[order] = np.where(np.arange(m) < stopped, levels, levels[min(stopped, m - 1)] if m else alpha)
    for value in np.unique(tested):
        own[tested == value] = own[tested == value].min()
    found = np.full(raw.shape, np.nan)
    found[~np.isnan(raw)] = 1 - own
    return found


def bh_confidences(p: ArrayLike, confidence: float) -> Floats:
    """Return for each p the confidence of the interval that agrees with the decision of Benjamini and Hochberg on it.

    Of ``m`` tests they reject the ``k`` smallest; every interval then gets the level ``k (1 - confidence) / m``
    (Benjamini and Yekutieli 2005), at which the share of intervals of rejected rows that miss is bounded. With none
    rejected ``k`` is 1. An interval that inverts the test of ``p`` leaves 0 out if and only if the adjusted p is at
    most ``1 - confidence``.

    Args:
        p: Raw p-values, any shape; NaN (no test was made) stays NaN and does not count in the family.
        confidence: Of the family.

    Example:
        >>> [round(float(c), 4) for c in bh_confidences([0.001, 0.02, 0.9], 0.95)]
        [0.9667, 0.9667, 0.9667]
    """
    raw = np.asarray(p, dtype=np.float64)
    tested = ~np.isnan(raw)
    m, alpha = int(tested.sum()), 1 - confidence
    rejected = int((adjust(raw, "bh")[tested] <= alpha + 1e-12).sum())
    return np.where(tested, 1 - alpha * max(1, rejected) / max(1, m), np.nan)
