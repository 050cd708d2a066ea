"""Effects among several nulls, which answer different questions, and the trend beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.experiments.any._effects import COLUMNS, Reported
from paribus.methods.sweep import Swept
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.intervals import NO_SAMPLE
from paribus.stats.nulls import placed
from paribus.stats.trend import Trend

NULLS = {
    "level": "what was done",
    "null": "what the null is made of",
    "n_draws": "draws of it",
    **{name: COLUMNS[name] for name in ("mean_delta", "null_low", "null_median", "null_high", "null_percentile")},
}
"""What the columns of the table ``nulls`` mean."""


def nulls_of(epoch: int, labels: Sequence[str], found: Swept, **columns: Any) -> Iterator[pd.DataFrame]:
    """Yield the percentile of every level in each null, its own and the further ones.

    Args:
        epoch: Of the checkpoint.
        labels: The levels, without the baseline.
        found: What was measured.
        columns: Further columns, the same in all rows.
    """
    for null in (found.null, *found.further):
        if null is None:
            continue
        yield pd.DataFrame(
            {
                "epoch": epoch,
                "level": list(labels),
                **columns,
                "null": null.name,
                "n_draws": np.isfinite(null.draws).sum(1),
                "mean_delta": found.sums.means,
                **placed(found.sums.means, null.draws, scale=found.sums.scale),
            }
        )


def hand_over(to: Reported, nulls: Sequence[pd.DataFrame], each: str, **meanings: str) -> None:
    """Hand over the table ``nulls``, where there are any.

    Args:
        to: Where it goes.
        nulls: Its rows.
        each: What a row is.
        meanings: What further columns mean.
    """
    if nulls:
        says = f"{each} among several nulls: they answer different questions and may disagree."
        frame = pd.concat(nulls, ignore_index=True)
        to.recorder.table(Table("nulls", says, Evidence.INTERVENTIONAL, frame, {**NULLS, **meanings}))


def trended(found: Trend, *, complete: bool) -> dict[str, float | str]:
    """Return a trend over doses; without p where all contexts there are were measured.

    Example:
        >>> trended(Trend(30.0, p=0.01, method="exact", rho=1.0, n=3, n_clusters=3), complete=False)
        {'trend_rho': 1.0, 'trend_p': 0.01, 'trend_p_method': 'exact'}
    """
    p, method = (float("nan"), NO_SAMPLE) if complete else (found.p, found.method)
    return {"trend_rho": found.rho, "trend_p": p, "trend_p_method": method}
