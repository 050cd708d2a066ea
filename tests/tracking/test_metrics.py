"""Metrics as MLflow takes them: whole levels are steps, others thousandths, and what is not finite is text."""

from __future__ import annotations

import math

from paribus.results.schema import Curve
from paribus.tracking.metrics import MAX_STEP, Point, curve_points, non_finite_tag, read_non_finite, split_finite


def test_whole_levels_are_the_steps():
    found = curve_points(Curve("acc", (-3.0, 0.0, 12.0), (0.1, math.nan, 0.3)))
    assert found == [Point("curve/acc", 0.1, -3), Point("curve/acc", 0.3, 12)]


def test_other_levels_are_steps_of_a_thousandth_with_the_level_beside():
    found = curve_points(Curve("acc", (-0.25, 2.0), (0.1, 0.2), level_name="alpha"))
    assert found == [
        Point("curve_milli/acc", 0.1, -250),
        Point("curve_milli/alpha", -0.25, -250),
        Point("curve_milli/acc", 0.2, 2000),
        Point("curve_milli/alpha", 2.0, 2000),
    ]


def test_the_largest_whole_step_is_one_and_what_is_beyond_keeps_its_sign():
    assert curve_points(Curve("c", (float(MAX_STEP),), (1.0,)))[0].step == MAX_STEP
    low, _, high, _ = curve_points(Curve("c", (-1e300, 1e300), (0.0, 1.0)))
    assert low.step < -MAX_STEP / 1e6 < 0 < MAX_STEP / 1e6 < high.step == -low.step


def test_what_is_not_finite_comes_back():
    finite, others = split_finite({"a": 1.0, "b": math.inf, "c": -math.inf, "d": math.nan})
    assert finite == [Point("a", 1.0)]
    back = read_non_finite(non_finite_tag(others))
    assert (back["b"], back["c"], math.isnan(back["d"])) == (math.inf, -math.inf, True)
