"""What sums a steering curve up: it cannot miss an effect, and its intervals cover."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.experiments.shortcut._responses import area, area_interval, in_sd, slopes
from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.stats.spec import StatsSpec

_PLACE = Path(__file__).parents[2] / "planted" / "toy_shortcut.py"
_SPEC = importlib.util.spec_from_file_location("toy_shortcut", _PLACE)
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run
STATS = StatsSpec(n_bootstrap=200)


@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 2)), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_area_is_that_of_the_drawn_curve(values):
    levels = np.cumsum(np.arange(1.0, len(values) + 1))
    fine = np.linspace(levels[0], levels[-1], 200_001)
    brute = np.mean(np.abs(np.interp(fine, levels, values)))
    assert float(area(levels, np.array(values))) == pytest.approx(float(brute), abs=1e-4)


def test_rows_are_summed_up_together():
    values = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, -1.0]])
    assert area([-1, 0, 1], values).tolist() == [0.5, 0.5]
    assert slopes([-1.0, 0.0, 2.0], np.array([[1.0, 4.0], [2.0, 4.0], [4.0, 4.0]])).tolist() == pytest.approx(
        [1.0, 0.0]
    )


def peaked():
    """A toy whose OOD accuracy is best unsteered and falls alike on both sides."""
    toy = Toy(n=2000, seed=3, label_gap=3.0)
    h, labels = toy.features("ood"), toy.labels("ood")
    raw = h @ toy.weight[1]
    cut = np.sort(raw)[int((labels == 0).sum())]
    toy.bias = np.array([0.0, -float(cut)])
    return toy


def test_a_curve_that_peaks_in_the_middle_is_not_missed():
    """``acc(+max) - acc(-max)`` is next to 0 there, whatever steering does."""
    found = run(
        ActivationSteering(directions=["mean_difference"], alphas=[-6.0, -3.0, 0.0, 3.0, 6.0]), peaked().setup()
    )
    custom, row = found[0].custom, found[1].tables["responses"].frame.iloc[0]
    assert abs(custom["delta_acc"]) < 0.1
    assert row["accuracy_area"] > 0.15 and row["accuracy_area_ci_low"] > 0.1
    assert row["slope_in_sd"] > 0.3 and row["slope_ci_low"] > 0.2
    assert custom["margin_slope_in_sd"] == row["slope_in_sd"] and custom["accuracy_area"] == row["accuracy_area"]


def test_the_slope_of_the_margin_is_the_analytic_one():
    toy = Toy(n=1000, seed=1)
    found = run(ActivationSteering(directions=["mean_difference"]), toy.setup())
    row = found[1].tables["responses"].frame.iloc[0]
    table = found[1].tables["sweep"].frame.sort_values("alpha")
    moved = (table["mean_margin"].iloc[-1] - table["mean_margin"].iloc[0]) / 6.0
    assert row["margin_slope"] == pytest.approx(moved)
    assert row["slope_in_sd"] == pytest.approx(moved / toy.margins(toy.features("ood")).std())
    assert row["slope_null_percentile"] > 80  # of eight dimensions the head reads two


def test_in_front_of_a_linear_head_the_ranking_does_not_move_at_all():
    row = run(ActivationSteering(), Toy(n=600, seed=1).setup())[1].tables["responses"].frame.iloc[0]
    assert row["threshold_only"] and row["auroc_area"] == 0.0 and row["accuracy_area"] > 0


def test_the_slope_in_sd_covers():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(120):
        centre = rng.normal(0, 0.5, 40)
        clusters = np.repeat(np.arange(40), 4)
        shifts = 0.6 + 0.3 * centre[clusters] + 0.2 * rng.normal(size=160)
        margins = 2.0 * (centre[clusters] + np.sqrt(0.75) * rng.normal(size=160))
        found = in_sd(shifts, margins[None], clusters, spec=STATS, rng=rng)
        hits += found.low <= 0.3 <= found.high
    assert 0.88 <= hits / 120 <= 0.99


def test_the_area_stays_within_what_an_accuracy_can_move():
    rng = np.random.default_rng(1)
    moved = np.sign(rng.normal(size=(60, 3))) * np.array([1.0, 0.0, 1.0])
    found = area_interval([-1, 0, 1], moved.mean(0), moved - moved.mean(0), np.arange(60), spec=STATS, rng=rng)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert area_interval([-1, 0, 1], np.zeros(3), np.zeros((60, 3)), np.arange(60), spec=STATS, rng=rng).value == 0
