"""Directions: planted axes are found, LDA agrees with scikit-learn, signs follow the margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from paribus.errors import ConfigError, ExperimentError
from paribus.subspace.directions import DIRECTIONS, find_direction, lda, mean_difference, orient, projected_sd
from paribus.subspace.moments import balance_weights


def degrees(a, b):
    return float(np.degrees(np.arccos(np.clip(abs(a @ b), 0, 1))))


def find(method, made, weights=None, **more):
    return find_direction(
        method, made.h, made.domains, clusters=made.clusters, rng=np.random.default_rng(0), weights=weights, **more
    )


@pytest.mark.parametrize("method", ["between_domain_pc", "mean_difference", "probe", "lda"])
@pytest.mark.parametrize("n_domains", [2, 3])
def test_the_planted_axis_is_found_within_five_degrees(plant, method, n_domains):
    made = plant(n=10_000, n_domains=n_domains, domain_gap=3.0)
    assert degrees(find(method, made), made.domain_axis) < 5


def test_balancing_keeps_the_label_out_of_a_confounded_direction(plant):
    made = plant(n=10_000, confounding=0.9, domain_gap=1.0, label_gap=3.0)
    plain = find("mean_difference", made)
    balanced = find("mean_difference", made, weights=balance_weights(made.domains, made.labels))
    assert abs(plain @ made.label_axis) > 0.8
    assert abs(balanced @ made.label_axis) < 0.15


def test_lda_equals_scikit_learn_and_differs_from_the_principal_direction(plant):
    noise = np.linalg.qr(np.random.default_rng(8).standard_normal((6, 6))).Q @ np.diag([6, 3, 2, 1, 1, 0.5])
    made = plant(n=3000, d=6, n_domains=3, noise=noise)
    oracle = LinearDiscriminantAnalysis(solver="eigen").fit(made.h, made.domains).scalings_[:, 0]
    assert degrees(lda(made.h, made.domains), oracle / np.linalg.norm(oracle)) < 1e-4
    assert degrees(lda(made.h, made.domains), find("between_domain_pc", made)) > 10


def test_lda_leaves_out_features_without_variance(plant):
    made = plant()
    h = np.column_stack([made.h, np.zeros(len(made.h))])
    assert np.allclose(np.abs(lda(h, made.domains)[:-1]), np.abs(lda(made.h, made.domains)), atol=1e-6)


def test_mean_difference_of_a_named_pair_points_from_first_to_second(plant):
    made = plant(n=5000, n_domains=3, domain_gap=4.0)
    up = mean_difference(made.h, made.domains, pair=(0, 1))
    assert np.allclose(mean_difference(made.h, made.domains, pair=(1, 0)), -up)
    assert up @ made.domain_axis > 0.9
    with pytest.raises(ConfigError, match="no domain 7"):
        mean_difference(made.h, made.domains, pair=(0, 7))


@pytest.mark.parametrize("method", DIRECTIONS)
def test_every_direction_is_a_unit_vector(plant, method):
    assert np.isclose(np.linalg.norm(find(method, plant(n_domains=3, n=300))), 1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_an_oriented_direction_never_lowers_the_margin(seed):
    r = np.random.default_rng(seed)
    v, gradient = r.standard_normal((6, 5)), r.standard_normal(5)
    turned = orient(v, gradient)
    assert (turned @ gradient >= 0).all()
    assert np.allclose(np.abs(turned), np.abs(v))
    assert np.allclose(orient(-v, gradient), turned)


def test_a_direction_orthogonal_to_the_gradient_keeps_its_sign():
    assert orient(np.array([0.0, -1.0]), np.array([1.0, 0.0])).tolist() == [0.0, -1.0]


def test_projected_sd_is_the_sd_of_the_projection(plant):
    made = plant()
    v = np.stack([made.domain_axis, made.label_axis])
    assert np.allclose(projected_sd(made.h, v), (made.h @ v.T).std(axis=0))


def test_equal_domains_and_unknown_methods_are_refused():
    h, domains = np.ones((6, 2)), [0, 0, 0, 1, 1, 1]
    for method in ("between_domain_pc", "mean_difference"):
        with pytest.raises(ExperimentError, match="nothing tells them apart"):
            find_direction(method, h, domains, clusters=range(6), rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="did you mean 'lda'"):
        find_direction("ldaa", h, domains, clusters=range(6), rng=np.random.default_rng(0))
