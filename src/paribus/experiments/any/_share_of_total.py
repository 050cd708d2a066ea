"""How much of the whole difference between donors and contexts a patch brings."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.experiments.any._session import At
from paribus.results.columns import interval
from paribus.stats.clusters import ClusterSums
from paribus.stats.intervals import EQUAL_UNITS
from paribus.stats.ratios import LEAST_ERRORS, ratios_to

COLUMNS = {
    "total": "mean difference of the donors, whole, to the contexts: what patching everything would do",
    "share": f"mean_delta / total, a ratio of means; missing where total is within {LEAST_ERRORS} standard errors of 0",
    **interval("share", "its 95 % interval over clusters"),
}


def shares_of_total(
    at: At, total: ClusterSums, sums: ClusterSums, between: str, *, rounding: float = 0.0
) -> list[dict[str, Any]]:
    """Return the columns of each row.

    Args:
        at: Where it was measured.
        total: The whole difference, one row.
        sums: What the patches do.
        between: What differs, in words.
        rounding: An interval narrower than this, over the share, is none: patching everything brings the whole
            difference but for the rounding of the number format.
    """
    share = ratios_to(
        *(total, sums),
        spec=at.setup.stats,
        rng=at.setup.rng("shares"),
        otherwise=f"{between} differ by less than {LEAST_ERRORS} standard errors in the readout",
        complete=at.rows.complete,
    )
    still = (share.value != 0) & (share.high - share.low <= rounding * np.abs(share.value))
    low, high = (np.where(still, np.nan, end) + 0.0 for end in (share.low, share.high))
    method = np.where(still, EQUAL_UNITS, share.method)
    columns: dict[str, list[Any]] = {
        "total": [float(total.means[0])] * len(low),
        "share": (share.value + 0.0).tolist(),
        "share_low": low.tolist(),
        "share_high": high.tolist(),
        "share_method": method.tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
