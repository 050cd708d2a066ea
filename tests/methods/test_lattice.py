"""Transforms over all subsets against their definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.methods.lattice import (
    interaction_weights,
    minimal_sets,
    moebius,
    robust_sets,
)


def subsets_of(mask):
    return [s for s in range(mask + 1) if s & mask == s]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_minimal_and_robust_sets_are_those_of_the_definition(k, seed):
    rng = np.random.default_rng(seed)
    qualifies = rng.random((1 << k, 3)) < rng.random()
    known = qualifies | (rng.random((1 << k, 3)) < 0.8)
    minimal, robust = minimal_sets(qualifies), robust_sets(qualifies, known)
    for column in range(3):
        for s in range(1 << k):
            below = any(qualifies[t, column] for t in subsets_of(s) if t != s)
            above = all(qualifies[t, column] or not known[t, column] for t in range(1 << k) if t & s == s)
            assert minimal[s, column] == (qualifies[s, column] and not below)
            assert robust[s, column] == (qualifies[s, column] and above)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_the_moebius_transform_is_the_alternating_sum(k, seed):
    values = np.random.default_rng(seed).normal(size=1 << k)
    expected = [sum((-1) ** ((s ^ t).bit_count()) * values[t] for t in subsets_of(s)) for s in range(1 << k)]
    np.testing.assert_allclose(moebius(values), expected, atol=1e-12)


def test_interaction_indices_average_second_differences_over_orders():
    """Averaged over all orders in which the pair joins as one player (the definition of the index)."""
    k, pair = 5, (1, 3)
    values = np.random.default_rng(0).normal(size=(1 << k, 2))
    mask = sum(1 << i for i in pair)
    terms = []
    for order in permutations([0, 2, 4, "pair"]):
        before = sum(1 << i for i in order[: order.index("pair")])
        terms.append(values[before | mask] - values[before | 2] - values[before | 8] + values[before])
    np.testing.assert_allclose(interaction_weights(k, [pair])[0] @ values, np.mean(terms, 0))


def test_a_third_player_shifts_the_index_by_the_index_of_the_triple():
    values = np.random.default_rng(1).normal(size=16)
    absent, triple = interaction_weights(4, [(0, 1)], absent=[3]) @ values, interaction_weights(4, [(0, 1, 3)]) @ values
    assert absent[0] == pytest.approx(interaction_weights(3, [(0, 1)])[0] @ values[:8])
    with_it = values[8:]
    assert absent[0] + triple[0] == pytest.approx(interaction_weights(3, [(0, 1)])[0] @ with_it)


def test_shapley_values_share_out_the_whole():
    values = np.random.default_rng(2).normal(size=32)
    shares = interaction_weights(5, [(i,) for i in range(5)]) @ values
    assert shares.sum() == pytest.approx(values[-1] - values[0])


def test_only_powers_of_two_are_set_functions():
    with pytest.raises(ValueError, match="2 \\*\\* k"):
        moebius(np.zeros(6))
