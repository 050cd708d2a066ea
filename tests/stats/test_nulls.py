"""Quantiles of nulls and standing in them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import percentileofscore

from paribus.stats.nulls import null_percentile, null_quantiles


def test_quantiles_are_over_the_last_axis_and_skip_missing_draws():
    null = np.array([[0.0, 1, 2, 3, 4], [np.nan, 1, 2, 3, np.nan], [np.nan] * 5])
    low, median, high = null_quantiles(null)
    assert median.tolist()[:2] == [2, 2]
    assert low[0] == pytest.approx(0.1)
    assert high[1] == pytest.approx(2.95)
    assert np.isnan([low[2], median[2], high[2]]).all()


def test_percentile_agrees_with_scipy_on_ties():
    null = np.random.default_rng(0).integers(0, 5, 100)
    for value in (-1, 0, 2, 2.5, 9):
        assert null_percentile(value, null) == pytest.approx(percentileofscore(null, value, kind="mean"))


def test_shares_that_are_equal_but_for_rounding_are_ties():
    """The mean of differences and the difference of means are a bit apart: most accuracies under an edit are ties."""
    rng = np.random.default_rng(0)
    right, wrong = rng.random(60) < 0.8, rng.random((200, 60)) < 0.1
    draws = (right & ~wrong).mean(1) - right.mean()
    value = ((right & ~wrong[0]).astype(float) - right).mean()
    counts = (right & ~wrong).sum(1)
    exact = percentileofscore(counts, counts[0], kind="mean")
    assert (draws < value).mean() + (draws == value).mean() / 2 != pytest.approx(exact / 100), (
        "or nothing is tried here"
    )
    assert null_percentile(value, draws) == pytest.approx(exact)


def test_what_is_zero_but_for_rounding_has_its_place_among_such_draws():
    noise = np.random.default_rng(0).normal(0, 1e-8, 40)
    assert null_percentile(noise[:4], noise[4:], scale=1.0).tolist() == [50.0] * 4
    assert null_percentile(5e-8, noise) == 100.0


def test_rows_have_their_own_or_a_shared_null():
    values = np.array([0.0, 10.0, np.nan])
    assert null_percentile(values, np.array([-1.0, 1.0])).tolist()[:2] == [50, 100]
    own = null_percentile(values, np.array([[1.0, 2.0], [9.0, 11.0], [0.0, 1.0]]))
    assert own.tolist()[:2] == [0, 50]
    assert np.isnan(own[2])
    assert np.isnan(null_percentile(1.0, np.array([np.nan])))


def test_quantiles_of_a_table_of_nulls_keep_its_shape():
    null = np.random.default_rng(1).normal(size=(2, 3, 41))
    for found, q in zip(null_quantiles(null), (0.025, 0.5, 0.975), strict=True):
        np.testing.assert_allclose(found, np.quantile(null, q, axis=-1))
