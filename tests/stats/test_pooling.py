"""Partial pooling of groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import sem
from scipy.stats import t as student

from paribus.stats.pooling import pool_groups
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec()


def sample(tau: float, seed: int, *, n_groups: int = 40):
    draw = np.random.default_rng(seed)
    truth = 2 + tau * draw.normal(size=n_groups)
    sizes = draw.integers(2, 30, n_groups)
    owner = np.repeat(np.arange(n_groups), sizes)
    cluster_means = truth[owner] + draw.normal(size=len(owner))
    groups = np.repeat(owner, 3)
    values = np.repeat(cluster_means, 3) + 0.3 * draw.normal(size=len(groups))
    return values, groups, np.repeat(np.arange(len(owner)), 3), truth


def test_pooled_means_are_nearer_the_truth_than_raw_ones():
    raw, pooled = [], []
    for seed in range(10):
        values, groups, clusters, truth = sample(0.3, seed)
        table = pool_groups(values, groups, clusters, spec=SPEC).table
        raw.append(np.mean((table["mean"] - truth) ** 2))
        pooled.append(np.mean((table.pooled_mean - truth) ** 2))
    assert np.mean(pooled) < 0.75 * np.mean(raw)


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_intervals_cover_the_groups_and_tau_is_found(tau):
    covered, found_tau = [], []
    for seed in range(30):
        values, groups, clusters, truth = sample(tau, seed)
        found = pool_groups(values, groups, clusters, spec=SPEC)
        covered.extend((found.table.ci_low <= truth) & (truth <= found.table.ci_high))
        found_tau.append(found.tau)
    assert 0.93 <= np.mean(covered) <= 1.0
    assert np.mean(found_tau) == pytest.approx(tau, abs=0.12)


def test_one_outstanding_group_keeps_its_standing():
    draw, groups, covered = np.random.default_rng(0), np.repeat(np.arange(60), 20), []
    for _ in range(60):
        values = draw.normal(size=1200) + 1 + 6 * (groups == 7)
        row = pool_groups(values, groups, np.arange(1200), spec=SPEC).table.loc[7]
        covered.append(row.ci_low < 7 < row.ci_high)
        assert row.ratio_low > 2
        assert row.delta_low > 4.5
    assert np.mean(covered) >= 0.9


def test_nothing_stands_out_where_nothing_is_planted():
    draw, groups = np.random.default_rng(1), np.repeat(np.arange(60), 8)
    table = pool_groups(draw.normal(size=480) + 1, groups, np.arange(480), spec=SPEC).table
    assert (table.ratio_low < 2).all()
    assert ((table.delta_low <= 0) & (table.delta_high >= 0)).mean() > 0.95


def test_small_groups_are_pooled_more_and_single_clusters_have_an_interval():
    values, groups = [1.0, 2, 3, 4, 5, 6, 7, 9.0, 3, 2, 1, 2], ["a"] * 7 + ["b"] + ["c"] * 4
    table = pool_groups(values, groups, np.arange(12), spec=SPEC).table.set_index("group")
    assert table.shrinkage["b"] > table.shrinkage["a"]
    assert np.isnan(table.std_error["b"])
    assert table.ci_low["b"] < table.pooled_mean["b"] < table.ci_high["b"]
    assert table.rest_mean["b"] == pytest.approx(np.mean([1, 2, 3, 4, 5, 6, 7, 3, 2, 1, 2]))


def test_the_ratio_to_a_rest_around_zero_has_no_interval():
    draw = np.random.default_rng(2)
    values = np.concatenate([5 + draw.normal(size=20), draw.normal(size=40) - 0.01])
    table = pool_groups(values, np.repeat([0, 1, 2], 20), np.arange(60), spec=SPEC).table
    assert np.isnan(table.ratio_low[0])


def test_groups_that_never_respond_are_zero_and_nothing_else():
    table = pool_groups(np.zeros(12), np.repeat([0, 1, 2], 4), np.arange(12), spec=SPEC).table
    assert (table[["mean", "pooled_mean", "delta"]] == 0).all(axis=None)


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="two groups"):
        pool_groups([1.0, 2], ["a", "a"], [0, 1], spec=SPEC)
    with pytest.raises(ValueError, match="two clusters"):
        pool_groups([1.0, 2, 3], ["a", "a", "b"], [0, 0, 1], spec=SPEC)


def one_mean(values, rows, clusters):
    """Return mean, degrees of freedom, its share of a cluster's variance, and this variance, of some of the rows."""
    ids = np.unique(clusters[rows])
    scores = np.array([(values[rows & (clusters == c)] - values[rows].mean()).sum() for c in ids])
    share = np.array([(rows & (clusters == c)).sum() for c in ids]) / rows.sum()
    expected = sum(w**2 * ((np.eye(len(ids))[i] - share) ** 2).sum() for i, w in enumerate(share))
    spread = (share**2).sum()
    unit = (scores**2).sum() / rows.sum() ** 2 / expected if len(ids) > 1 else 0.0
    return values[rows].mean(), 1 / spread - 1, spread, unit


def test_every_column_is_what_its_source_says():
    draw = np.random.default_rng(4)
    groups, clusters = (
        np.repeat([0, 1, 2, 3, 4], [3, 8, 9, 5, 1]),
        np.array([0, 0, 1, *range(2, 10), *([10] * 3)] + [*range(11, 23)]),
    )
    values = draw.normal(size=26) + np.array([0.0, 0.5, 1.5, 3.0, 1.0])[groups]
    found = pool_groups(values, groups, clusters, spec=SPEC)
    table = found.table
    means, df, spread, unit = zip(*(one_mean(values, groups == group, clusters) for group in range(5)), strict=True)
    means, df, spread, unit = map(np.array, (means, df, spread, unit))
    common = (df * unit).sum() / df.sum()
    variance = spread * (4 * common + df * unit) / (4 + df)
    known = np.minimum(4 + df, df.sum())

    def excess(tau2):  # Paule and Mandel (1982)
        weights = 1 / (variance + tau2)
        return (weights * (means - (weights * means).sum() / weights.sum()) ** 2).sum() - 4

    assert found.tau**2 == pytest.approx(brentq(excess, 0, 100), rel=1e-6)
    assert table.std_error[1] == pytest.approx(sem(values[groups == 1]))
    for group in range(5):
        rest = groups != group
        _, other_df, other_spread, other_unit = one_mean(values, rest, clusters)
        other = other_spread * other_unit
        both = variance[group] + other
        welch = both**2 / (variance[group] ** 2 / known[group] + other**2 / other_df)
        reach = student.ppf(0.975, welch) * np.sqrt(both)
        row, delta = table.loc[group], means[group] - values[rest].mean()
        assert (row.delta, row.delta_low, row.delta_high) == pytest.approx((delta, delta - reach, delta + reach))


def covered(sizes, *, shared=False, n_groups=8, n_sets=30):
    """Return in what share of groups and sets the intervals of pooled mean, difference and ratio hold theirs."""
    draw, held = np.random.default_rng(6), []
    one, k = np.repeat(np.arange(len(sizes)), sizes), len(sizes)
    groups = np.repeat(np.arange(n_groups), len(one))
    clusters = np.concatenate([one if shared else one + g * k for g in range(n_groups)])
    for _ in range(n_sets):
        truth = 5 + 0.5 * draw.normal(size=n_groups)
        effects = 0.6 * draw.normal(size=(n_groups, k)) + 0.8 * draw.normal(size=(1 if shared else n_groups, k))
        values = (truth[:, None] + effects)[groups, np.tile(one, n_groups)] + 0.5 * draw.normal(size=len(groups))
        table = pool_groups(values, groups, clusters, spec=SPEC).table
        rest = (truth.sum() - truth) / (n_groups - 1)
        wanted = {"ci": truth, "delta": truth - rest, "ratio": truth / rest}
        held.append([(table[f"{n}_low"] <= of) & (of <= table[f"{n}_high"]) for n, of in wanted.items()])
    return np.mean(held, axis=(0, 2))


@pytest.mark.parametrize("k", [6, 20])
def test_intervals_cover_where_one_cluster_of_each_group_has_half_of_its_rows(k):
    assert (covered([4 * (k - 1)] + [4] * (k - 1)) > 0.93).all()


def test_intervals_cover_where_groups_share_their_clusters():
    assert (covered([3] * 6, shared=True, n_sets=60) > 0.92).all()


@pytest.mark.soak
@pytest.mark.parametrize("k", [6, 8, 12, 20, 40])
@pytest.mark.parametrize("sizes", ["equal", "one is half", "1 to 8"])
def test_intervals_cover_in_few_and_uneven_clusters(sizes, k):
    of = {"equal": [6] * k, "one is half": [6 * (k - 1)] + [6] * (k - 1), "1 to 8": np.resize(np.arange(1, 9), k)}
    assert (covered(of[sizes], n_sets=150) > 0.92).all()


def test_groups_of_skewed_clusters_are_told_and_a_large_cluster_is_none():
    draw, groups = np.random.default_rng(2), np.repeat(np.arange(20), 24)
    clusters = np.arange(len(groups)) // np.where(np.arange(len(groups)) % 24 < 12, 12, 1)
    for values, least, most in ((draw.normal(size=480), 0.0, 0.15), (np.exp(draw.normal(size=480)), 0.6, 1.0)):
        assert least <= pool_groups(values, groups, np.arange(480), spec=SPEC).table["skewed"].mean() <= most
    large = draw.normal(size=480) + np.repeat(draw.normal(size=20), 24) * (np.arange(480) % 24 < 12)
    assert pool_groups(large, groups, clusters, spec=SPEC).table["skewed"].mean() <= 0.25
