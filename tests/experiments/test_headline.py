"""Headline metrics carry the ends of their intervals, so that a run list can show them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from paribus.experiments import headline as headline
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_group_analysis import WeaponGroupAnalysis
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.recording import MemoryRecorder
from paribus.results.estimates import estimates
from paribus.results.hypothesis import COMPLETE


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


@pytest.fixture
def frame():
    """Three rows of effects; the last one is the largest, and was not tested."""
    known = {"mean_delta": [0.5, -2.0, 9.0], "p": [0.2, 0.01, math.nan]}
    return pd.DataFrame(known | {"ci_adj_low": [-1.0, -3.0, math.nan], "ci_adj_high": [2.0, -1.0, math.nan]})


def test_the_largest_row_comes_with_the_interval_that_holds_for_all(recorder, frame):
    assert headline.largest(recorder, "max_effect", frame[:2]) == 1
    assert recorder.metrics == {"max_effect": -2.0, "max_effect_ci_adj_low": -3.0, "max_effect_ci_adj_high": -1.0}
    sizes = MemoryRecorder()
    headline.largest_size(sizes, "max_effect", frame[:2])
    assert sizes.metrics == {"max_effect": 2.0, "max_effect_ci_adj_low": 1.0, "max_effect_ci_adj_high": 3.0}
    assert not recorder.diagnostics.warnings


def test_a_larger_row_that_was_not_tested_is_not_the_headline_but_said(recorder, frame):
    assert headline.largest(recorder, "max_effect", frame) == 1
    assert recorder.metrics["max_effect"] == -2.0
    said = "max_effect is the largest of the 2 rows that were tested; 1 that was not tested is larger"
    assert recorder.diagnostics.warnings == (said,)


def test_of_rows_none_of_which_was_tested_the_largest_measured_is_kept_without_interval(recorder, frame):
    untested = frame.assign(p=math.nan, ci_adj_low=math.nan, ci_adj_high=math.nan)
    assert headline.largest(recorder, "max_effect", untested) == 2
    assert recorder.metrics == {"max_effect": 9.0}
    (said,) = recorder.diagnostics.warnings
    assert "none was tested" in said
    complete = MemoryRecorder()
    headline.largest(complete, "max_effect", untested.assign(established=COMPLETE))
    assert complete.metrics == {"max_effect": 9.0} and not complete.diagnostics.warnings


def test_where_nothing_was_measured_there_is_no_headline(recorder, frame):
    assert headline.largest(recorder, "max_effect", frame.assign(mean_delta=math.nan)) is None
    assert headline.largest_size(recorder, "max_effect", frame[:0]) is None
    assert not recorder.metrics


@pytest.mark.parametrize(
    ("experiment", "table"),
    [(BinaryPresenceEffect(), "binary_effects"), (TokenInfluenceSweep(high_quantile=0.9), "influence")],
)
def test_rows_that_were_not_tested_are_no_headline_of_a_run(planted_run, experiment, table):
    result, _ = planted_run(experiment, "noisy", n_builds=100, stats={"n_null": 0})
    frame = result.tables[table].frame
    sizes, tested = frame["mean_delta"].abs(), frame["p"].notna()
    assert 0 < sizes[tested].max() < sizes.max(), "a row that was not tested is larger"
    assert abs(result.metrics["max_effect"]) == sizes[tested].max()
    assert any(warning.startswith("max_effect") for warning in result.diagnostics.warnings)


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


@pytest.mark.parametrize(
    ("experiment", "metric", "table", "of"),
    [
        (WeaponGroupAnalysis(), "max_log_odds", "weapon_enrichment", "odds"),
        (FrequentItemsets(max_itemsets=20), "top_lift", "itemsets", "lift"),
    ],
)
def test_an_observed_headline_comes_with_the_interval_that_holds_for_all(planted_run, experiment, metric, table, of):
    result, _ = planted_run(experiment, "dose", stats={"n_null": 0, "n_permutations": 199})
    frame, found = result.tables[table].frame, result.metrics
    value = {"odds": "odds_ratio", "lift": "lift"}[of]
    place = 0 if of == "lift" else int(np.log(frame[value]).abs().argmax())
    row = frame[[value, f"{of}_adj_low", f"{of}_adj_high"]].iloc[place]
    numbers = row.to_numpy(dtype=float) if of == "lift" else np.log(row.to_numpy(dtype=float))
    expected = numbers if numbers[0] >= 0 else -numbers[[0, 2, 1]]
    assert [found[metric], found[f"{metric}_ci_adj_low"], found[f"{metric}_ci_adj_high"]] == pytest.approx(expected)
    (card,) = (each for each in estimates(result) if each.name == metric)
    assert card.has_interval and card.low < card.value < card.high
