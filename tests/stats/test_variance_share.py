"""Shares of variance between groups: by hand, calibrated where clusters share their values, and joint over features."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.stats.variance_share import association


def by_hand(values, group):
    """The adjusted share of one variable, from sums of squares."""
    total = ((values - values.mean()) ** 2).sum()
    within = sum(((values[group == g] - values[group == g].mean()) ** 2).sum() for g in np.unique(group))
    n, k = len(values), len(np.unique(group))
    return max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))


def test_shares_and_p_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 3)
    groups = np.stack([rng.integers(0, 3, 60), np.repeat(rng.integers(0, 2, 20), 3)])
    values = rng.normal(size=(60, 4)) + 0.4 * groups[0][:, None] * [1, 0, 0, 0]
    which = np.array([0, 0, 1, 1])
    found = association(values, groups, which, clusters, n_permutations=99, rng=np.random.default_rng(1))
    for one in range(4):
        assert found.share[one] == pytest.approx(by_hand(values[:, one], groups[which[one]]))
    again = np.random.default_rng(1)
    from paribus.stats.blocks import block_permutations

    (orders,) = block_permutations(clusters, 99, again)
    every = np.array(
        [[by_hand(values[:, one], groups[which[one]][order]) for one in range(4)] for order in (np.arange(60), *orders)]
    )
    # adjusted shares are cut at 0: those below tell nothing apart, so only larger own shares are compared
    own = every[0] > 0
    assert found.p[own] == pytest.approx((every >= every[0] - 1e-9).mean(0)[own])
    assert found.null_high == pytest.approx(np.quantile(every[1:], 0.975, axis=0), abs=0.02)
    assert (found.p_adj >= found.p - 1e-12).all() and found.n_exchangeable == 20


def test_noise_that_clusters_share_passes_as_often_as_the_level_says():
    """Labels belong to clusters, and so do values: single rows exchanged would find something nearly always."""
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(30), 4)
    p, family = [], []
    for _ in range(80):
        values = rng.normal(size=(30, 6))[clusters] + 0.3 * rng.normal(size=(120, 6))
        groups = np.stack([rng.integers(0, 2, 30)[clusters], rng.integers(0, 3, 30)[clusters]])
        found = association(values, groups, np.array([0, 0, 0, 1, 1, 1]), clusters, n_permutations=99, rng=rng)
        p.append(found.p)
        family.append(found.p_adj.min())
    assert 0.025 <= np.mean(np.array(p) <= 0.05) <= 0.08
    assert np.mean(np.array(family) <= 0.05) <= 0.15


def test_a_constant_feature_and_one_group_tell_nothing():
    values = np.stack([np.ones(40), np.arange(40.0)], axis=1)
    found = association(
        values, np.zeros((1, 40), int), np.zeros(2, int), np.arange(40), n_permutations=99, rng=np.random.default_rng(0)
    )
    assert found.share.tolist() == [0.0, 0.0] and found.p.tolist() == [1.0, 1.0] and found.p_adj.tolist() == [1.0, 1.0]


def test_clusters_of_sizes_that_occur_once_cannot_be_exchanged():
    clusters = np.repeat(np.arange(8), np.arange(1, 9))
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 2, (1, len(clusters)))
    found = association(rng.normal(size=(36, 2)), groups, np.zeros(2, int), clusters, n_permutations=99, rng=rng)
    assert np.isnan(found.p).all() and found.method[0].startswith("none:") and np.isfinite(found.share).all()
