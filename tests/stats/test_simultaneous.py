"""Intervals that hold together."""

from __future__ import annotations

import numpy as np

from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.effects import effect_table
from paribus.stats.simultaneous import max_t_interval
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=400)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_all_rows_are_covered_together_where_single_intervals_are_not():
    together, single = [], []
    for seed in range(120):
        values = rng(seed).normal(size=(10, 60))
        low, high = max_t_interval(values, np.arange(60) // 2, spec=SPEC, rng=rng(seed))
        table = effect_table(
            values, np.arange(60) // 2, spec=StatsSpec(n_bootstrap=300, n_permutations=99), rng=rng(seed)
        )
        together.append(((low <= 0) & (high >= 0)).all())
        single.append(((table.ci_low <= 0) & (table.ci_high >= 0)).all())
    assert np.mean(together) >= 0.88
    assert np.mean(single) < 0.8


def test_equal_rows_cost_nothing():
    values = rng().normal(size=100)
    one_low, one_high = max_t_interval(values[None], np.arange(100), spec=SPEC, rng=rng(1))
    low, high = max_t_interval(np.tile(values, (20, 1)), np.arange(100), spec=SPEC, rng=rng(1))
    assert np.allclose(low, one_low)
    assert np.allclose(high, one_high)


def test_rows_without_support_or_effect_are_marked():
    values = rng().normal(size=(3, 80))
    values[1] = 0
    values[2, 4:] = np.nan
    low, high = max_t_interval(values, np.arange(80), spec=SPEC, rng=rng(1))
    assert low[0] < values[0].mean() < high[0]
    assert (low[1], high[1]) == (0, 0)
    assert np.isnan([low[2], high[2]]).all()


def test_many_clusters_are_joined_and_the_interval_keeps_its_centre_and_width():
    values = rng().normal(size=(2, 20_000)) + 1
    low, high = max_t_interval(values, np.arange(20_000), spec=SPEC, rng=rng(1))
    se = reduce_to_clusters(values, np.arange(20_000)).standard_errors()
    assert np.allclose((low + high) / 2, values.mean(axis=1))
    assert np.allclose((high - low) / 2 / se, 2.24, atol=0.35)
