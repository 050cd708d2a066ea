"""Reduction to clusters, resampling weights, and blocks."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import sem

from paribus.stats.blocks import block_permutations, exchangeable_blocks, one_row_per_cluster
from paribus.stats.clusters import (
    CHUNK_ELEMENTS,
    bootstrap_weights,
    join_units,
    random_bits,
    reduce_to_clusters,
    support_groups,
)

CLUSTERS = st.lists(st.integers(0, 6), min_size=1, max_size=40)


def test_sums_counts_and_sd_leave_unsupported_values_out():
    values = np.array([[1.0, 2.0, np.nan, 4.0], [1.0, 1.0, 1.0, 1.0]])
    sums = reduce_to_clusters(values, ["b", "a", "a", "b"])
    assert sums.sums.tolist() == [[2, 5], [2, 2]]
    assert sums.counts.tolist() == [[1, 2], [2, 2]]
    assert sums.means.tolist() == pytest.approx([7 / 3, 1])
    assert sums.sd.tolist() == pytest.approx([np.std([1, 2, 4], ddof=1), 0])


@pytest.mark.parametrize("n_units", [3, 100])
def test_every_resample_draws_as_many_units_as_there_are(n_units):
    chunks = list(bootstrap_weights(n_units, 500, np.random.default_rng(0)))
    weights = np.concatenate(chunks)
    assert weights.shape == (500, n_units)
    assert (weights.sum(axis=1) == n_units).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(n_units), abs=0.3)
    assert weights.var() == pytest.approx(1 - 1 / n_units, rel=0.15)


def test_resampling_matrices_come_in_bounded_chunks():
    for make in (bootstrap_weights, random_bits):
        chunks = list(make(CHUNK_ELEMENTS // 4, 10, np.random.default_rng(0)))
        assert [len(chunk) for chunk in chunks] == [4, 4, 2]


def test_bits_are_fair_and_independent():
    bits = np.concatenate(list(random_bits(5, 20_000, np.random.default_rng(0))))
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert bits.mean(axis=0) == pytest.approx(np.full(5, 0.5), abs=0.02)
    assert np.abs(np.corrcoef(bits.T) - np.eye(5)).max() < 0.03


def test_joining_keeps_totals_and_joins_every_matrix_alike():
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(3, 1000))
    joined, twice = join_units((sums, 2 * sums), np.random.default_rng(1), limit=64)
    assert joined.shape == (3, 64)
    assert joined.sum(axis=1) == pytest.approx(sums.sum(axis=1))
    assert twice == pytest.approx(2 * joined)
    (same,) = join_units((sums,), rng, limit=1000)
    assert same is sums


def test_rows_are_grouped_by_the_clusters_that_support_them():
    counts = np.array([[1, 0, 2], [3, 0, 1], [1, 1, 1], [0, 0, 0.0]])
    groups = {tuple(rows): clusters.tolist() for rows, clusters in support_groups(counts, np.array([0, 1, 2]))}
    assert groups == {(0, 1): [0, 2], (2,): [0, 1, 2]}


@settings(deadline=None, max_examples=40)
@given(clusters=CLUSTERS, seed=st.integers(0, 99))
def test_block_permutations_move_whole_clusters_of_equal_size(clusters, seed):
    ids = np.array(clusters)
    size = {c: clusters.count(c) for c in set(clusters)}
    for rows in np.concatenate(list(block_permutations(ids, 5, np.random.default_rng(seed)))):
        assert sorted(rows) == list(range(len(ids)))
        for cluster in size:
            moved_in = rows[ids == cluster]
            assert len(set(ids[moved_in])) == 1
            assert size[ids[moved_in][0]] == size[cluster]
            assert (np.diff(moved_in) > 0).all()


def test_a_cluster_of_its_own_size_stays():
    ids = np.array([0, 0, 1, 2, 2])
    drawn = np.concatenate(list(block_permutations(ids, 50, np.random.default_rng(0))))
    assert (drawn[:, 2] == 2).all()
    assert {tuple(rows) for rows in drawn} == {(0, 1, 2, 3, 4), (3, 4, 2, 0, 1)}
    assert [rows.tolist() for rows in exchangeable_blocks(ids)] == [[[2]], [[0, 1], [3, 4]]]


@settings(deadline=None, max_examples=30)
@given(clusters=CLUSTERS)
def test_one_row_stands_for_each_cluster(clusters):
    rows = one_row_per_cluster(clusters, np.random.default_rng(0))
    assert sorted(np.array(clusters)[rows]) == sorted(set(clusters))
    assert (np.diff(rows) > 0).all()


def test_each_row_of_a_cluster_may_be_the_one():
    rng = np.random.default_rng(0)
    chosen = {int(one_row_per_cluster([0, 0, 0], rng)[0]) for _ in range(50)}
    assert chosen == {0, 1, 2}


@pytest.mark.parametrize("k", [2, 3, 40])
def test_the_standard_error_of_single_rows_is_that_of_the_textbook(k):
    values = np.random.default_rng(k).normal(size=k)
    assert reduce_to_clusters(values, np.arange(k)).standard_errors()[0] == pytest.approx(sem(values))


def test_the_standard_error_of_clusters_is_that_of_a_cluster_robust_regression():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(9), rng.integers(1, 6, 9))
    values = rng.normal(size=9)[clusters] + rng.normal(size=len(clusters))
    theirs = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert reduce_to_clusters(values, clusters).standard_errors()[0] == pytest.approx(theirs.bse[0])
    assert np.isnan(reduce_to_clusters(values, np.zeros(len(values))).standard_errors()[0])
