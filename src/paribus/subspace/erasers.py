"""Erasers of the domain in features: orthogonal projections, and oblique ones that change the features less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, ExperimentError, nearest
from paribus.subspace.bases import orthonormal_basis, random_subspaces
from paribus.subspace.directions import lda_rows
from paribus.subspace.moments import (
    as_features,
    as_weights,
    between_groups,
    covariance,
    cross_covariance,
    weighted_mean,
)
from paribus.subspace.probes import LinearProbe, fit_probe

PROJECTIONS = ("probe", "mean_difference", "between_domain_pc", "inlp", "lda", "random")
OBLIQUE = ("leace", "splince")
ERASERS = PROJECTIONS + OBLIQUE
SPLINCE_LEAST_EIGENVALUE = 0.05
_VARIANCE_TOLERANCE = 1e-10
_INLP_ROUNDS = 8
_INLP_MARGIN = 0.02


class ErasureRefused(ExperimentError):
    """Raised where an eraser would distort the features too much.

    Example:
        >>> issubclass(ErasureRefused, ExperimentError)
        True
    """


@dataclass(frozen=True)
class Eraser:
    """A fitted edit ``h' = h - (h - center) @ matrix.T``.

    Attributes:
        method: How it was fitted.
        kind: ``projection`` (orthogonal; ``basis`` is set) or ``oblique`` (``matrix`` is set).
        center: The fixed point of the edit [d]: the mean of the rows it was fitted on.
        basis: Orthonormal basis of the removed subspace [d, r].
        matrix: The removed part as a matrix [d, d].
        rank: Dimension of the removed subspace.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> domains = np.arange(80) % 2
        >>> h = rng.normal(0, 1, (80, 3)) + np.outer(domains, [4.0, 0.0, 0.0])
        >>> found = fit_eraser("mean_difference", h, domains, np.arange(80) % 4 > 1, clusters=np.arange(80), rng=rng)
        >>> found.kind, found.rank, found.basis.shape
        ('projection', 1, (3, 1))
    """

    method: str
    kind: Literal["projection", "oblique"]
    center: Floats
    rank: int
    basis: Floats | None = None
    matrix: Floats | None = None

    def apply(self, h: Any) -> Floats:
        """Return the edited features [n, d]."""
        features = np.asarray(h, dtype=np.float64)
        centred = features - self.center
        if self.basis is not None:
            return np.asarray(features - (centred @ self.basis) @ self.basis.T)
        return np.asarray(features - centred @ self.removed().T)

    def removed(self) -> Floats:
        """Return the removed part as a matrix [d, d]."""
        if self.matrix is not None:
            return self.matrix
        if self.basis is None:
            raise ExperimentError(f"eraser {self.method}: has neither basis nor matrix")
        return np.asarray(self.basis @ self.basis.T)


def fit_eraser(
    method: str,
    h: Any,
    domains: Any,
    labels: Any,
    *,
    clusters: Any,
    rng: np.random.Generator,
    weights: Any = None,
    rank: int | None = None,
    domain_probe: LinearProbe | None = None,
) -> Eraser:
    """Fit an eraser of the domain on features.

    Args:
        method: One of :data:`ERASERS`.
        h: Features [n, d].
        domains: Domain of each row [n], at least two.
        labels: Class of each row [n] (``splince`` keeps the features' covariance with it).
        clusters: Cluster ids [n], for the penalty of probes.
        rng: Randomness (folds of probes; the ``random`` subspace).
        weights: Row weights [n]; see :func:`paribus.subspace.moments.balance_weights`.
        rank: The most directions to remove; None for the method's own (1 for ``between_domain_pc``, domains - 1 for
            ``random``). Not for ``leace`` and ``splince``, which remove what the domain's coding spans.
        domain_probe: A domain probe already fitted on these rows, to save fitting it again.

    Raises:
        ConfigError: If the method is unknown or a rank is given to an oblique eraser.
        ErasureRefused: If ``splince`` would have to distort the features (domain and label directions nearly coincide).
        ExperimentError: If the domains cannot be distinguished linearly.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> domains = np.arange(80) % 2
        >>> h = rng.normal(0, 1, (80, 3)) + np.outer(domains, [4.0, 0.0, 0.0])
        >>> found = fit_eraser("leace", h, domains, np.arange(80) % 4 > 1, clusters=np.arange(80), rng=rng)
        >>> edited = h - (h - found.center) @ found.matrix.T
        >>> gap = edited[domains == 1].mean(0) - edited[domains == 0].mean(0)
        >>> found.kind, bool(np.abs(gap).max() < 1e-9)
        ('oblique', True)
    """
    features = as_features(h)
    share = as_weights(weights, len(features))
    center = weighted_mean(features, share)
    if method in OBLIQUE:
        if rank is not None:
            raise ConfigError(f"{method}: removes what the domain's coding spans; rank cannot be chosen")
        keep = labels if method == "splince" else None
        matrix, found = oblique_matrix(features, domains, keep, share)
        return Eraser(method=method, kind="oblique", center=center, rank=found, matrix=matrix)
    if method == "probe":
        fitted = domain_probe or fit_probe(features, domains, clusters=clusters, rng=rng, weights=weights)
        basis = orthonormal_basis(fitted.rows(), rank=rank)
    elif method == "mean_difference":
        basis = orthonormal_basis(between_groups(features, domains, share), rank=rank)
    elif method == "between_domain_pc":
        basis = orthonormal_basis(between_groups(features, domains, share), rank=rank or 1)
    elif method == "lda":
        basis = orthonormal_basis(lda_rows(features, domains, weights=share), rank=rank)
    elif method == "inlp":
        basis = _inlp_basis(features, domains, clusters, rng, share, rank, domain_probe)
    elif method == "random":
        r = rank or max(len(np.unique(np.asarray(domains))) - 1, 1)
        basis = random_subspaces(1, features.shape[1], r, kind="isotropic", rng=rng)[0]
    else:
        raise ConfigError(f"eraser: no such method {method!r}; {nearest(method, ERASERS)}")
    if basis.shape[1] == 0:
        raise ExperimentError(f"eraser {method}: nothing tells the domains apart at this site")
    return Eraser(method=method, kind="projection", center=center, rank=basis.shape[1], basis=basis)


def oblique_matrix(features: Floats, domains: Any, keep: Any | None, share: Floats) -> tuple[Floats, int]:
    """Return the removed part ``W^+ A (A'MA)^-1 A'M W`` [d, d] and the rank of ``A``.

    ``W = Sigma^(-1/2)`` (pseudo-inverse), ``A`` an orthonormal basis of ``W Sigma_hz``. ``M = I`` gives LEACE (Belrose
    et al. 2023, NeurIPS, theorem 4.3); ``M = I - Pi(W Sigma_hy)`` keeps the covariance with the classes ``keep``
    (SPLINCE: Holstege et al. 2025). Directions without variance are left as they are.
    """
    values, vectors = np.linalg.eigh(covariance(features, share))
    held = values > _VARIANCE_TOLERANCE * max(float(values[-1]), 0.0)
    if not held.any():
        raise ExperimentError("eraser: no feature varies at this site")
    sd, axes = np.sqrt(values[held]), vectors[:, held]
    # In coordinates of the axes, W is diagonal: whitened = (axes' h) / sd.
    target = (axes.T @ cross_covariance(features, domains, share)) / sd[:, None]
    a = orthonormal_basis(target.T)
    if a.shape[1] == 0:
        raise ExperimentError("eraser: nothing tells the domains apart at this site")
    am = a.T
    if keep is not None:
        kept = orthonormal_basis(((axes.T @ cross_covariance(features, keep, share)) / sd[:, None]).T)
        am = a.T - (a.T @ kept) @ kept.T
        least = float(np.linalg.eigvalsh(am @ a)[0])
        if least < SPLINCE_LEAST_EIGENVALUE:
            raise ErasureRefused(
                f"splince: domain and label directions nearly coincide (smallest eigenvalue {least:.3g} < "
                f"{SPLINCE_LEAST_EIGENVALUE}); keeping the label would distort the features, use leace"
            )
    middle = a @ np.linalg.solve(am @ a, am)
    return np.asarray((axes * sd) @ middle @ (axes / sd).T), a.shape[1]


def _inlp_basis(
    features: Floats,
    domains: Any,
    clusters: Any,
    rng: np.random.Generator,
    share: Floats,
    rank: int | None,
    first: LinearProbe | None,
) -> Floats:
    """Return the directions that successive probes find (INLP: Ravfogel et al. 2020, ACL, algorithm 1).

    It ends when a probe's balanced accuracy on the rows themselves is within .02 of chance, after 8 rounds, or when
    ``rank`` directions are found.
    """
    names, index = np.unique(np.asarray(domains), return_inverse=True)
    chance = 1.0 / len(names)
    weight_of = np.bincount(index, weights=share)
    basis = np.zeros((features.shape[1], 0))
    left, fitted = features - share @ features, first
    for _ in range(_INLP_ROUNDS):
        if fitted is None or basis.shape[1]:
            l2 = "cv" if fitted is None else fitted.l2
            fitted = fit_probe(left, domains, clusters=clusters, rng=rng, weights=share, l2=l2, tolerance=1e-5)  # type: ignore[arg-type]
        scored = left if basis.shape[1] else features
        recall = np.bincount(index, weights=share * (fitted.predict(scored) == names[index])) / weight_of
        if basis.shape[1] and float(recall.mean()) <= chance + _INLP_MARGIN:
            break
        rows = fitted.rows()
        fresh = orthonormal_basis(rows - (rows @ basis) @ basis.T)
        basis = orthonormal_basis(np.concatenate([basis, fresh], axis=1).T)
        if rank is not None and basis.shape[1] >= rank:
            return basis[:, :rank]
        if basis.shape[1] >= features.shape[1] - 1:
            break
        left = left - (left @ basis) @ basis.T
    return basis
