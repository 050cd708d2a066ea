"""Headline metrics carry the ends of their intervals, so that a run list can show them."""

from __future__ import annotations

import math

import pytest

from paribus.experiments import headline as headline
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.recording import MemoryRecorder


@pytest.fixture
def recorder():
    return MemoryRecorder()


def test_a_number_stands_beside_the_ends_of_its_interval(recorder):
    headline.estimate(recorder, "delta", 0.25, 0.125, 0.5)
    assert recorder.metrics == {"delta": 0.25, "delta_ci_low": 0.125, "delta_ci_high": 0.5}


@pytest.mark.parametrize("ends", [(math.nan, math.nan), (0.0, math.nan), (0.25, 0.25), (-math.inf, 1.0)])
def test_an_interval_that_is_none_is_left_out(recorder, ends):
    headline.estimate(recorder, "delta", 0.25, *ends)
    assert recorder.metrics == {"delta": 0.25}


def test_the_largest_row_comes_with_the_interval_that_holds_for_all(recorder):
    row = {"mean_delta": -2.0, "ci_low": -2.5, "ci_high": -1.5, "ci_adj_low": -3.0, "ci_adj_high": -1.0}
    headline.largest(recorder, "max_effect", row)
    assert recorder.metrics == {"max_effect": -2.0, "max_effect_ci_adj_low": -3.0, "max_effect_ci_adj_high": -1.0}
    sizes = MemoryRecorder()
    headline.largest_size(sizes, "max_effect", row)
    assert sizes.metrics == {"max_effect": 2.0, "max_effect_ci_adj_low": 1.0, "max_effect_ci_adj_high": 3.0}


@pytest.mark.parametrize(
    ("experiment", "table", "metric"),
    [
        (TokenInfluenceSweep(unit="family", high_quantile=0.9, influence_contexts=100), "influence", "max_effect"),
        (WeaponSweep(swap_contexts=60, reference_weapons=5), "weapon_swaps", "max_swap_effect"),
    ],
)
def test_the_metric_is_a_row_of_the_table(planted_run, experiment, table, metric):
    result, _ = planted_run(experiment, "noisy")
    frame, found = result.tables[table].frame, result.metrics
    row = frame.loc[frame["mean_delta"].abs().idxmax()]
    assert abs(found[metric]) == abs(row["mean_delta"])
    assert found[f"{metric}_ci_adj_low"] < found[metric] < found[f"{metric}_ci_adj_high"]
    ends = {abs(found[f"{metric}_ci_adj_low"]), abs(found[f"{metric}_ci_adj_high"])}
    assert ends == {abs(row["ci_adj_low"]), abs(row["ci_adj_high"])}
