"""Intervals that hold together."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.stats.clusters import ClusterSums, reduce_to_clusters
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


def sparse(responding: int, n_rows: int) -> np.ndarray:
    """Rows of 40 clusters of which few respond."""
    rows = np.zeros((n_rows, 40))
    for row, draw in zip(rows, (rng(9 + number) for number in range(n_rows)), strict=True):
        row[draw.choice(40, responding, replace=False)] = 1 + 0.3 * draw.normal(size=responding)
    return rows


def widths(values: np.ndarray) -> np.ndarray:
    low, high = max_t_interval(values, np.arange(40), spec=StatsSpec(n_bootstrap=1000), rng=rng(1))
    assert np.isfinite(low).all()
    return (high - low)[:15]


@pytest.mark.parametrize("responding", [1, 3, 5])
def test_rows_that_cannot_be_established_widen_no_other(responding):
    values = rng().normal(size=(15, 40))
    assert np.allclose(widths(np.concatenate([values, sparse(responding, 3)])), widths(values))  # before: 3 times


def test_rows_that_few_clusters_move_widen_others_no_more_than_rows_of_their_own_kind():
    values = rng().normal(size=(25, 40))
    alike, odd = widths(values), widths(np.concatenate([values[:15], sparse(6, 10)]))
    assert 0.9 < np.median(odd / alike) < 1.2  # before: 1.9


def test_a_row_of_which_one_cluster_has_half_widens_no_other():
    values, counts = rng().normal(size=(20, 40)), np.ones((20, 40))
    plain = ClusterSums(values, counts, np.ones(20))
    large = counts.copy()
    large[17:, 0] = 39
    uneven = ClusterSums(values * large, large, np.ones(20))
    found = [
        (high - low)[:17]
        for low, high in (
            max_t_interval(each, [], spec=StatsSpec(n_bootstrap=1000), rng=rng(1)) for each in (plain, uneven)
        )
    ]
    assert np.median(found[1] / found[0]) < 1.1  # before: 2


def test_a_row_outside_of_the_family_keeps_at_least_its_own_interval():
    values = np.concatenate([rng().normal(size=(6, 40)), sparse(1, 1), sparse(4, 1)])
    table = effect_table(values, np.arange(40), spec=SPEC, rng=rng(1))
    assert (table.ci_adj_low <= table.ci_low).all() and (table.ci_adj_high >= table.ci_high).all()


def test_a_family_of_rows_that_cannot_be_established_has_intervals():
    table = effect_table(sparse(3, 4), np.arange(40), spec=SPEC, rng=rng(1))
    assert np.isfinite(table[["ci_adj_low", "ci_adj_high"]]).all(axis=None)
