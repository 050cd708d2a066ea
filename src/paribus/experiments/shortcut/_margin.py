"""The margin of one class: its logit minus the mean of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.stats.nulls import ROUNDING
from paribus.stats.scores import auroc


def margin(logits: ArrayLike, positive: int) -> Floats:
    """Return ``logit[positive] - mean of the other logits`` [...] of logits [..., k] (two classes: the difference)."""
    values = np.asarray(logits, dtype=np.float64)
    others = (values.sum(axis=-1) - values[..., positive]) / (values.shape[-1] - 1)
    return np.asarray(values[..., positive] - others)


def ranking(margins: ArrayLike, logits: ArrayLike) -> Floats:
    """Return margins ``[..., n]`` to rank rows by: where all differ by rounding alone, they are equal.

    An edit that removes all that the head reads leaves every row the same margin but for the last bits, and an AUROC
    or its interval would be about these. Rounding is :data:`~paribus.stats.nulls.ROUNDING` of the largest of the
    unedited ``logits``.
    """
    values = np.asarray(margins, dtype=np.float64)
    low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    return np.where(high - low <= ROUNDING * float(np.abs(logits).max(initial=0.0)), low, values)


def aurocs(margins: Floats, logits: ArrayLike, positive: ArrayLike) -> Floats:
    """Return the AUROC of margins ``[rows, n]`` for ``positive`` rows ``[n]``; NaN where there is one class."""
    truth = np.asarray(positive, dtype=np.int64)
    if len(np.unique(truth)) < 2:
        return np.full(len(margins), np.nan)
    return np.asarray(auroc(ranking(margins, logits).T, truth))


def margin_weights(n_classes: int, positive: int) -> Floats:
    """Return ``u`` [k] with ``margin = logits @ u``."""
    weights = np.full(n_classes, -1.0 / (n_classes - 1))
    weights[positive] = 1.0
    return weights


def positive_class(asked: int | None, n_classes: int) -> int:
    """Return the class of the margin: the one asked for, or the last.

    Raises:
        ConfigError: If there is no such class.
    """
    if asked is None:
        return n_classes - 1
    if not 0 <= asked < n_classes:
        raise ConfigError(f"experiment.positive: must be between 0 and {n_classes - 1}, got {asked}")
    return asked


def refuse_other_outputs(logits: Floats, labels: Ints) -> None:
    """Check that outputs are one number for each of several classes, those of all labels [n] among them.

    Raises:
        ConfigError: If they are not.
    """
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ConfigError(
            f"model: gives outputs of shape {logits.shape}; a margin needs [n, classes], one output for each of two "
            "classes or more (for a single logit: torch.stack([-x, x], 1) / 2)"
        )
    if int(np.max(labels)) >= logits.shape[1]:
        raise ConfigError(f"model: gives {logits.shape[1]} outputs, but labels reach class {int(np.max(labels))}")
