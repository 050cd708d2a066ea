"""Single values per category: lines join pairs from category to category, bars are those of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.figures.draw import draw
from paribus.figures.strip import mean_interval
from paribus.results.schema import Figure

GREY = "#B8B8B8"


def made(points, bars=None):
    columns = {"x": "x", "y": "y", "pair": "seed"}
    tables = {"points": pd.DataFrame(points, columns=["x", "y", "seed"])}
    if bars is not None:
        columns |= {"mean": "mean", "low": "low", "high": "high"}
        tables["bars"] = pd.DataFrame(bars, columns=["x", "mean", "low", "high"])
    return draw(Figure("s", "strip", tuple(tables), columns, "t"), tables).axes[0]


def joined(ax):
    return [[round(float(y), 3) for y in line.get_ydata()] for line in ax.lines if line.get_color() == GREY]


def test_pairs_are_joined_across_categories():
    assert joined(made([("a", 1.0, 0), ("a", 2.0, 1), ("b", 3.0, 0), ("b", 4.0, 1)])) == [[1.0, 3.0], [2.0, 4.0]]


def test_several_points_of_a_seed_in_one_category_are_never_joined():
    assert joined(made([("a", 1.0, 0), ("a", 2.0, 0), ("b", 3.0, 1)])) == []
    assert joined(made([("a", 1.0, 0), ("a", 2.0, 0), ("b", 3.0, 0), ("c", 4.0, 0)])) == [[3.0, 4.0]]


def test_bars_are_those_of_the_second_table():
    ax = made([("a", 1.0, 0), ("a", 2.0, 1), ("b", 3.0, 0)], [("b", 3.5, 3.1, 3.9), ("a", 1.4, np.nan, np.nan)])
    bars = {float(line.get_ydata()[0]) for line in ax.lines if line.get_color() != GREY}
    assert bars == {3.5, 1.4}
    intervals = [c.get_segments()[0] for c in ax.collections if type(c).__name__ == "LineCollection"]
    assert [[end[1] for end in segment] for segment in intervals] == [[3.1, 3.9]]


def test_there_is_no_interval_of_three_values_or_of_equal_ones():
    assert np.isnan(mean_interval(np.array([1.0, 2.0, 3.0]))[1])
    assert np.isnan(mean_interval(np.full(6, 0.3))[1])
    assert mean_interval(np.arange(4.0))[1] < 1.5
