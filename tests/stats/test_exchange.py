"""Exchanges of clusters: nothing is lost, only clusters of one size change places, and tables equal free sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.stats import exchange as module
from paribus.stats.blocks import exchangeable_blocks
from paribus.stats.exchange import Exchange


def recorded(clusters: np.ndarray, n_draws: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return every row permutation the sums were asked for, and the draws made of them."""
    asked = []

    def sums(moved, group, n_groups):
        asked.append(moved)
        out = np.zeros((len(moved), n_groups, len(clusters)))
        for row in range(len(clusters)):  # which value stands at each row, as a sum over groups
            out[:, group[row], row] = moved[:, row]
        return out

    found = Exchange(tuple(exchangeable_blocks(clusters))).draws(sums, n_draws, np.random.default_rng(seed))
    return np.concatenate(asked) if asked else np.empty(0), np.concatenate(list(found))


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=30), tabulated=st.booleans())
def test_whole_clusters_take_each_others_values_in_order(sizes, tabulated):
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    before = module.TABLES_FROM
    module.TABLES_FROM = 0 if tabulated else before
    try:
        _, draws = recorded(clusters, 25)
    finally:
        module.TABLES_FROM = before
    assert draws.shape == (25, len(clusters))
    for draw in draws.astype(int):
        assert sorted(draw) == list(range(len(clusters)))
        for cluster in range(len(sizes)):
            taken = draw[clusters == cluster]
            giver = clusters[taken[0]]
            assert taken.tolist() == np.flatnonzero(clusters == giver).tolist()


def test_tables_shift_groups_apart_from_each_other():
    _, draws = recorded(np.arange(600), 50)
    assert len({tuple(draw) for draw in draws.tolist()}) == 50
    assert (draws == np.arange(600)).mean() < 0.1


def test_clusters_of_a_size_of_their_own_stay():
    _, draws = recorded(np.array([0, 0, 1, 1, 2]), 40)
    assert (draws[:, 4] == 4).all()
    assert Exchange(tuple(exchangeable_blocks(np.array([0, 0, 1, 1, 2])))).n_exchangeable == 2


@pytest.mark.parametrize("n", [513, 3000])
def test_every_value_reaches_many_places(n):
    _, draws = recorded(np.arange(n), 400)
    assert np.mean([len(np.unique(column)) for column in draws.T[:50]]) > 20
