"""Means that sign flips of clusters do not reject: the test itself, turned round."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.stats.clusters import ClusterSums
from paribus.stats.permutation import sign_flip_rows
from paribus.stats.unrejected import unrejected_means

SIZES = np.array([1.0, 2, 2, 3, 5, 8, 21, 4, 6])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_clusters(means: np.ndarray, sizes: np.ndarray) -> ClusterSums:
    return ClusterSums(means * sizes, np.broadcast_to(sizes, means.shape).copy(), np.ones(len(means)))


def ends(means: np.ndarray, sizes: np.ndarray, confidence: float = 0.95, n_draws: int = 999) -> tuple:
    sums = of_clusters(means, sizes)
    return unrejected_means(sums, confidence=confidence, n_draws=n_draws, rng=rng(1))


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.8])
def test_a_mean_is_inside_exactly_where_the_test_of_the_differences_to_it_does_not_reject(confidence):
    means = rng().lognormal(size=(12, 9))
    low, high = ends(means, SIZES, confidence)
    for step in (-1e-6, 1e-6):
        for end, inside in ((low, step > 0), (high, step < 0)):
            shifted = (means - (end + step)[:, None]) * SIZES
            p, method = sign_flip_rows(shifted, rng=rng())
            assert set(method) == {"exact"}
            assert ((p > 1 - confidence) == inside).all()


def test_a_cluster_of_half_the_size_and_any_spread_leaves_the_coverage():
    sizes = np.array([11.0, *[1.0] * 11])
    low, high = ends(rng().normal(size=(4000, 12)) * np.linspace(3, 0.2, 12), sizes)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.012)


def test_drawn_flips_are_those_of_the_enumeration_up_to_chance():
    means = rng().normal(size=(300, 13)) + 0.5
    low, high = ends(means, np.ones(13), n_draws=9999)
    p, _ = sign_flip_rows(means, rng=rng())
    agree = ((low <= 0) & (high >= 0)) == (p > 0.05)
    assert agree[np.abs(p - 0.05) > 0.008].all() and agree.mean() > 0.95


def test_rows_of_other_sizes_are_done_together():
    means, sizes = rng().normal(size=(2, 9)), np.stack([SIZES, SIZES[::-1]])
    both = unrejected_means(ClusterSums(means * sizes, sizes, np.ones(2)), confidence=0.95, n_draws=99, rng=rng())
    one, other = (ends(means[[row]], sizes[row]) for row in (0, 1))
    assert np.allclose(both, np.concatenate([one, other], axis=1))


def test_too_few_clusters_for_a_level_have_no_ends():
    assert np.isnan(ends(rng().normal(size=(2, 5)), SIZES[:5])).all()
    assert np.isfinite(ends(rng().normal(size=(2, 5)), SIZES[:5], confidence=0.93)).all()
