"""How concentrated the domain is in feature space, and the angles between its subspace and the label's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import subspace_angles

from paribus.arrays import Floats
from paribus.subspace.bases import orthonormal_basis
from paribus.subspace.moments import as_features, as_weights, between_groups


@dataclass(frozen=True)
class Concentration:
    """How concentrated the domain is.

    Attributes:
        top_eigenvalue_share: Share of the between-domain trace in its top eigenvalue (1: a line).
        participation_ratio: ``(sum of eigenvalues)^2 / sum of their squares``: the effective number of directions.
        principal_angles: Angles in degrees between the spans of the domains' and the classes' means, ascending. A
            direction of the domain that is only sampling noise makes them smaller.
        top_angle: Angle in degrees between the top between-domain direction alone and the span of the classes' means.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> domains = np.arange(90) % 3
        >>> h = np.outer(domains, [1.0, 0.0, 0.0]) + rng.normal(0, 0.1, (90, 3))
        >>> found = concentration(h, domains, rng.integers(0, 2, 90))
        >>> found.top_eigenvalue_share > 0.99, round(found.participation_ratio, 1)
        (True, 1.0)
    """

    top_eigenvalue_share: float
    participation_ratio: float
    principal_angles: tuple[float, ...]
    top_angle: float


def concentration(h: Any, domains: Any, labels: Any, *, weights: Any = None) -> Concentration:
    """Measure how concentrated the domain is in features [n, d].

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = concentration(rng.normal(size=(60, 4)), np.arange(60) % 3, np.arange(60) % 2)
        >>> len(found.principal_angles)
        1
    """
    features = as_features(h)
    share = as_weights(weights, len(features))
    between = between_groups(features, domains, share)
    spectrum = np.asarray(np.linalg.svd(between, compute_uv=False) ** 2, dtype=np.float64)
    domain, label = orthonormal_basis(between), orthonormal_basis(between_groups(features, labels, share))
    top = principal_angles(domain[:, :1], label)
    return Concentration(
        top_eigenvalue_share=top_eigenvalue_share(spectrum),
        participation_ratio=participation_ratio(spectrum),
        principal_angles=tuple(principal_angles(domain, label)),
        top_angle=top[0] if top else float("nan"),
    )


def top_eigenvalue_share(eigenvalues: Floats) -> float:
    """Return the largest eigenvalue's share of the trace; NaN where all are 0.

    Example:
        >>> top_eigenvalue_share(np.array([3.0, 1.0]))
        0.75
    """
    total = float(eigenvalues.sum())
    return float(eigenvalues.max()) / total if total > 0 else float("nan")


def participation_ratio(eigenvalues: Floats) -> float:
    """Return ``(sum)^2 / sum of squares``, between 1 and the number of eigenvalues; NaN where all are 0.

    Example:
        >>> participation_ratio(np.array([1.0, 1.0])), participation_ratio(np.array([1.0, 0.0]))
        (2.0, 1.0)
    """
    squares = float((eigenvalues**2).sum())
    return float(eigenvalues.sum()) ** 2 / squares if squares > 0 else float("nan")


def principal_angles(a: Floats, b: Floats) -> list[float]:
    """Return the principal angles in degrees between the spans of orthonormal ``a`` [d, r] and ``b`` [d, s], ascending.

    Example:
        >>> [round(angle) for angle in principal_angles(np.eye(3)[:, :1], np.array([[1.0], [1.0], [0.0]]) / np.sqrt(2))]
        [45]
    """
    if not a.shape[1] or not b.shape[1]:
        return []
    return [float(angle) for angle in np.degrees(subspace_angles(a, b))[::-1]]


def first_k(ks: Sequence[int], accuracies: Sequence[float], *, raw: float, chance: float) -> int | None:
    """Return the first K whose refit domain probe's balanced accuracy is at most ``(raw + chance) / 2``, or None.

    Example:
        >>> first_k([1, 4, 16], [0.9, 0.7, 0.5], raw=1.0, chance=0.5)
        4
    """
    for k, accuracy in sorted(zip(ks, accuracies, strict=True)):
        if accuracy <= (raw + chance) / 2:
            return k
    return None
