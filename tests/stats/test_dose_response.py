"""Shapes of dose-response curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from paribus.stats.dose_response import isotonic_fit, logistic_fit

LEVELS = np.array([0, 3, 6, 12, 15, 18, 21, 29, 38, 51, 57.0])


def curve(floor, ceiling, midpoint, slope, levels=LEVELS):
    return floor + (ceiling - floor) / (1 + np.exp(-slope * (levels - midpoint)))


@pytest.mark.parametrize("truth", [(0.0, 1.0, 20.0, 0.2), (2.0, 0.5, 15.0, 0.4), (-1.0, 3.0, 30.0, 0.15)])
def test_a_planted_logistic_curve_is_recovered(truth):
    means = curve(*truth) + 0.005 * np.random.default_rng(0).normal(size=len(LEVELS))
    found = logistic_fit(LEVELS, means)
    assert found is not None
    assert (found.floor, found.ceiling) == pytest.approx(truth[:2], abs=0.1)
    assert found.midpoint == pytest.approx(truth[2], abs=1)
    assert found.slope == pytest.approx(truth[3], rel=0.15)
    assert found.r2 > 0.99
    assert found.predict(LEVELS) == pytest.approx(means, abs=0.05)


def test_a_step_is_located_and_its_slope_marked():
    found = logistic_fit(LEVELS, (LEVELS > 20) * 3.0)
    assert found is not None
    assert 18 < found.midpoint < 21
    assert found.slope_at_bound
    assert found.r2 > 0.999


@pytest.mark.parametrize(
    "means", [LEVELS, np.ones(11), np.exp(LEVELS / 10), 1e-9 * LEVELS + 5], ids=["line", "flat", "exponential", "tiny"]
)
def test_curves_without_floor_and_ceiling_have_no_fit(means):
    assert logistic_fit(LEVELS, means) is None


def test_four_levels_cannot_determine_four_parameters():
    assert logistic_fit([0, 1, 2, 3], [0, 0, 1, 1]) is None
    assert logistic_fit([0, 1, 2, 3, 4], [0, 0, 1, 1, np.nan]) is None


def test_heavier_levels_count_more():
    means = curve(0, 1, 20, 0.3)
    means[-1] = 5
    weights = np.ones(11)
    weights[-1] = 1e-6
    found = logistic_fit(LEVELS, means, weights)
    assert found is not None
    assert found.ceiling == pytest.approx(1, abs=0.01)


@settings(deadline=None, max_examples=30)
@given(
    means=st.lists(st.floats(-10, 10), min_size=3, max_size=12).filter(lambda m: np.std(m) > 1e-3),
    seed=st.integers(0, 99),
)
def test_isotonic_fit_agrees_with_scikit_learn(means, seed):
    draw = np.random.default_rng(seed)
    levels, weights = draw.permutation(len(means)).astype(float), draw.random(len(means)) + 0.1
    found, y = isotonic_fit(levels, means, weights), np.array(means)
    total = weights @ (y - weights @ y / weights.sum()) ** 2
    best = max(
        1 - weights @ (y - IsotonicRegression(increasing=rising).fit(levels, y, weights).predict(levels)) ** 2 / total
        for rising in (True, False)
    )
    assert found.r2 == pytest.approx(best, abs=1e-7)
    steps = np.diff(found.fitted[np.argsort(levels)])
    assert (steps >= -1e-9).all() if found.direction == "rising" else (steps <= 1e-9).all()


def test_monotone_means_are_explained_fully_and_flat_ones_not_at_all():
    assert isotonic_fit(LEVELS, -(LEVELS**2)).r2 == pytest.approx(1)
    assert isotonic_fit(LEVELS, -(LEVELS**2)).direction == "falling"
    assert np.isnan(isotonic_fit(LEVELS, np.full(11, 0.1)).r2)
    assert isotonic_fit([0, 1, 2, 3], [0, 1, 1, 0]).r2 < 0.5


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\), \(2,\)"):
        isotonic_fit([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="no level"):
        logistic_fit([1, 2], [np.nan, np.nan])
