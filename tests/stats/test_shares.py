"""Intervals of shares: Wilson's for independent rows, nominal coverage in clusters, never beyond 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest
from scipy.stats import t as student

from paribus.stats.shares import gap_interval, mean_of_shares, shares, weighted_shares
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec()


def share_intervals(holds, clusters):
    found = shares(holds, clusters, spec=SPEC)
    return found.low, found.high


def test_one_row_per_cluster_gives_the_interval_of_wilson():
    holds = np.zeros((2000, 3))
    holds[:50, 0], holds[:1000, 1] = 1, 1
    low, high = share_intervals(holds, np.arange(2000))
    for column, n in enumerate((50, 1000, 0)):
        wilson = binomtest(n, 2000).proportion_ci(method="wilson")
        assert (low[column], high[column]) == pytest.approx((wilson.low, wilson.high), abs=2e-4)


def test_copies_of_rows_make_no_share_more_certain():
    holds = (np.random.default_rng(0).random((40, 2)) < [0.3, 0.9]).astype(float)
    once = share_intervals(holds, np.arange(40))
    copies = share_intervals(np.repeat(holds, 5, axis=0), np.repeat(np.arange(40), 5))
    np.testing.assert_allclose(copies, once, atol=0.01)


@pytest.mark.parametrize(("share", "alike"), [(0.03, 0.0), (0.3, 0.0), (0.3, 0.6), (0.95, 0.6)])
def test_coverage_is_nominal_in_clusters(share, alike):
    rng, covered = np.random.default_rng(1), []
    clusters = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    for _ in range(40):
        own = rng.random((len(clusters), 50)) < share
        of_cluster = (rng.random((40, 50)) < share)[clusters]
        low, high = share_intervals(np.where(rng.random(own.shape) < alike, of_cluster, own), clusters)
        covered.extend((low <= share) & (share <= high))
    assert 0.93 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("holds", [np.zeros(30), np.ones(30)])
def test_rows_that_all_agree_leave_room_for_doubt(holds):
    (low,), (high,) = share_intervals(holds[:, None], np.arange(30) // 3)
    assert 0 <= low <= holds[0] <= high <= 1 and 0.25 < high - low < 0.45


def test_little_and_wrong_input():
    low, high = share_intervals(np.array([[1.0, np.nan], [0.0, np.nan], [1.0, 1.0]]), [0, 1, 2])
    assert np.isnan(low).all() and np.isnan(high).all()
    with pytest.raises(ValueError, match="0, 1 or NaN"):
        share_intervals([[0.5]], [0])
    with pytest.raises(ValueError, match="do not fit"):
        share_intervals([[1.0], [0.0]], [0])


def test_the_gap_of_independent_groups_is_that_of_newcombe():
    # Newcombe (1998), table II, row 10: 56/70 - 48/80 is .0524 to .3339, 9/10 - 3/10 is .1705 to .8090
    for (a, m), (b, n), expected in (((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090))):
        ends = [binomtest(hits, size).proportion_ci(method="wilson") for hits, size in ((a, m), (b, n))]
        low, high = gap_interval((a / m, b / n), [e.low for e in ends], [e.high for e in ends])
        assert (low, high) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("one", "other"), [(0.1, 0.1), (0.6, 0.3), (0.98, 0.5)])
def test_the_gap_of_rows_in_clusters_is_covered(one, other):
    rng, covered = np.random.default_rng(3), []
    clusters = np.arange(120) // 2
    for _ in range(40):
        group = rng.random(120) < 0.7
        share = np.where(group, one, other)[:, None]
        alike = rng.random((60, 50))[clusters]
        holds = np.where(rng.random((120, 50)) < 0.3, alike, rng.random((120, 50))) < share
        ends = [share_intervals(holds[rows], clusters[rows]) for rows in (group, ~group)]
        means = holds[group].mean(0), holds[~group].mean(0)
        low, high = gap_interval(means, (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1]))
        covered.extend((low <= one - other) & (one - other <= high))
    assert 0.93 <= np.mean(covered) <= 0.99


def test_columns_in_blocks_give_the_same_intervals(monkeypatch):
    holds = np.random.default_rng(5).random((60, 7)) < 0.4
    whole = share_intervals(holds, np.arange(60) // 2)
    monkeypatch.setattr("paribus.stats.clusters.CHUNK_ELEMENTS", 2 * 60)
    np.testing.assert_array_equal(share_intervals(holds, np.arange(60) // 2), whole)


def ends(share, n, df):
    """The shares from which the observed one is t standard errors away."""
    away = student.ppf(0.975, df)

    def excess(p):
        return (share - p) ** 2 - away**2 * p * (1 - p) / n

    inside = 1e-9  # of shares 0 and 1 the share itself is a root, too
    low = brentq(excess, 0, share - inside) if share > 0 else 0.0
    return low, (brentq(excess, share + inside, 1) if share < 1 else 1.0)


@pytest.mark.parametrize(("n", "hits"), [(6, 2), (10, 4), (25, 24)])
def test_few_independent_rows_have_the_score_interval_with_t(n, hits):
    low, high = share_intervals((np.arange(n) < hits)[:, None], np.arange(n))
    assert (low[0], high[0]) == pytest.approx(ends(hits / n, n, n - 1))


def test_rows_that_agree_count_as_many_as_their_weights_are_worth():
    weights, clusters = np.array([1.0, 2, 1, 4, 1, 1, 0.5]), np.array([0, 0, 1, 2, 3, 4, 5])
    holds = np.stack([np.ones(7), np.zeros(7)], axis=1)
    of_clusters = np.array([3, 1, 4, 1, 1, 0.5])
    worth = of_clusters.sum() ** 2 / (of_clusters**2).sum()
    share, low, high = weighted_shares(holds, clusters, weights, confidence=0.95)
    assert share.tolist() == [1, 0]
    assert (low[0], high[0]) == pytest.approx(ends(1.0, worth, worth - 1))
    assert (low[1], high[1]) == pytest.approx(ends(0.0, worth, worth - 1))


def test_the_mean_of_two_shares_is_half_of_their_gap_turned_round():
    one, other = (np.array([each]) for each in (0.7, 0.4))
    low, high = mean_of_shares([(one, one - 0.1, one + 0.2), (other, other - 0.3, other + 0.1)])
    # 1 - x turns the second share round; the gap of Newcombe is then the sum of both, less one
    gap = gap_interval((one, 1 - other), (one - 0.1, 0.9 - other), (one + 0.2, 1.3 - other))
    assert (2 * low[0] - 1, 2 * high[0] - 1) == pytest.approx((gap[0][0], gap[1][0]))
