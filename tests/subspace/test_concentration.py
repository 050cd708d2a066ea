"""Concentration measures on spectra and subspaces with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from paribus.subspace.concentration import (
    concentration,
    first_k,
    participation_ratio,
    principal_angles,
    top_eigenvalue_share,
)
from paribus.subspace.moments import balance_weights


def test_spectra():
    assert top_eigenvalue_share(np.array([3.0, 1.0])) == 0.75
    assert participation_ratio(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert participation_ratio(np.array([5.0, 0.0])) == pytest.approx(1)
    assert math.isnan(top_eigenvalue_share(np.zeros(2)))
    assert math.isnan(participation_ratio(np.zeros(2)))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_angles_equal_scipys(seed, a, b):
    r = np.random.default_rng(seed)
    first, second = (np.linalg.qr(r.standard_normal((8, k))).Q for k in (a, b))
    ours = principal_angles(first, second)
    assert np.allclose(ours, np.degrees(subspace_angles(first, second))[::-1], atol=1e-6)
    assert ours == sorted(ours)


def test_a_small_angle_is_not_lost_to_rounding():
    tilt = 1e-6
    a, b = np.array([[1.0], [0.0]]), np.array([[math.cos(tilt)], [math.sin(tilt)]])
    assert principal_angles(a, b)[0] == pytest.approx(math.degrees(tilt), rel=1e-6)


def test_planted_line_and_angle(plant):
    made = plant(n=20_000, n_domains=3, domain_gap=4.0, label_gap=4.0, angle=60.0)
    found = concentration(made.h, made.domains, made.labels, weights=balance_weights(made.domains, made.labels))
    assert found.top_eigenvalue_share > 0.99
    assert found.participation_ratio == pytest.approx(1, abs=0.02)
    assert found.top_angle == pytest.approx(60, abs=2)
    assert found.principal_angles[0] <= found.top_angle


def test_two_domains_have_one_angle(plant):
    made = plant(n=20_000, domain_gap=4.0, label_gap=4.0, angle=30.0)
    found = concentration(made.h, made.domains, made.labels)
    assert found.principal_angles == pytest.approx([30], abs=2)
    assert found.top_angle == found.principal_angles[0]


def test_domains_that_nothing_tells_apart_have_no_angle():
    h, domains = np.tile([[1.0, 2.0], [3.0, -1.0]], (6, 1)), np.repeat([0, 1, 0, 1, 0, 1], 2)
    found = concentration(h, domains, np.tile([0, 1], 6))
    assert found.principal_angles == ()
    assert math.isnan(found.top_angle)
    assert math.isnan(found.top_eigenvalue_share)


def test_three_domains_at_the_corners_of_a_triangle_fill_a_plane(plant):
    made = plant(n=20_000, n_domains=3, domain_gap=0.0)
    made.h = made.h + np.eye(3, 12)[made.domains] * 5
    found = concentration(made.h, made.domains, made.labels)
    assert found.top_eigenvalue_share == pytest.approx(0.5, abs=0.02)
    assert found.participation_ratio == pytest.approx(2, abs=0.02)


def test_first_k_is_the_first_half_way_to_chance():
    assert first_k([0, 4, 16, 8], [0.9, 0.8, 0.4, 0.65], raw=0.9, chance=1 / 3) == 16
    assert first_k([0, 4], [0.9, 0.6], raw=0.9, chance=0.33) == 4
    assert first_k([0, 4], [0.9, 0.8], raw=0.9, chance=0.33) is None
