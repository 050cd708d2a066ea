"""Linear probes: standardised logistic regression, its penalty chosen by cross-validation over clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from paribus.arrays import Floats, Ints
from paribus.errors import ExperimentError
from paribus.subspace._logistic import Fit, LogisticProblem, log_losses
from paribus.subspace.moments import as_features, as_weights, balance_weights

__all__ = ["PENALTIES", "LinearProbe", "balance_weights", "fit_one_vs_rest", "fit_probe", "grouped_folds"]

PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
DEFAULT_PENALTY = 0.01
_FOLDS = 3


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear probe.

    Attributes:
        coef: Coefficients on standardised features [k, d]; one row for two classes (the second against the first).
        intercept: Intercepts [k].
        mean: Means by which features are centred [d].
        scale: Standard deviations by which they are divided [d]; 1 where a feature is constant.
        classes: The class of each score column, ascending.
        l2: The penalty used (of the weighted mean log loss plus ``l2 / 2 * |coef|^2``).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(60) % 2
        >>> h = rng.normal(0, 1, (60, 4)) + np.outer(y, [3.0, 0.0, 0.0, 0.0])
        >>> found = fit_probe(h, y, clusters=np.arange(60), rng=rng)
        >>> found.coef.shape, bool((found.predict(h) == y).mean() > 0.8)
        ((1, 4), True)
    """

    coef: Floats
    intercept: Floats
    mean: Floats
    scale: Floats
    classes: NDArray[Any]
    l2: float

    def scores(self, h: Any) -> Floats:
        """Return the scores [n, k] of features [n, d]; one column for two classes."""
        rows = self.rows()
        return np.asarray(np.asarray(h, dtype=np.float64) @ rows.T + (self.intercept - rows @ self.mean))

    def predict(self, h: Any) -> NDArray[Any]:
        """Return the predicted class [n] of features [n, d]."""
        scores = self.scores(h)
        chosen = (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes[chosen])

    def rows(self) -> Floats:
        """Return the coefficients in the space of the raw features [k, d]: mapped back through the standardiser."""
        return np.asarray(self.coef / self.scale)


def fit_probe(
    h: Any,
    y: Any,
    *,
    clusters: Any,
    rng: np.random.Generator,
    weights: Any = None,
    l2: float | Literal["cv"] = "cv",
    tolerance: float = 1e-5,
) -> LinearProbe:
    """Fit a linear probe of ``y`` on features ``h``.

    Args:
        h: Features [n, d].
        y: Classes [n], at least two.
        clusters: Cluster ids [n]; rows of one cluster are never on both sides of a cross-validation split.
        rng: Randomness of the folds.
        weights: Row weights [n], also used for centring and scaling; None for equal ones.
        l2: The penalty, or ``cv``: the one of :data:`PENALTIES` with the least held-out log loss in 3 folds. From the
            strongest on, the search ends where the loss rises.
        tolerance: Largest gradient of the objective at which the fit counts as done; 1e-4 is enough for predictions and
            takes half the time.

    Raises:
        ExperimentError: If there is only one class, or features are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(90) % 3
        >>> h = rng.normal(0, 0.5, (90, 5)) + 4 * np.eye(5)[y]
        >>> fit_probe(h, y, clusters=np.arange(90), rng=rng, l2=0.1).coef.shape
        (3, 5)
    """
    features = as_features(h)
    classes, index = _coded(y, len(features))
    share = as_weights(weights, len(features))
    mean = share @ features
    scale = np.sqrt(share @ (features - mean) ** 2)
    constant = scale <= 1e-7 * float(scale.max()) + 1e-10 * np.abs(mean)
    scale = np.where(constant, 1.0, scale)
    x = (features - mean) / scale
    penalty = _choose_penalty(x, index, len(classes), share, np.asarray(clusters), rng) if l2 == "cv" else float(l2)
    fit = LogisticProblem(x, index, len(classes), share).fit(penalty, tolerance=tolerance)
    return LinearProbe(coef=fit.coef, intercept=fit.intercept, mean=mean, scale=scale, classes=classes, l2=penalty)


def fit_one_vs_rest(
    h: Any,
    y: Any,
    *,
    clusters: Any,
    rng: np.random.Generator,
    weights: Any = None,
    l2: float | Literal["cv"] = "cv",
) -> Floats:
    """Return the coefficients [k, d] on standardised features of one probe per class against all others.

    With two classes the two probes are each other's negative and one row is returned. The penalty is chosen once, on
    the probe of all classes. Arguments and errors as :func:`fit_probe`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(90) % 3
        >>> fit_one_vs_rest(rng.normal(size=(90, 5)), y, clusters=np.arange(90), rng=rng, l2=0.1).shape
        (3, 5)
    """
    classes, _ = _coded(y, len(np.asarray(y)))
    joint = fit_probe(h, y, clusters=clusters, rng=rng, weights=weights, l2=l2)
    if len(classes) == 2:
        return joint.coef
    names = np.asarray(y)
    one_by_one = [
        fit_probe(h, names == name, clusters=clusters, rng=rng, weights=weights, l2=joint.l2).coef[0]
        for name in classes
    ]
    return np.stack(one_by_one)


def grouped_folds(y: Ints, clusters: Any, n_folds: int, rng: np.random.Generator) -> Ints:
    """Return a fold number [n] per row: clusters stay whole, and each fold gets its part of every class.

    Clusters are dealt out in random order within their most frequent class, so folds differ by at most one cluster per
    class.

    Example:
        >>> clusters = np.repeat(np.arange(6), 10)
        >>> folds = grouped_folds(clusters % 2, clusters, 3, np.random.default_rng(0))
        >>> len(set(zip(clusters.tolist(), folds.tolist())))
        6
    """
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(cluster.max()) + 1
    counts = np.zeros((n_clusters, int(y.max()) + 1))
    np.add.at(counts, (cluster, y), 1)
    order = np.lexsort((rng.permutation(n_clusters), counts.argmax(axis=1)))
    fold_of_cluster = np.empty(n_clusters, dtype=np.int64)
    fold_of_cluster[order] = np.arange(n_clusters) % n_folds
    return np.asarray(fold_of_cluster[cluster])


def _choose_penalty(
    x: Floats, y: Ints, n_classes: int, share: Floats, clusters: Any, rng: np.random.Generator
) -> float:
    folds = grouped_folds(y, clusters, _FOLDS, rng)
    problems: list[tuple[LogisticProblem, Ints]] = []
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        total = share[inside].sum() if len(inside) else 0.0
        if len(outside) and total > 0 and len(np.unique(y[inside])) == n_classes:
            problems.append((LogisticProblem(x[inside], y[inside], n_classes, share[inside] / total), outside))
    if not problems:
        return DEFAULT_PENALTY
    starts: list[Fit | None] = [None] * len(problems)
    best, least = PENALTIES[0], np.inf
    for l2 in PENALTIES:
        loss = 0.0
        for number, (problem, outside) in enumerate(problems):
            fit = problem.fit(l2, start=starts[number], tolerance=1e-4, iterations=60)
            starts[number] = fit
            loss += float(share[outside] @ log_losses(fit, x[outside], y[outside]))
        if loss >= least:
            break
        best, least = l2, loss
    return best


def _coded(y: Any, n: int) -> tuple[NDArray[Any], Ints]:
    names = np.asarray(y)
    if names.shape != (n,):
        raise ExperimentError(f"probe: needs one class per row, got shape {names.shape} for {n} rows")
    classes, index = np.unique(names, return_inverse=True)
    if len(classes) < 2:
        raise ExperimentError(f"probe: needs at least two classes, got only {classes.tolist()}")
    return classes, np.asarray(index, dtype=np.int64)
