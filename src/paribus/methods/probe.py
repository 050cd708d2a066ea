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
        gain: ``(correct - chance) * n / (classes * rows of its class)`` ``[n]``: its mean is ``balanced - chance``.
        balanced: Its balanced accuracy.
        chance: The balanced accuracy of guessing, 1 over the classes among those it is scored on.
        control: Mean gain of probes fitted to permuted classes ``[n_null]``.
    """

    correct: Floats
    gain: Floats
    balanced: float
    chance: float
    control: Floats


def probe(
    fit: tuple[Floats, Any, Ints],
    held_out: tuple[Floats, Any],
    *,
    n_null: int,
    rng: np.random.Generator,
) -> Probed:
    """Fit a probe on some rows and score it on others.

    Rows weigh by the inverse frequency of their class, in fitting and in scoring: what counts is the mean recall over
    the classes. Plain accuracy against that of the most frequent class would call a probe of noise better or worse than
    chance wherever classes are not equally frequent. The control fits probes to classes that whole clusters exchanged
    with others of the same size (of the same number of rows), so that it keeps what clusters share.

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
    found, of_row, counts = np.unique(truth, return_inverse=True, return_counts=True)
    chance = 1 / len(found)
    weight = len(truth) / (len(found) * counts[of_row])

    def gain(right: Any) -> Floats:
        return np.asarray(weight * (right - chance), dtype=np.float64)

    right = first.predict(x) == truth
    control = np.full(n_null, np.nan)
    draw = 0
    for chunk in block_permutations(clusters, n_null, rng):
        for order in chunk:
            other = y[order]
            fitted = fit_probe(h, other, clusters=clusters, rng=rng, weights=_balanced(other), l2=first.l2)
            control[draw] = gain(fitted.predict(x) == truth).mean()
            draw += 1
    balanced = float((weight * right).mean())
    return Probed(right.astype(np.float64), gain(right), balanced, chance, control)


def _balanced(y: Any) -> Floats:
    _, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[index], dtype=np.float64)
