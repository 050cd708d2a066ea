"""How often cluster resamples find a row again."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.stats.clusters import ClusterSums
from paribus.stats.inclusion import inclusion
from paribus.stats.spec import StatsSpec


@pytest.fixture
def each_by_itself(monkeypatch):
    """Make every row a family of its own."""
    monkeypatch.setattr("paribus.stats.inclusion.adjust", lambda p, _: p)


def found_again(sizes, shift):
    sizes = np.array([sizes] * 400, dtype=np.float64)
    drawn = np.random.default_rng(3).normal(shift, 1, sizes.shape)
    sums = ClusterSums(drawn * sizes, sizes, np.ones(400))
    return inclusion(sums, spec=StatsSpec(), rng=np.random.default_rng(0)).mean()


@pytest.mark.usefixtures("each_by_itself")
def test_one_large_cluster_does_not_find_what_is_not_there():
    equal, half = found_again([6] * 20, 0.0), found_again([114] + [6] * 19, 0.0)
    assert 0.1 < equal < 0.2 and half < 1.2 * equal


@pytest.mark.usefixtures("each_by_itself")
def test_what_is_there_is_found():
    assert found_again([6] * 20, 2.0) > 0.99


def test_what_all_clusters_show_alike_is_always_found():
    same = ClusterSums(np.full((1, 8), 3.0), np.full((1, 8), 3.0), np.zeros(1))
    assert inclusion(same, spec=StatsSpec(), rng=np.random.default_rng(0)).tolist() == [1.0]
