"""What an experiment declares for a comparison to read."""

from __future__ import annotations

import dataclasses

from paribus.results.endpoint import CHANGE, Companion, Endpoint
from paribus.stats.intervals import SHARE_GAP

PLAIN = Endpoint(
    name="swap",
    label="Swap",
    table="swaps",
    value="mean",
    low="ci_low",
    high="ci_high",
    unit="sd",
    zero=True,
    rows={"split": "ood"},
    choices=("method",),
)


def test_every_column_that_is_read_is_named():
    assert PLAIN.columns == ("split", "method", "epoch", "mean", "ci_low", "ci_high")
    names = [f.name for f in dataclasses.fields(Companion)]
    beside = Companion(**{name: name for name in names})
    assert dataclasses.replace(PLAIN, ranking=beside).columns == (*PLAIN.columns, beside.value, beside.low, beside.high)


def test_a_change_of_a_share_has_the_range_of_a_gap_of_shares():
    assert CHANGE == SHARE_GAP == (-1.0, 1.0)
