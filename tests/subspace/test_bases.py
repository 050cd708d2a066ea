"""Orthonormal bases and random subspaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError
from paribus.subspace.bases import covariance_root, orthonormal_basis, random_subspaces


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4), st.integers(4, 9))
def test_a_basis_spans_its_rows_whatever_depends_on_what(seed, n_rows, rank, d):
    r = np.random.default_rng(seed)
    rows = r.standard_normal((n_rows, rank)) @ r.standard_normal((rank, d))
    basis = orthonormal_basis(rows)
    assert basis.shape[1] == min(n_rows, rank)
    assert np.allclose(basis.T @ basis, np.eye(basis.shape[1]))
    assert np.allclose(rows @ basis @ basis.T, rows)


def test_rank_bounds_the_basis_and_nothing_spans_nothing():
    rows = np.diag([3.0, 2.0, 1.0])
    assert np.allclose(np.abs(orthonormal_basis(rows, rank=1)[:, 0]), [1, 0, 0])
    assert orthonormal_basis(np.zeros((2, 5))).shape == (5, 0)


@pytest.mark.parametrize("kind", ["isotropic", "covariance"])
def test_random_subspaces_are_orthonormal(kind):
    r = np.random.default_rng(0)
    root = covariance_root(r.standard_normal((50, 7)))
    drawn = random_subspaces(20, 7, 3, kind=kind, rng=r, root=root)
    assert drawn.shape == (20, 7, 3)
    assert np.allclose(drawn.transpose(0, 2, 1) @ drawn, np.eye(3))


@pytest.mark.parametrize("rank", [1, 3])
def test_a_basis_prefers_no_side_of_any_axis(rank):
    """Steering along a drawn direction has a sign; that of an orthonormalisation would be a null of half the sphere."""
    drawn = random_subspaces(2000, 5, rank, kind="isotropic", rng=np.random.default_rng(0))
    matched = random_subspaces(2000, 5, rank, kind="covariance", rng=np.random.default_rng(0), root=np.eye(5))
    for bases in (drawn, matched):
        positive = (bases > 0).mean(0)
        assert np.abs(positive - 0.5).max() < 0.06, "5 sd of a share of 2,000 fair tosses"


def test_covariance_matched_subspaces_hold_more_variance_than_isotropic_ones():
    r = np.random.default_rng(1)
    h = r.standard_normal((500, 20)) * np.geomspace(1, 0.01, 20)
    root = covariance_root(h)

    def explained_share(basis, root):
        return float(((root @ basis) ** 2).sum() / (root**2).sum())

    held = {
        kind: np.mean([explained_share(q, root) for q in random_subspaces(200, 20, 2, kind=kind, rng=r, root=root)])
        for kind in ("isotropic", "covariance")
    }
    # An isotropic plane holds 2/20 of the variance on average.
    assert abs(held["isotropic"] - 0.1) < 0.02
    assert held["covariance"] > 0.3


def test_a_covariance_of_low_rank_still_gives_a_basis():
    root = np.zeros((3, 6))
    root[0, 0] = 1.0
    drawn = random_subspaces(5, 6, 4, kind="covariance", rng=np.random.default_rng(0), root=root)
    assert np.allclose(drawn.transpose(0, 2, 1) @ drawn, np.eye(4))
    assert np.allclose(np.abs(drawn[:, 0, 0]), 1, atol=1e-6)


@pytest.mark.parametrize(("kind", "rank"), [("gaussian", 1), ("isotropic", 0), ("isotropic", 8), ("covariance", 1)])
def test_wrong_requests_are_refused(kind, rank):
    with pytest.raises(ConfigError):
        random_subspaces(1, 7, rank, kind=kind, rng=np.random.default_rng(0))


def test_random_subspaces_know_no_unit():
    root = np.random.default_rng(0).standard_normal((20, 5)) * [5.0, 3.0, 1.0, 0.5, 0.2]
    for scale in (1e-7, 1e7):
        plain, other = (
            random_subspaces(3, 5, 2, kind="covariance", rng=np.random.default_rng(1), root=factor * root)
            for factor in (1.0, scale)
        )
        np.testing.assert_allclose(other @ other.transpose(0, 2, 1), plain @ plain.transpose(0, 2, 1), atol=1e-6)
