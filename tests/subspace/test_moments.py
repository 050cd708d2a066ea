"""Weighted moments: the decomposition of variance, and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ExperimentError
from paribus.subspace.moments import (
    as_weights,
    between_groups,
    covariance,
    cross_covariance,
    group_means,
    within_groups,
)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_total_is_within_plus_between(seed, k):
    r = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(k), r.integers(0, k, 40)])
    h, weights = r.standard_normal((len(groups), 5)), as_weights(r.random(len(groups)) + 0.1, len(groups))
    between = between_groups(h, groups, weights)
    assert np.allclose(within_groups(h, groups, weights) + between.T @ between, covariance(h, weights))
    assert np.allclose(covariance(h, weights), np.cov(h.T, aweights=weights, ddof=0))
    onehot = np.eye(k)[groups]
    expected = (h - weights @ h).T @ (weights[:, None] * (onehot - weights @ onehot))
    assert np.allclose(cross_covariance(h, groups, weights), expected)


@pytest.mark.parametrize("weights", [[1, 1], [0, 0, 0], [1, -1, 1], [1, np.nan, 1]])
def test_unfit_weights_are_refused(weights):
    with pytest.raises(ExperimentError, match="weights"):
        as_weights(weights, 3)


def test_a_group_without_weight_is_refused():
    with pytest.raises(ExperimentError, match="has no weight"):
        group_means(np.eye(2), [0, 1], np.array([1.0, 0.0]))


def test_without_weights_all_rows_count_alike():
    assert as_weights(None, 4).tolist() == [0.25] * 4
