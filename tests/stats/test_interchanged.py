"""Levels interchanged within clusters: uniform where levels are alike, and where each row's support is kept."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.interchanged import interchanged
from paribus.stats.nulls import null_percentile

CLUSTER = np.repeat(np.arange(12), 3)


def drawn(seed, *, n_draws=99, own=False):
    """Five rows that differ in nothing; what a cluster's contexts share is in all of them."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, (5, 36)) + rng.normal(4, 2, 12)[CLUSTER]
    if own:  # each context lacks the level that its cluster shows, as in a swap
        values[CLUSTER % 5, np.arange(36)] = np.nan
    return reduce_to_clusters(values, CLUSTER), rng, n_draws


@pytest.mark.parametrize("own", [False, True], ids=["all levels", "all but the own level"])
def test_the_place_of_a_level_among_like_ones_is_uniform(own):
    places = []
    for seed in range(200):
        sums, rng, n = drawn(seed, own=own)
        places.append(null_percentile(sums.means, interchanged(sums, np.zeros(5), n, rng))[0])
    outside = np.mean([place < 2.5 or place > 97.5 for place in places])
    assert 0.01 <= outside <= 0.10  # .05 of 200: beyond these bounds with a chance of .003
    assert 44 < np.mean(places) < 56  # a mean of 200 uniform numbers has an sd of 2


def test_a_level_that_differs_stands_out_and_what_all_share_does_not():
    sums, rng, n = drawn(1)
    raised = sums.sums.copy()
    raised[2] += 9 * sums.counts[2]
    null = interchanged(type(sums)(raised, sums.counts, sums.sd), np.zeros(5), n, rng)
    assert null_percentile(raised[2].sum() / 36, null[2]) == 100
    assert null.min() > 0, "the mean of all levels is in every draw"


def test_families_are_shuffled_apart_and_a_row_alone_has_no_null():
    values = np.repeat([[1.0], [2.0], [10.0], [20.0], [99.0]], 36, axis=1)
    values[4, CLUSTER > 5] = np.nan
    sums = reduce_to_clusters(values, CLUSTER)
    null = interchanged(sums, np.array([0, 0, 1, 1, 2]), 30, np.random.default_rng(0))
    assert set(np.round(null[:2].sum(0), 9)) == {3.0} and set(np.round(null[2:4].sum(0), 9)) == {30.0}
    assert np.isnan(null[4]).all()
    assert interchanged(sums, np.arange(5), 30, np.random.default_rng(0)) is None


def test_a_cluster_that_lacks_a_level_gives_it_nothing():
    values = np.repeat([[1.0], [2.0], [4.0]], 36, axis=1)
    values[0, CLUSTER < 6] = np.nan
    sums = reduce_to_clusters(values, CLUSTER)
    null = interchanged(sums, np.zeros(3), 400, np.random.default_rng(0))
    everything = sums.counts.sum(1)
    assert np.allclose(everything @ null, sums.sums.sum()), "values are moved, none is lost or made"
    assert null[0].mean() == pytest.approx(7 / 3, abs=0.1), "of its own clusters alone, whose levels all take part"
