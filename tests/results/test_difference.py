"""Two measurements of one request: the same, within, or different, and where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paribus.results.difference import DIFFERENT, SAME, WITHIN, Tolerance, compare
from paribus.results.evidence import Evidence
from paribus.results.nested import changes
from paribus.results.schema import Aggregates, Diagnostics, Result, Table

FRAME = pd.DataFrame(
    {"level": [1, 2], "delta": [0.5, np.nan], "name": ["a", None], "run_id": ["x", "y"], "duration_seconds": [1.0, 2.0]}
)


def result(frame=FRAME, **metrics):
    table = Table("noise", "One row per level.", Evidence.INTERVENTIONAL, frame)
    head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
    return Result(*head, Aggregates(mean_delta=0.4), {"noise": table}, Diagnostics(), metrics=metrics)


def verdicts(before, after, **settings):
    return {one.name: one.verdict for one in compare(before, after, **settings)}


def test_the_same_twice_is_the_same_whatever_the_run_is_called():
    other = FRAME.assign(run_id=["u", "v"], duration_seconds=[3.0, 4.0])
    assert verdicts(result(m=float("nan")), result(other, m=float("nan"))) == {
        "table noise": SAME, "metric mean_delta": SAME, "metric m": SAME,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({"delta": [0.5 + 1e-9, np.nan]}, WITHIN, "delta, row 0"),
        ({"delta": [0.5001, np.nan]}, DIFFERENT, "delta, row 0"),
        ({"delta": [0.5, 0.0]}, DIFFERENT, "delta, row 1"),
        ({"level": [1, 3]}, DIFFERENT, "level, row 1"),
        ({"level": [1.0, 2.0]}, DIFFERENT, "level, row 0"),
        ({"name": ["b", None]}, DIFFERENT, "name, row 0"),
        ({"name": ["a", "c"]}, DIFFERENT, "name, row 1"),
        ({"more": [1, 2]}, DIFFERENT, "columns"),
    ],
)
def test_what_differs_in_a_table_is_named(change, verdict, said):
    (found,) = [one for one in compare(result(), result(FRAME.assign(**change))) if one.name == "table noise"]
    assert found.verdict == verdict and said in str(found)


@pytest.mark.parametrize(
    ("dtype", "values", "other"),
    [
        ("Float64", [0.5, None], 0.75),
        ("Int64", [1, None], 2),
        ("boolean", [True, None], False),
        ("string", ["a", None], "b"),
    ],
)
def test_missing_values_of_nullable_columns_are_equal_to_each_other_alone(dtype, values, other):
    def said(*cells):
        return verdicts(result(pd.DataFrame({"x": pd.array(values, dtype=dtype)})), result(
            pd.DataFrame({"x": pd.array(cells, dtype=dtype)})
        ))["table noise"]  # fmt: skip

    assert said(*values) == SAME
    assert said(other, None) == said(values[0], other) == said(None, None) == DIFFERENT


def test_a_row_or_a_table_that_is_gone_is_different():
    assert verdicts(result(), result(FRAME[:1]))["table noise"] == DIFFERENT
    assert verdicts(result(), replace(result(), tables={}))["table noise"] == DIFFERENT
    assert verdicts(result(m=1.0), result())["metric m"] == DIFFERENT


def test_the_tolerance_is_relative_and_absolute():
    assert verdicts(result(m=100.0), result(m=100.5))["metric m"] == DIFFERENT
    assert verdicts(result(m=100.0), result(m=100.5), tolerance=Tolerance(0.01, 0.0))["metric m"] == WITHIN
    assert verdicts(result(m=1e-9), result(m=2e-9))["metric m"] == WITHIN
    assert verdicts(result(m=1.0), result(m=float("inf")))["metric m"] == DIFFERENT


def test_nested_values_differ_by_place_and_type():
    before = {"a": {"b": 1, "same": [1, {"x": None}]}, "gone": True}
    after = {"a": {"b": True, "same": [1, {"x": None}]}, "new": "text"}
    assert [str(each) for each in changes(before, after)] == [
        "a.b: 1 (whole number) -> True (yes or no)", "gone: True -> (not there)", "new: (not there) -> text",
    ]  # fmt: skip
