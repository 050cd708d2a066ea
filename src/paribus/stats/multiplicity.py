"""Adjustment of p-values over a family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paribus.stats.clusters import FloatArray


def adjust(p: ArrayLike, method: str = "bh") -> FloatArray:
    """Return adjusted p-values over one family, in the given order.

    Args:
        p: Raw p-values, any shape; NaN (no test was made) stays NaN and does not count in the family.
        method: ``bh`` bounds the false discovery rate under independence or positive dependence (Benjamini and
            Hochberg 1995), ``holm`` the family-wise error under any dependence (Holm 1979).

    Raises:
        ValueError: If a p-value lies outside [0, 1] or the method is unknown.
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
