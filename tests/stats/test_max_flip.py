"""Adjustment by the largest of all rows: against enumeration by hand, and under the null."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.max_flip import max_flip, smallest_max_flip
from paribus.stats.permutation import sign_flip_rows


def test_one_row_is_the_sign_flip_test():
    rng = np.random.default_rng(0)
    sums = reduce_to_clusters(rng.normal(0.6, 1.0, (1, 10)), np.arange(10))
    plain, _ = sign_flip_rows(sums.sums, rng=rng, n_permutations=999)
    assert max_flip(sums, rng=rng)[0] == pytest.approx(plain[0])


def test_it_is_the_step_down_maximum_over_all_signs():
    rng = np.random.default_rng(1)
    values = rng.normal([[0.0], [0.8], [1.5]], 1.0, (3, 7))
    found = max_flip(reduce_to_clusters(values, np.arange(7)), rng=rng)
    scaled = values / np.sqrt((values**2).sum(1, keepdims=True))
    observed = np.abs(scaled.sum(1))
    draws = np.abs(np.array([scaled @ np.array(s) for s in itertools.product([-1, 1], repeat=7)]))
    order, last = np.argsort(-observed), 0.0
    for place, row in enumerate(order):
        p = (draws[:, order[place:]].max(1) >= observed[row] - 1e-12).mean()
        last = max(last, p)
        assert found[row] == pytest.approx(last)


def test_the_family_wise_error_holds_where_holm_could_never_reject():
    rng, wrong, n = np.random.default_rng(2), 0, 200
    for _ in range(n):
        shared = rng.normal(size=(1, 10))
        sums = reduce_to_clusters(rng.normal(size=(60, 10)) + shared, np.arange(10))
        wrong += bool((max_flip(sums, rng=rng) <= 0.05).any())
    assert wrong <= 20, "at .05, more than 20 of 200 happen once in 400 times"
    assert 60 * 2 / 2**10 > 0.05 >= smallest_max_flip(10)


def test_the_smallest_p_is_that_of_all_flips_or_of_those_drawn():
    assert [smallest_max_flip(k, 99) for k in (6, 13, 14, 200)] == [2 / 2**6, 2 / 2**13, 1 / 100, 1 / 100]


def test_rows_without_values_and_rows_of_zeros():
    values = np.stack([np.zeros(8), np.full(8, np.nan), np.arange(1.0, 9.0)])
    found = max_flip(reduce_to_clusters(values, np.arange(8)), rng=np.random.default_rng(0))
    assert found[0] == 1.0 and np.isnan(found[1]) and found[2] == smallest_max_flip(8)
    many = reduce_to_clusters(np.random.default_rng(3).normal(1.0, 1.0, (2, 40)), np.arange(40))
    assert (max_flip(many, rng=np.random.default_rng(0), n_permutations=999) >= 1 / 1000).all()


def test_clusters_of_other_splits_do_not_make_the_enumeration_a_draw():
    """The columns are the clusters of all contexts, of which a table reports some."""
    values = np.random.default_rng(4).normal(0.4, 1.0, (5, 8))
    alone = max_flip(reduce_to_clusters(values, np.arange(8)), rng=np.random.default_rng(0))
    padded = np.concatenate([np.full((5, 9), np.nan), values], axis=1)
    beside = max_flip(reduce_to_clusters(padded, np.arange(17)), rng=np.random.default_rng(0))
    np.testing.assert_array_equal(alone, beside)
    assert alone.min() * 2**7 == round(alone.min() * 2**7), "of all 128 patterns"
