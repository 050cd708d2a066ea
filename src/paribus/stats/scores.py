"""Accuracy, balanced accuracy and AUROC of many columns and many weightings at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats

COLUMNS_AT_ONCE = 1 << 22
"""The most scores sorted at once."""


def accuracy(predictions: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Any:
    """Return the weighted share of rows predicted right.

    Args:
        predictions: Predicted class of each row, [n] or [n, columns].
        labels: True class [n].
        weights: Row weights, [n] or [n, weightings]; 1 each by default.

    Returns:
        A float for one column and weighting; else an array [columns], [weightings] or [columns, weightings].
        NaN where the weights are all 0.

    Raises:
        ValueError: If the shapes disagree.

    Example:
        >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
        0.75
    """
    columns, truth, w = _checked(predictions, labels, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = _hits(columns, truth) @ w / w.sum(axis=0)
    return _shaped(found, predictions, weights)


def balanced_accuracy(predictions: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Any:
    """Return the mean over the classes of ``labels`` of the share predicted right (mean recall).

    Arguments, shapes and errors as for :func:`accuracy`; a class without weight does not count.

    Example:
        >>> balanced_accuracy([1, 1, 1, 1], [1, 1, 1, 0])
        0.5
    """
    columns, truth, w = _checked(predictions, labels, weights)
    hits = _hits(columns, truth)
    total, classes = np.zeros((hits.shape[0], w.shape[1])), np.zeros(w.shape[1])
    for name in np.unique(truth):
        rows = truth == name
        size = w[rows].sum(axis=0)
        present = size > 0
        total += np.where(present, hits[:, rows] @ w[rows] / np.where(present, size, 1.0), 0.0)
        classes += present
    with np.errstate(invalid="ignore", divide="ignore"):
        return _shaped(total / classes, predictions, weights)


def auroc(scores: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Any:
    """Return the area under the ROC curve: P(a positive scores higher than a negative), ties counting half.

    The weighted Mann-Whitney statistic (Hanley and McNeil 1982): each column is sorted once for all weightings.

    Args:
        scores: Scores, [n] or [n, columns]; higher speaks for the positive class.
        labels: Whether each row is positive [n] (booleans, or 0 and 1).
        weights: Row weights, [n] or [n, weightings]; 1 each by default.

    Returns:
        A float for one column and weighting; else an array [columns], [weightings] or [columns, weightings].
        NaN where one class has no weight, or the column holds NaN.

    Raises:
        ValueError: If the shapes disagree or there are more than two labels.

    Example:
        >>> auroc([0.1, 0.9, 0.8, 0.3], [0, 1, 1, 0])
        1.0
    """
    columns, truth, w = _checked(scores, labels, weights)
    positive = truth.astype(bool)
    if len(np.unique(truth)) > 2 or not np.isin(truth, (0, 1)).all():
        raise ValueError(f"labels must be booleans or 0 and 1, got {np.unique(truth)[:5]}")
    columns = columns.astype(np.float64)
    found = np.empty((columns.shape[1], w.shape[1]))
    step = max(1, COLUMNS_AT_ONCE // max(1, len(columns) * w.shape[1]))
    for start in range(0, columns.shape[1], step):
        found[start : start + step] = _auroc(columns[:, start : start + step], positive, w)
    return _shaped(found, scores, weights)


def _auroc(scores: Floats, positive: np.ndarray[Any, Any], weights: Floats) -> Floats:
    rows = np.ascontiguousarray(scores.T)
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    new = np.ones(rows.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    last = np.ones(rows.shape, dtype=bool)
    last[:, :-1] = new[:, 1:]
    ahead, behind = np.where(positive[:, None], weights, 0.0), np.where(positive[:, None], 0.0, weights)
    negatives = behind[order]
    upto = np.cumsum(negatives, axis=1)
    before = upto - negatives
    if not new.all():
        before = np.maximum.accumulate(np.where(new[..., None], before, -np.inf), axis=1)
        upto = np.minimum.accumulate(np.where(last[..., None], upto, np.inf)[:, ::-1], axis=1)[:, ::-1]
    wins = (ahead[order] * (before + upto)).sum(axis=1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area = wins / (ahead.sum(axis=0) * behind.sum(axis=0))
    area[np.isnan(ordered[:, -1])] = np.nan
    return np.asarray(area, dtype=np.float64)


def _checked(
    columns: ArrayLike, labels: ArrayLike, weights: ArrayLike | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Floats]:
    values, truth = np.asarray(columns), np.asarray(labels)
    w = np.ones(truth.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    if truth.ndim != 1 or values.ndim not in (1, 2) or w.ndim not in (1, 2):
        raise ValueError(
            f"expected labels [n] and columns and weights [n] or [n, k], got {truth.shape}, {values.shape}, {w.shape}"
        )
    if len(values) != len(truth) or len(w) != len(truth):
        raise ValueError(
            f"{len(truth)} labels do not fit columns of shape {values.shape} and weights of shape {w.shape}"
        )
    return values.reshape(len(values), -1), truth, w.reshape(len(w), -1)


def _hits(columns: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> Floats:
    return np.ascontiguousarray((columns == truth[:, None]).T, dtype=np.float64)


def _shaped(found: Floats, columns: ArrayLike, weights: ArrayLike | None) -> Any:
    if np.ndim(columns) == 1:
        found = found[0]
        return float(found[0]) if np.ndim(weights if weights is not None else 0.0) < 2 else found
    return found[:, 0] if np.ndim(weights if weights is not None else 0.0) < 2 else found
