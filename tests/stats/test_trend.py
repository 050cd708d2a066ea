"""Trends: scipy's Page test, brute force, and clusters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import page_trend_test, rankdata, spearmanr

from paribus.stats.trend import PageSums, trend


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_page_statistic_and_p_agree_with_scipy():
    values = rng().normal(size=(12, 5)) + 0.3 * np.arange(5)
    theirs = page_trend_test(values, method="exact")
    ours = trend(values, np.arange(12), np.arange(5), rng=rng(1))
    assert ours.statistic == theirs.statistic
    assert ours.p == pytest.approx(2 * theirs.pvalue, abs=0.01)  # theirs is one-sided
    assert ours.rho == pytest.approx(np.mean([spearmanr(row, np.arange(5)).statistic for row in values]))


def test_exact_p_agrees_with_brute_force_over_clusters():
    values = rng(3).normal(size=(6, 3)).round(1) + 0.4 * np.arange(3)
    clusters = np.array([0, 0, 1, 2, 2, 2])
    ranks = rankdata(values, axis=1)
    totals = []
    for orders in itertools.product(itertools.permutations([-1, 0, 1]), repeat=3):
        totals.append(sum(ranks[i] @ np.array(orders[clusters[i]]) for i in range(6)))
    observed = sum(ranks[i] @ np.array([-1, 0, 1]) for i in range(6))
    expected = np.mean(np.abs(totals) >= abs(observed) - 1e-9)
    found = trend(values, clusters, [0, 3, 6], rng=rng())
    assert found.method == "exact"
    assert found.p == pytest.approx(expected)


@pytest.mark.parametrize("n_levels", [4, 7, 12])
def test_a_planted_trend_is_found_and_its_sign_told(n_levels):
    values = rng().normal(size=(300, n_levels)) - 0.2 * np.arange(n_levels)
    found = trend(values, np.arange(300) // 3, np.arange(n_levels), rng=rng(1), n_permutations=999)
    assert found.p == pytest.approx(1 / 1000)
    assert found.rho < 0
    assert (
        trend(values[:, ::-1], np.arange(300) // 3, np.arange(n_levels)[::-1], rng=rng(1), n_permutations=999).rho < 0
    )


def test_false_positive_rate_is_nominal_by_cluster_and_not_by_context():
    draw, hits = rng(7), {"cluster": 0, "context": 0}
    clusters = np.repeat(np.arange(15), 6)
    for _ in range(150):
        values = draw.normal(size=(15, 4))[clusters] + 0.5 * draw.normal(size=(90, 4))
        for unit, ids in (("cluster", clusters), ("context", np.arange(90))):
            hits[unit] += trend(values, ids, np.arange(4), rng=draw, n_permutations=199).p <= 0.05
    assert hits["cluster"] / 150 <= 0.11
    assert hits["context"] / 150 > 0.18


def test_incomplete_contexts_are_left_out_and_flat_ones_say_nothing():
    values = np.ones((4, 3))
    values[0, 0] = np.nan
    found = trend(values, np.arange(4), np.arange(3), rng=rng())
    assert (found.n, found.p) == (3, 1.0)
    assert np.isnan(found.rho)
    assert trend(np.full((2, 3), np.nan), np.arange(2), np.arange(3), rng=rng()).method == "none"


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="2 contexts and 4 levels"):
        trend(np.zeros((2, 3)), np.arange(2), np.arange(4), rng=rng())


def test_blocks_of_contexts_add_up_to_the_same_test():
    values = rng(5).normal(size=(60, 4)) + 0.2 * np.arange(4)
    values[[3, 17], 2] = np.nan
    clusters, levels = np.arange(60) // 3, [0, 3, 12, 29]
    whole = trend(values, clusters, levels, rng=rng(1), n_permutations=199)
    sums = PageSums(clusters, levels)
    for columns in np.array_split(rng(2).permutation(60), 7):
        sums.add(values[columns], columns)
    found = sums.trend(rng=rng(1), n_permutations=199)
    assert found.n == whole.n == 58 and found.n_clusters == whole.n_clusters == 20
    assert (found.statistic, found.rho, found.p) == pytest.approx((whole.statistic, whole.rho, whole.p))
    assert PageSums(clusters, levels).trend(rng=rng(1)).method == "none"


def test_clusters_that_do_not_move_leave_the_test_exact():
    values = np.concatenate([np.ones((40, 4)), rng(6).normal(size=(2, 4)) + np.arange(4)])
    found = trend(values, np.arange(42), np.arange(4), rng=rng())
    alone = trend(values[40:], np.arange(2), np.arange(4), rng=rng())
    assert (found.method, found.p) == ("exact", pytest.approx(alone.p))
