"""Orthonormal bases: of given rows with a rank tolerance, and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, nearest
from paribus.subspace.moments import as_weights

RANDOM_KINDS = ("isotropic", "covariance")
RANK_TOLERANCE = 1e-6


def orthonormal_basis(rows: Any, *, rank: int | None = None) -> Floats:
    """Return an orthonormal basis [d, r] of the span of ``rows`` [k, d], strongest direction first.

    The rank is the number of singular values above a millionth of the largest, so that rows which depend on each
    other (a softmax probe of three classes has three rows of rank 2) are no trouble. ``rank`` bounds it from above.

    Example:
        >>> orthonormal_basis([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).shape
        (3, 2)
    """
    matrix = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    _, values, vectors = np.linalg.svd(matrix, full_matrices=False)
    found = int((values > RANK_TOLERANCE * values[0]).sum()) if values.size and values[0] > 0 else 0
    return np.ascontiguousarray(vectors[: found if rank is None else min(found, rank)].T)


def covariance_root(h: Floats, weights: Any = None) -> Floats:
    """Return ``R`` [n, d] with ``R.T @ R`` the covariance of the rows of ``h`` under ``weights``.

    Example:
        >>> h = np.random.default_rng(0).normal(size=(50, 3))
        >>> root = covariance_root(h)
        >>> bool(np.allclose(root.T @ root, np.cov(h.T, bias=True)))
        True
    """
    share = as_weights(weights, len(h))
    return np.asarray((h - share @ h) * np.sqrt(share)[:, None], dtype=np.float64)


def random_subspaces(
    n: int, d: int, rank: int, *, kind: str, rng: np.random.Generator, root: Floats | None = None
) -> Floats:
    """Draw orthonormal bases [n, d, rank] of random subspaces.

    Args:
        n: How many.
        d: Width of the features.
        rank: Dimension of each subspace.
        kind: ``isotropic`` (uniform over all subspaces of that dimension) or ``covariance`` (spanned by draws from the
            normal distribution with the features' covariance, so that directions of high variance are likelier).
        rng: Randomness.
        root: For ``covariance``: a matrix [m, d] with ``root.T @ root`` the covariance.

    Raises:
        ConfigError: If the kind is unknown or the rank is not between 1 and ``d``.

    Example:
        >>> random_subspaces(4, d=6, rank=2, kind="isotropic", rng=np.random.default_rng(0)).shape
        (4, 6, 2)
    """
    if kind not in RANDOM_KINDS:
        raise ConfigError(f"random subspaces: no such kind {kind!r}; {nearest(kind, RANDOM_KINDS)}")
    if not 1 <= rank <= d:
        raise ConfigError(f"random subspaces: rank must be between 1 and {d}, got {rank}")
    if kind == "isotropic":
        draws = rng.standard_normal((n, d, rank))
    else:
        if root is None:
            raise ConfigError("random subspaces of kind 'covariance' need the root of the covariance")
        mixed = root.T @ rng.standard_normal((root.shape[0], n * rank))
        draws = mixed.reshape(d, n, rank).transpose(1, 0, 2)
        scale = np.abs(draws).max()
        # A covariance of lower rank than asked leaves columns that depend on each other; jitter far below the data
        # completes them to a basis.
        draws = draws + rng.standard_normal(draws.shape) * (1e-9 * scale if scale > 0 else 1.0)
    q, r = np.linalg.qr(draws)
    # Householder's q has a sign of its own, whatever was drawn: only with that of r is it uniform (Mezzadri 2007)
    return np.ascontiguousarray(q * np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :])
