"""The comparison of devices: what counts as rounding, and what does not."""

from __future__ import annotations

import math

import pytest
from benchmarks.devices import column_gap, gaps


def result(**columns):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return {"tables": {"t": {"columns": list(columns), "rows": rows}}}


@pytest.mark.parametrize(
    ("name", "a", "b", "kind", "outside"),
    [
        ("delta", [1.0, 0.5], [1.0, 0.501], "values", False),
        ("delta", [1.0, 0.5], [1.0, 0.6], "values", True),
        ("ci_low", [1.0, 0.5], [1.0, 0.52], "intervals", False),
        ("p_adj", [0.04, 1.0], [0.05, 1.0], "p", False),
        ("p_adj", [0.01, 1.0], [0.05, 1.0], "p", True),
        ("null_percentile", [50.0], [52.5], "percentile", False),
        ("null_percentile", [50.0], [60.0], "percentile", True),
        ("verdict", ["yes"] * 100, ["yes"] * 99 + ["no"], "texts", False),
        ("verdict", ["yes", "no"], ["yes", "yes"], "texts", True),
        ("n", [60, 60], [60, 59], "texts", True),
        ("delta", [1.0, None], [1.0, None], "values", False),
        ("delta", [1.0, None], [1.0, 0.2], "texts", True),
    ],
)
def test_columns_have_tolerances_of_their_kind(name, a, b, kind, outside):
    gap = column_gap(f"t.{name}", a, b)
    assert (gap.kind, gap.is_outside) == (kind, outside)


def test_a_missing_table_or_row_is_outside():
    whole = result(delta=[1.0, 2.0])
    assert all(gap.is_outside for gap in gaps(whole, {"tables": {}}))
    assert all(gap.is_outside for gap in gaps(whole, result(delta=[1.0])))
    assert next(gaps(whole, result(delta=[1.0]))).size == math.inf
    assert not any(gap.is_outside for gap in gaps(whole, whole))
