"""Single directions in feature space, and the convention for their sign."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, ExperimentError, nearest
from paribus.subspace.bases import covariance_root, random_subspaces
from paribus.subspace.moments import as_features, as_weights, between_groups, group_means, within_groups
from paribus.subspace.probes import fit_probe

DIRECTIONS = ("between_domain_pc", "mean_difference", "probe", "lda", "random")
_TOLERANCE = 1e-10


def between_domain_pc(h: Any, domains: Any, *, weights: Any = None) -> Floats:
    """Return the top eigenvector [d] of the covariance between domain means (not LDA: nothing is whitened).

    Example:
        >>> h = np.array([[0.0, 1.0], [0.0, -1.0], [4.0, 1.0], [4.0, -1.0]])
        >>> np.abs(between_domain_pc(h, [0, 0, 1, 1])).round(2).tolist()
        [1.0, 0.0]
    """
    features = as_features(h)
    return _top_row(between_groups(features, domains, as_weights(weights, len(features))))


def mean_difference(h: Any, domains: Any, *, weights: Any = None, pair: tuple[Any, Any] | None = None) -> Floats:
    """Return the unit difference [d] of two domains' means: second minus first of ``pair``.

    Without a pair, of the two domains whose means lie farthest apart.

    Example:
        >>> mean_difference([[0.0, 1.0], [0.0, -1.0], [4.0, 1.0], [4.0, -1.0]], [0, 0, 1, 1]).tolist()
        [1.0, 0.0]
    """
    features = as_features(h)
    means, _ = group_means(features, domains, as_weights(weights, len(features)))
    names = np.unique(np.asarray(domains)).tolist()
    if pair is not None:
        missing = [name for name in pair if name not in names]
        if missing:
            raise ConfigError(f"mean_difference: no domain {missing[0]!r}; {nearest(str(missing[0]), map(str, names))}")
        low, high = names.index(pair[0]), names.index(pair[1])
    else:
        apart = ((means[:, None, :] - means[None, :, :]) ** 2).sum(axis=2)
        low, high = (int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    return _unit(means[high] - means[low])


def probe(h: Any, domains: Any, *, clusters: Any, rng: np.random.Generator, weights: Any = None) -> Floats:
    """Return the strongest direction [d] of a domain probe's rows in raw feature space.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> domains = np.arange(60) % 2
        >>> h = np.outer(domains, [3.0, 0.0, 0.0]) + rng.normal(0, 0.5, (60, 3))
        >>> v = probe(h, domains, clusters=np.arange(60), rng=rng)
        >>> v.shape, bool(abs(v[0]) > 0.9)
        ((3,), True)
    """
    return _top_row(fit_probe(h, domains, clusters=clusters, rng=rng, weights=weights).rows())


def lda(h: Any, domains: Any, *, weights: Any = None) -> Floats:
    """Return the first discriminant direction [d] of Fisher's linear discriminant analysis.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> h = rng.normal(0, 1, (60, 3)) + np.outer(np.arange(60) % 2, [0.0, 4.0, 0.0])
        >>> int(np.abs(lda(h, np.arange(60) % 2)).argmax())
        1
    """
    return _unit(lda_rows(h, domains, weights=weights)[0])


def lda_rows(h: Any, domains: Any, *, weights: Any = None) -> Floats:
    """Return all discriminant directions [k - 1, d], strongest first (Fisher 1936; Rao 1948).

    Eigenvectors of the between-domain covariance relative to the pooled within-domain covariance, whose
    pseudo-inverse leaves out directions without variance.

    Example:
        >>> lda_rows(np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3).shape
        (2, 5)
    """
    features = as_features(h)
    share = as_weights(weights, len(features))
    values, vectors = np.linalg.eigh(within_groups(features, domains, share))
    keep = values > _TOLERANCE * max(float(values[-1]), 0.0)
    if not keep.any():
        raise ExperimentError("lda: no feature varies within the domains")
    whiten = vectors[:, keep] / np.sqrt(values[keep])
    _, strength, rows = np.linalg.svd(between_groups(features, domains, share) @ whiten, full_matrices=False)
    found = rows[strength > 1e-6 * float(strength[0])]
    if not len(found):
        raise ExperimentError("lda: the domains' means are equal at this site, so nothing tells them apart")
    return np.asarray(found @ whiten.T)


def random_directions(
    n: int, d: int, *, kind: str = "isotropic", rng: np.random.Generator, root: Floats | None = None
) -> Floats:
    """Return random unit vectors [n, d], ``isotropic`` or drawn with the ``covariance`` ``root.T @ root``.

    Example:
        >>> random_directions(10, 4, rng=np.random.default_rng(0)).shape
        (10, 4)
    """
    return random_subspaces(n, d, 1, kind=kind, rng=rng, root=root)[:, :, 0]


def find_direction(
    method: str,
    h: Any,
    domains: Any,
    *,
    clusters: Any,
    rng: np.random.Generator,
    weights: Any = None,
) -> Floats:
    """Return the unit direction [d] that ``method`` finds for the domain.

    Raises:
        ConfigError: If there is no such method.
        ExperimentError: If the domains cannot be told apart at all (their means are equal).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> h = rng.normal(0, 1, (60, 3)) + np.outer(np.arange(60) % 2, [5.0, 0.0, 0.0])
        >>> v = find_direction("mean_difference", h, np.arange(60) % 2, clusters=np.arange(60), rng=rng)
        >>> bool(v[0] > 0.9), round(float(np.linalg.norm(v)), 6)
        (True, 1.0)
    """
    if method == "between_domain_pc":
        return between_domain_pc(h, domains, weights=weights)
    if method == "mean_difference":
        return mean_difference(h, domains, weights=weights)
    if method == "probe":
        return probe(h, domains, clusters=clusters, rng=rng, weights=weights)
    if method == "lda":
        return lda(h, domains, weights=weights)
    if method == "random":
        return np.asarray(random_directions(1, as_features(h).shape[1], rng=rng)[0])
    raise ConfigError(f"direction: no such method {method!r}; {nearest(method, DIRECTIONS)}")


def orient(directions: Floats, gradient: Floats) -> Floats:
    """Return ``directions`` [..., d], each turned so that its product with ``gradient`` [d] is not negative.

    With the mean gradient of the margin every direction then raises the margin, so that signed amounts can be pooled.

    Example:
        >>> orient(np.array([[-1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0])).tolist()
        [[1.0, -0.0], [0.0, 1.0]]
    """
    turned = np.asarray(directions, dtype=np.float64)
    sign = np.where(turned @ gradient < 0, -1.0, 1.0)
    return np.asarray(turned * sign[..., None])


def projected_sd(h: Floats, directions: Floats) -> Floats:
    """Return the standard deviation of features [n, d] along each of ``directions`` [..., d].

    Example:
        >>> projected_sd(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.eye(2)).tolist()
        [1.0, 0.0]
    """
    root = covariance_root(h)
    return np.asarray(np.sqrt(((directions @ root.T) ** 2).sum(axis=-1)))


def _top_row(rows: Floats) -> Floats:
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    if not values[0] > 0:
        raise ExperimentError("direction: the domains' means are equal at this site, so nothing tells them apart")
    return np.asarray(vectors[0])


def _unit(vector: Floats) -> Floats:
    norm = float(np.linalg.norm(vector))
    if not norm > 0:
        raise ExperimentError("direction: the domains' means are equal at this site, so nothing tells them apart")
    return np.asarray(vector / norm)
