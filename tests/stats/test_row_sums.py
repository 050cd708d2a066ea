"""Sums over clusters that come in blocks: the same as all at once, and no more memory with more contexts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.stats.clusters import MAX_UNITS, reduce_to_clusters
from paribus.stats.effects import effect_table
from paribus.stats.row_sums import LevelTotals, RowSums
from paribus.stats.spec import StatsSpec


def values_of(draw: np.random.Generator, rows: int, n: int) -> np.ndarray:
    values = draw.normal(size=(rows, n)) * draw.choice([1.0, 1e6], size=(rows, 1))
    values[draw.random((rows, n)) < 0.2] = np.nan
    values[0] = 0.0
    return values


def in_blocks(values: np.ndarray, clusters: np.ndarray, draw: np.random.Generator, n_blocks: int) -> RowSums:
    sums = RowSums(len(values), clusters, np.random.default_rng(0))
    for columns in np.array_split(draw.permutation(values.shape[1]), n_blocks):
        sums.add(values[:, columns], columns)
    return sums


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 1500), n_blocks=st.integers(1, 40), k=st.integers(1, 60))
def test_blocks_give_what_all_at_once_gives(seed, n, n_blocks, k):
    draw = np.random.default_rng(seed)
    values, clusters = values_of(draw, 4, n), draw.integers(0, k, n)
    found, expected = in_blocks(values, clusters, draw, n_blocks).result(), reduce_to_clusters(values, clusters)
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.sd, expected.sd, rtol=1e-9)
    assert found.joined is None
    assert (found.sums[0] == 0).all() and np.nan_to_num(found.sd[0]) == 0


def test_many_clusters_are_joined_and_still_counted():
    draw = np.random.default_rng(1)
    clusters = np.repeat(np.arange(2 * MAX_UNITS + 100), 3)
    values = values_of(draw, 3, len(clusters))
    found, expected = in_blocks(values, clusters, draw, 7).result(), reduce_to_clusters(values, clusters)
    assert found.sums.shape == (3, MAX_UNITS)
    assert found.joined.tolist() == expected.n_clusters.tolist()
    np.testing.assert_allclose(found.means, expected.means)
    np.testing.assert_allclose(found.sd, expected.sd)
    np.testing.assert_array_equal(found.n, expected.n)
    np.testing.assert_allclose(found.standard_errors(), expected.standard_errors(), rtol=0.15)
    table = effect_table(found, None, spec=StatsSpec(n_bootstrap=200), rng=draw)
    assert table["n_clusters"].tolist() == expected.n_clusters.tolist()
    assert table["ci_method"].tolist() == ["exact_zero", "percentile", "percentile"]


def test_clusters_that_are_not_added_join_none_of_those_that_are():
    """The standard error is that of the reported clusters alone, however many others there are."""
    draw, some = np.random.default_rng(4), np.sort(np.random.default_rng(5).permutation(1500)[:200])
    values = values_of(draw, 3, 1500)
    sums = RowSums(3, np.arange(1500) % 1000, np.random.default_rng(0), some)
    for columns in np.array_split(some, 3):
        sums.add(values[:, columns], columns)
    found, expected = sums.result(), reduce_to_clusters(values[:, some], some % 1000)
    np.testing.assert_array_equal(found.n_clusters, expected.n_clusters)
    np.testing.assert_allclose(found.standard_errors(), expected.standard_errors())


def test_a_table_of_sums_is_that_of_the_differences():
    draw = np.random.default_rng(2)
    values, clusters = values_of(draw, 3, 90), np.arange(90) // 3
    tables = [
        effect_table(given, clusters, spec=StatsSpec(n_bootstrap=200), rng=np.random.default_rng(3))
        for given in (values, in_blocks(values, clusters, draw, 4).result())
    ]
    for name in ("mean_delta", "std_delta", "std_error", "ci_low", "ci_high", "p"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], rtol=1e-9)


def test_infinite_values_are_refused():
    sums = RowSums(2, np.arange(3), np.random.default_rng(0))
    sums.add(np.array([[1.0, 2.0], [np.inf, 0.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="row 1 holds infinite"):
        sums.result()


def test_totals_of_levels_are_means_without_missing_values():
    values = np.array([[1.0, -1.0, np.nan, 3.0], [np.nan] * 4])
    totals = LevelTotals(2)
    totals.add(values[:, :1])
    totals.add(values[:, 1:])
    assert totals.means[0] == 1.0 and totals.shares_above[0] == pytest.approx(2 / 3)
    assert np.isnan(totals.means[1]) and np.isnan(totals.shares_above[1])


def test_levels_have_their_mean_and_their_share_above_0_however_the_blocks_fall():
    values = np.array([[1.0, 0.0, np.nan, -1.0], [np.nan] * 4, [0.0, 0.0, 3.0, 2.0]])
    for cut in range(4):
        totals = LevelTotals(3)
        for part in (values[:, :cut], values[:, cut:]):
            totals.add(part)
        np.testing.assert_allclose(totals.means, [0.0, np.nan, 1.25])
        np.testing.assert_allclose(totals.shares_above, [1 / 3, np.nan, 0.5])
