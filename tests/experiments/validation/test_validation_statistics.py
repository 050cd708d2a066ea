"""The numbers behind split-half and shuffle-null: brute force, calibration on noise, power on a pattern."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.experiments.validation import _agreement, _shuffles
from paribus.experiments.validation._agreement import correlations, mean_of, observational, split_clusters
from paribus.experiments.validation._shuffles import judged
from paribus.stats.clusters import reduce_to_clusters


def interventional(differences, clusters, first, n_draws, rng):
    """The comparison of halves of contexts ``first [splits, n]``, from single differences."""
    of_clusters = first[:, np.unique(clusters, return_index=True)[1]]
    return _agreement.interventional(reduce_to_clusters(differences, clusters), of_clusters, n_draws, rng)


def flipped_means(differences, clusters, n_draws, rng):
    return _shuffles.flipped_means(reduce_to_clusters(differences, clusters), n_draws, rng)


def clustered_noise(rng, k=8, n_clusters=30, size=3, pattern=0.0):
    """Differences whose rows share a baseline and whose contexts share a cluster, as those of sweeps do."""
    clusters = np.repeat(np.arange(n_clusters), size)
    shared = rng.normal(size=(1, n_clusters))[:, clusters] + 0.5 * rng.normal(size=(k, n_clusters))[:, clusters]
    values = shared + rng.normal(size=(k, len(clusters)))
    values *= np.linspace(0.5, 3, k)[:, None]  # entries of unequal noise, as rungs of unequal support
    values[rng.random(values.shape) < 0.2] = np.nan
    return values + pattern * np.linspace(-1, 1, k)[:, None], clusters


def test_halves_are_whole_clusters_and_half_of_them():
    clusters = np.repeat(np.arange(9), [1, 2, 3, 1, 2, 3, 1, 2, 3])
    first = split_clusters(clusters, 20, np.random.default_rng(0))
    for half in first:
        inside = [set(half[clusters == c]) for c in range(9)]
        assert all(len(each) == 1 for each in inside)
        assert sum(each == {True} for each in inside) == 4
    assert len(np.unique(first, axis=0)) > 10


def test_correlations_agree_with_numpy_entry_by_entry():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    a[rng.random(a.shape) < 0.2] = np.nan
    found = correlations(a, b)
    for column in range(5):
        known = ~np.isnan(a[:, column])
        assert found[column] == pytest.approx(np.corrcoef(a[known, column], b[known, column])[0, 1])


def test_a_constant_half_and_too_few_entries_have_no_correlation():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    a[:, 0] = 0.1 + 1e-17
    b[0, 1] = np.nan
    assert np.isnan(correlations(a, b)).tolist() == [True, True, False]


def test_vectorised_halves_equal_means_over_subsets():
    rng = np.random.default_rng(3)
    differences, clusters = clustered_noise(rng)
    first = split_clusters(clusters, 7, rng)
    found = interventional(differences, clusters, first, 3, rng)
    for split, half in enumerate(first):
        a, b = np.nanmean(differences[:, half], 1), np.nanmean(differences[:, ~half], 1)
        assert found.r[split] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found.mean_r == pytest.approx(found.r.mean())


def test_a_pattern_is_agreed_on_and_reliability_is_spearman_brown():
    rng = np.random.default_rng(4)
    differences, clusters = clustered_noise(rng, pattern=3.0)
    found = interventional(differences, clusters, split_clusters(clusters, 50, rng), 199, rng)
    assert found.mean_r > 0.5
    assert found.p < 0.05
    assert found.reliability == pytest.approx(2 * found.mean_r / (1 + found.mean_r))


def test_reliability_is_not_told_of_disagreement():
    found = interventional(np.ones((8, 40)), np.arange(40), split_clusters(np.arange(40), 10, np.random.default_rng(0)),
                           9, np.random.default_rng(0))  # fmt: skip
    assert np.isnan(found.mean_r)
    assert found.reliability is None
    assert found.p == 1
    rng = np.random.default_rng(8)
    noise = [
        interventional(d, c, split_clusters(c, 20, rng), 9, rng) for d, c in (clustered_noise(rng) for _ in range(20))
    ]
    below = [each for each in noise if each.mean_r <= 0]
    assert below
    assert all(each.reliability is None for each in below)


def test_split_half_on_noise_neither_always_passes_nor_always_fails():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(400):
        differences, clusters = clustered_noise(rng)
        p.append(interventional(differences, clusters, split_clusters(clusters, 20, rng), 39, rng).p)
    p = np.array(p)
    # 99.9 % binomial bounds around .05 and .5 for 400 data sets
    assert 0.017 <= (p <= 0.05).mean() <= 0.09
    assert 0.41 <= (p <= 0.5).mean() <= 0.59


def test_shuffle_null_on_noise_neither_always_passes_nor_always_fails():
    rng = np.random.default_rng(6)
    rms, family = [], []
    for _ in range(400):
        differences, clusters = clustered_noise(rng)
        null = flipped_means(differences, clusters, 99, rng)
        found = judged(np.nanmean(differences, 1), null, centred=True)
        rms.append(found.p_of["rms"])
        family.append(found.p_adj.min())
        assert found.p_adj.min() == pytest.approx(found.p_of["max_abs"])
    assert 0.017 <= (np.array(rms) <= 0.05).mean() <= 0.09
    assert 0.41 <= (np.array(rms) <= 0.5).mean() <= 0.59
    assert 0.017 <= (np.array(family) <= 0.05).mean() <= 0.09


def test_base_rates_alone_do_not_pass():
    """Both halves share large base rates whatever the activations are: r is near 1, and so is the null."""
    rng = np.random.default_rng(7)
    rates = np.linspace(-3, 3, 10)
    clusters = np.repeat(np.arange(40), 2)

    def passes(signal):
        held = rng.normal(size=(10, 80)) + rates[:, None]
        f = rng.normal(size=80) + signal * held[0]
        orders = [rng.permutation(80) for _ in range(39)]

        def vector(shuffle, rows):
            values = f if shuffle is None else f[orders[shuffle]]
            return held[:, rows].mean(1) + (held[:, rows] * (values[rows] - values[rows].mean())).mean(1)

        return observational(vector, split_clusters(clusters, 12, rng), 39, 3)

    blind = [passes(0.0) for _ in range(40)]
    assert all(each.mean_r > 0.9 for each in blind)
    assert 0 <= np.mean([each.p <= 0.05 for each in blind]) <= 0.175
    assert np.mean([each.p for each in blind]) == pytest.approx(0.5, abs=0.2)


def test_the_statistic_uses_the_splits_it_is_tested_with():
    rng = np.random.default_rng(9)
    first = split_clusters(np.arange(30), 12, rng)
    noise = rng.normal(size=(8, 30))
    found = observational(lambda shuffle, rows: noise[:, rows].mean(1) + (shuffle or 0), first, 5, 3)
    assert found.statistic == pytest.approx(mean_of(found.r[:3]))
    assert len(found.r) == 12


def test_an_entry_is_found_among_noisier_ones():
    rng = np.random.default_rng(11)
    differences = rng.normal(size=(8, 60)) * np.array([0.2, 8, 8, 8, 8, 8, 8, 8])[:, None]
    differences[0] += 0.3
    values = differences.mean(1)
    assert np.abs(values).argmax() != 0  # in raw units a noisy entry leads
    found = judged(values, flipped_means(differences, np.arange(60), 199, rng), centred=True)
    assert np.flatnonzero(found.p_adj <= 0.05).tolist() == [0]


def test_effects_that_are_exactly_zero_have_p_one():
    found = judged(np.zeros(7), np.zeros((39, 7)), centred=True)
    assert (found.p == 1).all() and (found.p_adj == 1).all()
    assert found.p_of == {"rms": 1.0, "max_abs": 1.0}
