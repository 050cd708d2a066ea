import numpy as np
import pytest

from paribus.stats.clusters import ClusterSums, reduce_to_clusters
from paribus.stats.intervals import BOOTSTRAP_T, EQUAL_UNITS, EXACT_ZERO
from paribus.stats.many import Flips, agreement, grouped, halves, intervals
from paribus.stats.max_flip import max_flip
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=399)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_whole_clusters_go_into_groups_of_about_equal_size():
    cluster = np.repeat(np.arange(100), rng().integers(1, 9, 100))
    group = grouped(cluster, 7, rng())
    assert all(len(np.unique(group[cluster == one])) == 1 for one in range(100))
    sizes = np.bincount(group)
    assert len(sizes) == 7 and np.ptp(sizes) <= 8
    assert grouped(np.array([5, 5, 9]), 7, rng()).tolist() == [0, 0, 1]


@pytest.mark.parametrize("n_groups", [9, 20])
def test_p_is_that_of_all_rows_together_whatever_the_parts(n_groups):
    rows = rng(1).normal(0.4, 1, (40, n_groups))
    rows[7] = 0
    whole, parts = (Flips(n_groups, 1999, rng(2)) for _ in range(2))
    whole.see(rows)
    for start in range(0, 40, 7):
        parts.see(rows[start : start + 7])
    np.testing.assert_allclose(whole.largest, parts.largest, rtol=1e-12)
    p, p_adj = whole.p(rows)
    assert p[7] == p_adj[7] == 1 and (p_adj >= p).all()
    if n_groups == 9:
        sums = reduce_to_clusters(rows, np.arange(n_groups))
        step_down = max_flip(sums, rng=rng(3))
        assert (p_adj >= step_down - 1e-12).all() and p_adj.min() == step_down.min(), "of the largest row they agree"
        by_hand = np.array(
            [[np.abs((rows[0] * s).sum()) for s in np.array(np.meshgrid(*[[1, -1]] * 9)).reshape(9, -1).T]]
        )
        assert p[0] == pytest.approx((by_hand >= abs(rows[0].sum()) - 1e-9).mean())


def test_noise_is_found_at_the_rate_of_the_family():
    found = 0
    for seed in range(200):
        rows = rng(seed).standard_t(3, (60, 16))
        flips = Flips(16, 299, rng(1000 + seed))
        flips.see(rows)
        found += bool((flips.p(rows)[1] <= 0.05).any())
    assert 2 <= found <= 20  # 10 expected


def by_group(sums, counts):
    return ClusterSums(np.asarray(sums), np.broadcast_to(counts, np.shape(sums)), np.full(len(sums), np.nan))


def test_intervals_hold_their_value_at_their_rate_and_agree_with_p():
    covered, simultaneous = 0, 0
    for seed in range(100):
        draw = rng(seed)
        counts = np.broadcast_to(draw.integers(3, 8, 20).astype(float), (30, 20))
        sums = counts * 0.3 + np.sqrt(counts) * draw.normal(0, 1, (30, 20))
        flips = Flips(20, 299, draw)
        flips.see(sums - counts * 0.3)
        p, _ = flips.p(sums)
        ends = intervals(by_group(sums, counts), p, flips.critical(0.05), spec=SPEC, rng=draw)
        assert set(ends.method) == {BOOTSTRAP_T} and (ends.adj_low <= ends.low).all()
        assert ((ends.low <= 0) & (ends.high >= 0))[p > 0.05].all()
        covered += int(((ends.low <= 0.3) & (ends.high >= 0.3)).sum())
        simultaneous += bool(((ends.adj_low <= 0.3) & (ends.adj_high >= 0.3)).all())
    assert 0.94 <= covered / 3000 <= 0.98 and simultaneous >= 90


@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_hold_their_value_where_one_group_has_half_of_the_contexts(skewed):
    draw = rng(5)
    counts = np.r_[66.0, np.full(11, 6.0)]
    effects = np.exp(draw.normal(0, 1, (300, 12))) if skewed else draw.normal(1, 1, (300, 12))
    truth = np.exp(0.5) if skewed else 1.0
    ends = intervals(by_group(effects * counts, counts), np.zeros(300), 2.0, spec=SPEC, rng=draw)
    assert ((ends.low <= truth) & (truth <= ends.high)).mean() > 0.92
    assert np.isnan(ends.adj_low).all() and np.isnan(ends.adj_high).all()


def test_rows_that_have_no_interval_say_why():
    sums = np.array([[0.0] * 6, [1.0] * 6, [1.0, 2.0, 1.0, 0.0, 0.0, 0.0]])
    counts = np.array([[1.0] * 6, [1.0] * 6, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    given = ClusterSums(sums, counts, np.full(3, np.nan))
    ends = intervals(given, np.array([1.0, 0.03, 0.25]), 2.0, spec=SPEC, rng=rng())
    assert ends.method == [EXACT_ZERO, EQUAL_UNITS, "none: 3 clusters"]
    assert ends.low[0] == ends.high[0] == 0 and np.isnan(ends.low[1:]).all()


def test_halves_agree_on_what_is_there_and_as_often_as_flips_on_what_is_not():
    draw = rng(0)
    counts = np.ones((8, 24))
    first = halves(24, 20, draw)
    assert (first.sum(1) == 12).all()
    planted = draw.normal(0, 1, (50, 8, 1)) + draw.normal(0, 1, (50, 8, 24))
    noise = draw.normal(0, 1, (600, 8, 24))
    signs = 1.0 - 2.0 * draw.integers(0, 2, (39, 24))
    assert np.median(agreement(planted, counts, first)) > 0.8
    beyond = agreement(noise, counts, first) > np.max([agreement(noise, counts, first, one) for one in signs], axis=0)
    assert beyond.mean() == pytest.approx(1 / 40, abs=0.02)
    assert np.isnan(agreement(noise[:, :5], counts[:5], first)).all()
    counts[0, :10] = 0  # an entry that few groups have is left out
    assert np.isfinite(agreement(noise, counts, first)).all()
