"""The chance of being better, and the interquartile mean: against counting, scipy and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from paribus.stats.improvement import improvement, interquartile_mean, paired_improvement


def test_it_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 9).astype(float), rng.integers(0, 6, 7).astype(float)
    counted = np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])
    assert improvement(a, b)[0] == pytest.approx(counted)
    assert improvement(a, b)[0] == pytest.approx(stats.mannwhitneyu(a, b).statistic / 63)
    assert improvement(a, b)[0] == pytest.approx(1 - improvement(b, a)[0])
    low, high = improvement(a, b)[1].low, improvement(a, b)[1].high
    other = improvement(b, a)[1]
    assert (low, high) == pytest.approx((1 - other.high, 1 - other.low))


def test_a_share_of_all_or_nothing_has_an_interval_with_width():
    share, around = improvement(np.arange(8.0) + 10, np.arange(8.0))
    assert share == 1.0 and 0.5 < around.low < 0.9 and around.high == 1.0
    share, around = improvement(np.arange(8.0), np.arange(8.0) + 10)
    assert share == 0.0 and around.low == 0.0 and 0.1 < around.high < 0.5
    assert improvement([1.0, 2.0], [0.0, 1.0, 3.0])[1].method.startswith("none")


def test_wilson_agrees_with_scipy():
    differences = np.array([1.0] * 9 + [-1.0] * 3)
    found = paired_improvement(differences)[1]
    expected = stats.binomtest(9, 12).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert paired_improvement([0.0, 0.0, 1.0, -1.0])[0] == 0.5


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_interval_covers(shift):
    rng, truth, n = np.random.default_rng(3), stats.norm.cdf(shift / np.sqrt(2)), 300
    found = [improvement(rng.normal(shift, 1, 8), rng.normal(0, 1, 8))[1] for _ in range(n)]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert covered > 0.95 - 3 * np.sqrt(0.05 * 0.95 / n)


def test_the_interquartile_mean_is_scipys_trimmed_mean_where_quarters_are_whole():
    values = np.random.default_rng(1).normal(size=12)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    repeated = np.repeat(np.random.default_rng(2).normal(size=7), 4)
    assert interquartile_mean(repeated[::4]) == pytest.approx(stats.trim_mean(repeated, 0.25))
    assert np.isnan(interquartile_mean([])) and interquartile_mean([3.0]) == 3.0
