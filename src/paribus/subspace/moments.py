"""Weighted means and covariances of features, within and between groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ExperimentError


def as_features(h: Any) -> Floats:
    """Return ``h`` as a float64 matrix [n, d].

    Raises:
        ExperimentError: If it is not a matrix or holds a NaN or an infinity.

    Example:
        >>> as_features([[1, 2], [3, 4]]).dtype
        dtype('float64')
    """
    features = np.asarray(h, dtype=np.float64)
    if features.ndim != 2 or features.shape[0] == 0:
        raise ExperimentError(f"features: must be a matrix [rows, features] with rows, got shape {features.shape}")
    if not np.isfinite(features).all():
        raise ExperimentError("features: hold a NaN or an infinity; look at the model's activations at this site")
    return features


def as_weights(weights: Any, n: int) -> Floats:
    """Return weights [n] that sum to 1; None weighs all rows alike.

    Raises:
        ExperimentError: If there are not ``n`` of them, one is negative, or all are 0.

    Example:
        >>> as_weights(None, 4).tolist(), as_weights([1, 3], 2).tolist()
        ([0.25, 0.25, 0.25, 0.25], [0.25, 0.75])
    """
    if weights is None:
        return np.full(n, 1.0 / n)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (n,):
        raise ExperimentError(f"weights: must have shape ({n},), got {given.shape}")
    total = float(given.sum())
    if not np.isfinite(total) or total <= 0 or (given < 0).any():
        raise ExperimentError("weights: must be finite, not negative, and not all 0")
    return given / total


def balance_weights(domains: Any, labels: Any) -> Floats:
    """Return weights [n], mean 1, under which every domain x class cell that has rows weighs the same.

    They remove the association of label and domain, so that a basis fitted for the domain does not include the label.
    Where a cell has no rows, part of the confounding remains.

    Example:
        >>> weights = balance_weights(domains=[0, 0, 0, 1], labels=[0, 0, 1, 1])
        >>> weights.round(2).tolist(), round(float(weights.mean()), 6)
        ([0.67, 0.67, 1.33, 1.33], 1.0)
    """
    _, domain = np.unique(np.asarray(domains), return_inverse=True)
    classes, label = np.unique(np.asarray(labels), return_inverse=True)
    cell = domain * len(classes) + label
    weights = 1.0 / np.bincount(cell)[cell]
    return np.asarray(weights * (len(cell) / weights.sum()), dtype=np.float64)


def weighted_mean(h: Floats, weights: Floats) -> Floats:
    """Return the mean [d] of rows under weights that sum to 1.

    Example:
        >>> weighted_mean(np.array([[0.0], [4.0]]), np.array([0.25, 0.75])).tolist()
        [3.0]
    """
    return np.asarray(weights @ h, dtype=np.float64)


def covariance(h: Floats, weights: Floats) -> Floats:
    """Return the covariance [d, d] (divided by the total weight) under weights that sum to 1.

    Example:
        >>> covariance(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.5, 0.5])).round(6).tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    centred = (h - weights @ h) * np.sqrt(weights)[:, None]
    return np.asarray(centred.T @ centred, dtype=np.float64)


def group_means(h: Floats, groups: Any, weights: Floats) -> tuple[Floats, Floats]:
    """Return the groups' means [k, d] and their shares of the weight [k], groups in ascending order.

    Example:
        >>> means, shares = group_means(np.array([[1.0], [3.0], [5.0]]), [0, 0, 1], np.full(3, 1 / 3))
        >>> means.tolist(), shares.round(2).tolist()
        ([[2.0], [5.0]], [0.67, 0.33])
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    members = np.zeros((len(names), len(h)))
    members[index, np.arange(len(h))] = weights
    shares = members.sum(axis=1)
    if (shares <= 0).any():
        raise ExperimentError(f"group {names[int(shares.argmin())]!r} has no weight; leave it out or weigh its rows")
    return np.asarray(members @ h / shares[:, None], dtype=np.float64), shares


def between_groups(h: Floats, groups: Any, weights: Floats) -> Floats:
    """Return ``B`` [k, d] with ``B.T @ B`` the between-group covariance: centred means times root shares.

    Example:
        >>> h = np.array([[0.0, 1.0], [4.0, 1.0]])
        >>> b = between_groups(h, [0, 1], np.array([0.5, 0.5]))
        >>> (b.T @ b).round(6).tolist()
        [[4.0, 0.0], [0.0, 0.0]]
    """
    means, shares = group_means(h, groups, weights)
    return _without_rounding((means - shares @ means) * np.sqrt(shares)[:, None], h)


def within_groups(h: Floats, groups: Any, weights: Floats) -> Floats:
    """Return the pooled within-group covariance [d, d].

    Example:
        >>> within_groups(np.array([[1.0], [-1.0], [5.0]]), [0, 0, 1], np.full(3, 1 / 3)).round(3).tolist()
        [[0.667]]
    """
    means, _ = group_means(h, groups, weights)
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    centred = (h - means[index]) * np.sqrt(weights)[:, None]
    return np.asarray(centred.T @ centred, dtype=np.float64)


def cross_covariance(h: Floats, groups: Any, weights: Floats) -> Floats:
    """Return the covariance [d, k] of features with the one-hot coding of the groups.

    Example:
        >>> cross_covariance(np.zeros((4, 3)), [0, 0, 1, 1], np.full(4, 0.25)).shape
        (3, 2)
    """
    means, shares = group_means(h, groups, weights)
    return _without_rounding(((means - weights @ h) * shares[:, None]).T, h)


def _without_rounding(differences: Floats, h: Floats) -> Floats:
    """Return differences of means, or zeros where they are no larger than the rounding of ``h``."""
    size = float(np.sqrt((h**2).sum(axis=1).max()))
    if float(np.abs(differences).max(initial=0.0)) <= 1e-12 * size:
        return np.zeros_like(differences)
    return np.asarray(differences, dtype=np.float64)
