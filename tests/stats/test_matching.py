"""Planted permutations are found exactly; unrelated features are matched no better than chance says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from paribus.stats.matching import correlations, cosines, jaccard, match, null_of_matching, p_of_matches


@given(st.integers(2, 12), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_a_planted_permutation_is_found_exactly(n, seed):
    rng = np.random.default_rng(seed)
    vectors, order = rng.normal(size=(n, 25)), rng.permutation(n)
    for similarity in (cosines, correlations):
        noisy = vectors[order] + 0.01 * rng.normal(size=vectors.shape)
        found = match(similarity(vectors, noisy))
        assert found.second.tolist() == np.argsort(order).tolist()
        assert found.mutual.all() and found.value.min() > 0.95


@given(st.integers(0, 2**31), st.booleans())
@settings(max_examples=25, deadline=None)
def test_it_is_the_best_assignment_of_all(seed, gaps):
    rng = np.random.default_rng(seed)
    similarity = rng.normal(size=(4, 5))
    if gaps:
        similarity[rng.random(similarity.shape) < 0.3] = np.nan
    found = match(similarity)
    best = max(
        (sum(np.isfinite(similarity[range(4), chosen])), np.nansum(similarity[range(4), chosen]))
        for chosen in itertools.permutations(range(5), 4)
    )
    assert len(found.value) == best[0]
    assert found.value.sum() == pytest.approx(best[1])


def test_correlations_are_numpys_also_where_entries_lack():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 20)), rng.normal(size=(4, 20))
    whole = np.corrcoef(a, b)[:3, 3:]
    assert np.allclose(correlations(a, b), whole)
    a[0, :5], b[2, 3:9] = np.nan, np.nan
    both = np.isfinite(a[0]) & np.isfinite(b[2])
    found = correlations(a, b)
    assert found[0, 2] == pytest.approx(np.corrcoef(a[0, both], b[2, both])[0, 1])
    assert found[1, 1] == pytest.approx(whole[1, 1])
    assert np.isnan(correlations(a, b, least=12)[0, 2])
    assert np.isnan(correlations(np.ones((1, 9)), rng.normal(size=(1, 9)))).all()
    assert np.isnan(cosines(np.zeros((1, 3)), np.ones((1, 3)))).all()


def test_unrelated_features_lie_within_their_null_about_as_often_as_they_must():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(40):
        a, b = rng.normal(size=(5, 12)), rng.normal(size=(5, 12))
        drawn = null_of_matching(a, b, correlations, n=60, rng=rng)
        low, high = np.percentile(drawn, [2.5, 97.5])
        inside += low <= match(correlations(a, b)).value.mean() <= high
    assert inside >= 34


def test_nothing_in_common_is_nothing():
    assert len(match(np.full((2, 2), np.nan)).value) == 0
    assert np.isnan(jaccard(frozenset(), frozenset())) and jaccard(frozenset("a"), frozenset("a")) == 1.0


def test_twins_are_each_others_most_similar_whatever_their_order():
    """Two latents that are the same in both models: neither is more similar than the other, but for rounding."""
    alike = np.array([[1.0, 1.0 - 1e-15, 0.2], [1.0, 1.0 - 1e-15, 0.2], [0.3, 0.3, 0.25]])
    for order in itertools.permutations(range(3)):
        found = match(alike[list(order)])
        assert found.mutual.tolist() == [row != 2 for row in order]


@pytest.mark.parametrize("seed", range(6))
def test_p_of_matches_are_those_of_a_loop(seed):
    """Rows of other scales, each with draws without a partner: p within the row, p_adj by the largest of a draw."""
    rng = np.random.default_rng(seed)
    value = np.array([*rng.uniform(-0.5, 0.95, 4), np.nan, 0.3])
    drawn = rng.uniform(-0.9, 0.9, (9, 6)) * [1, 0.1, 0.5, 1, 1, 1]
    drawn[rng.random(drawn.shape) < 0.2] = np.nan
    drawn[:, 5] = 0.3
    p, p_adj = p_of_matches(value, drawn)
    scores = np.zeros((10, 6))  # the last row never has another value: no score stands out
    scores[:, :5] = stats.zscore(np.arctanh(np.vstack([value, drawn])[:, :5]), axis=0, nan_policy="omit")
    for row in range(6):
        if np.isnan(value[row]):
            assert np.isnan(p[row]) and np.isnan(p_adj[row])
            continue
        assert p[row] == (1 + sum(one >= value[row] for one in drawn[:, row])) / 10
        assert p_adj[row] == (1 + sum(np.nanmax(one) >= scores[0, row] for one in scores[1:])) / 10
