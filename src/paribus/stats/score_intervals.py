"""Intervals of accuracy, balanced accuracy and AUROC, and of their paired differences, by cluster bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from paribus.arrays import Floats, Ints
from paribus.stats.bootstrap import Interval, weighted_intervals
from paribus.stats.clusters import cluster_codes
from paribus.stats.intervals import EQUAL_UNITS, SHARE, WILSON_BY_CLASS, settle
from paribus.stats.shares import mean_of_shares, weighted_shares

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

MAX_SCORE_UNITS = 512
"""Above this many clusters, random blocks of them are resampled."""
GROUPS_AT_ONCE = 4096

Statistic = Callable[[Floats], Floats]
"""From weights of units [draws, units] to values [draws, columns]."""


def score_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike,
    *,
    metric: str,
    spec: StatsSpec,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> Interval:
    """Return the interval of a score of one or several columns.

    Bootstrap-t below an effective number of 40 clusters, percentile from 40 on, none below 6, cut to [0, 1] (see
    :func:`~paribus.stats.bootstrap.weighted_intervals`). Resampling cannot know of errors
    it never saw: where it leaves a (balanced) accuracy no width, Wilson's interval by cluster of each class's recall
    takes its place (``wilson_by_class``); an AUROC has none then.

    Args:
        scores: Predicted classes (``accuracy``, ``balanced_accuracy``) or scores (``auroc``), [n] or [n, columns].
        labels: True classes [n]; booleans or 0 and 1 for ``auroc``.
        clusters: Cluster id of each row [n].
        metric: ``accuracy``, ``balanced_accuracy`` or ``auroc``.
        spec: Resamples and confidence.
        rng: Draws the resamples.
        weights: Row weights [n]; 1 each by default.

    Returns:
        The interval; floats for [n], arrays [columns] for [n, columns].

    Raises:
        ValueError: If shapes disagree or the metric is unknown.

    Example:
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(80) % 2
        >>> scores = labels + rng.normal(0, 1, 80)
        >>> score_interval(scores, labels, np.arange(80), metric="auroc", spec=StatsSpec(), rng=rng).low > 0.5
        True
    """
    units, k = _units(clusters, rng)
    statistic = _statistic(scores, labels, units, k, metric, weights)
    sizes = np.bincount(units, weights=None if weights is None else np.asarray(weights, np.float64), minlength=k)
    low, high, method = weighted_intervals(statistic, sizes.astype(np.float64), spec=spec, rng=rng, bounds=SHARE)
    equal = np.flatnonzero(method == EQUAL_UNITS)
    if len(equal) and metric != "auroc":
        truth = np.asarray(labels)
        hits = (np.asarray(scores).reshape(len(truth), -1) == truth[:, None])[:, equal].astype(np.float64)
        classes = truth if metric == "balanced_accuracy" else np.zeros(len(truth))
        recalls = [
            weighted_shares(
                hits[classes == each],
                np.asarray(clusters)[classes == each],
                None if weights is None else np.asarray(weights)[classes == each],
                confidence=spec.confidence,
            )
            for each in np.unique(classes)
        ]
        low[equal], high[equal], method[equal] = settle(*mean_of_shares(recalls), WILSON_BY_CLASS, k, bounds=SHARE)
    return Interval.of(low, high, method, scalar=np.ndim(scores) == 1)


def _units(clusters: ArrayLike, rng: np.random.Generator) -> tuple[Ints, int]:
    codes, k = cluster_codes(clusters)
    if k <= MAX_SCORE_UNITS:
        return codes, k
    block = rng.permutation(np.arange(k) % MAX_SCORE_UNITS)
    return block[codes].astype(np.int64), MAX_SCORE_UNITS


def _statistic(
    scores: ArrayLike, labels: ArrayLike, units: Ints, k: int, metric: str, weights: ArrayLike | None
) -> Statistic:
    columns, truth = np.asarray(scores), np.asarray(labels)
    if columns.ndim not in (1, 2) or len(columns) != len(truth) or len(units) != len(truth):
        raise ValueError(f"scores of shape {columns.shape} and {len(units)} cluster ids do not fit {len(truth)} labels")
    columns = columns.reshape(len(truth), -1)
    rows = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    if metric == "accuracy":
        return _recalls(columns, truth, np.zeros(len(truth)), units, k, rows)
    if metric == "balanced_accuracy":
        return _recalls(columns, truth, truth, units, k, rows)
    if metric == "auroc":
        return _areas(columns.astype(np.float64), truth.astype(bool), units, k, rows)
    raise ValueError(f"metric must be 'accuracy', 'balanced_accuracy' or 'auroc', got {metric!r}")


def _recalls(
    columns: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    groups: np.ndarray[Any, Any],
    units: Ints,
    k: int,
    rows: Floats,
) -> Statistic:
    """Return the mean over ``groups`` of the share of hits, as a function of unit weights."""
    hits = (columns == truth[:, None]) * rows[:, None]
    parts = []
    for name in np.unique(groups):
        members = groups == name
        size = np.bincount(units[members], weights=rows[members], minlength=k).astype(np.float64)
        found = np.stack([np.bincount(units[members], weights=hit, minlength=k) for hit in hits[members].T], axis=1)
        parts.append((size, found.astype(np.float64)))

    def statistic(weights: Floats) -> Floats:
        total, present = np.zeros((len(weights), columns.shape[1])), np.zeros((len(weights), 1))
        for size, found in parts:
            seen = (weights @ size)[:, None]
            total += np.where(seen > 0, weights @ found / np.where(seen > 0, seen, 1.0), 0.0)
            present += seen > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(total / present, dtype=np.float64)

    return statistic


def _areas(columns: Floats, positive: np.ndarray[Any, Any], units: Ints, k: int, rows: Floats) -> Statistic:
    """Return the AUROC as a quadratic form ``w' A w / (w'P w'N)`` of unit weights."""
    wins = [_pair_wins(column, positive, units, k, rows) for column in columns.T]
    ahead = np.bincount(units, weights=rows * positive, minlength=k).astype(np.float64)
    behind = np.bincount(units, weights=rows * ~positive, minlength=k).astype(np.float64)

    def statistic(weights: Floats) -> Floats:
        pairs = (weights @ ahead) * (weights @ behind)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.stack([((weights @ matrix) * weights).sum(axis=1) / pairs for matrix in wins], axis=1)

    return statistic


def _pair_wins(scores: Floats, positive: np.ndarray[Any, Any], units: Ints, k: int, rows: Floats) -> Floats:
    """Return ``A[a, b]``: weighted pairs of a positive of unit ``a`` scoring above a negative of ``b``, ties half."""
    if np.isnan(scores).any():
        return np.full((k, k), np.nan)
    values, group = np.unique(scores, return_inverse=True)
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(0, len(values) + GROUPS_AT_ONCE, GROUPS_AT_ONCE))
    wins, carried = np.zeros((k, k)), np.zeros(k)
    for chunk, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        members = order[start:stop]
        first = chunk * GROUPS_AT_ONCE
        size = min(GROUPS_AT_ONCE, len(values) - first)
        up, down = members[positive[members]], members[~positive[members]]
        cells = (group[down] - first) * k + units[down]
        negatives = np.bincount(cells, weights=rows[down], minlength=size * k).reshape(size, k)
        upto = carried + np.cumsum(negatives, axis=0)
        positives = csr_array((rows[up], (units[up], group[up] - first)), shape=(k, size))
        wins += positives @ (upto - negatives / 2)
        carried = upto[-1]
    return wins
