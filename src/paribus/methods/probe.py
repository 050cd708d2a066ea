"""Probe: how well a linear map reads a class from vectors, in clusters it was not fitted on. Observational."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.stats.blocks import block_permutations
from paribus.subspace.probes import fit_probe


@dataclass(frozen=True)
class Probed:
    """A probe scored.

    Attributes:
        correct: Whether it is right ``[n]``, 1 or 0.
        chance: Whether the most frequent class of the rows it was fitted on would be right ``[n]``, 1 or 0.
        balanced: Its balanced accuracy.
        control: Mean of ``correct - chance`` of probes fitted to permuted classes ``[n_null]``.
    """

    correct: Floats
    chance: Floats
    balanced: float
    control: Floats


def probe(
    fit: tuple[Floats, Any, Ints],
    held_out: tuple[Floats, Any],
    *,
    n_null: int,
    rng: np.random.Generator,
) -> Probed:
    """Fit a probe on some rows and score it on others.

    The control fits probes to classes that whole clusters exchanged with others of the same size (of the same number of
    rows), so that it keeps what clusters share. Rows weigh by the inverse frequency of their class.

    Args:
        fit: Vectors ``[m, d]``, classes ``[m]`` and clusters ``[m]`` that it is fitted on.
        held_out: Vectors ``[n, d]`` and classes ``[n]`` that it is scored on.
        n_null: Probes of the control.
        rng: Folds and permutations.

    Raises:
        ExperimentError: If there is only one class.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(40) % 2
        >>> h = rng.normal(0, 1, (40, 3)) + 5 * y[:, None]
        >>> found = probe((h[:20], y[:20], np.arange(20)), (h[20:], y[20:]), n_null=3, rng=rng)
        >>> found.balanced, found.control.shape
        (1.0, (3,))
    """
    h, y, clusters = fit[0], np.asarray(fit[1]), fit[2]
    x, truth = held_out[0], np.asarray(held_out[1])
    first = fit_probe(h, y, clusters=clusters, rng=rng, weights=_balanced(y))
    right = first.predict(x) == truth
    classes, counts = np.unique(y, return_counts=True)
    chance = (truth == classes[counts.argmax()]).astype(np.float64)
    control = np.full(n_null, np.nan)
    draw = 0
    for chunk in block_permutations(clusters, n_null, rng):
        for order in chunk:
            other = y[order]
            fitted = fit_probe(h, other, clusters=clusters, rng=rng, weights=_balanced(other), l2=first.l2)
            control[draw] = float(((fitted.predict(x) == truth) - chance).mean())
            draw += 1
    recalls = [float(right[truth == one].mean()) for one in np.unique(truth)]
    return Probed(right.astype(np.float64), chance, float(np.mean(recalls)), control)


def _balanced(y: Any) -> Floats:
    _, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[index], dtype=np.float64)
