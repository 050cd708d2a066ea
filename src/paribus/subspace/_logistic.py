"""Penalised logistic regression by L-BFGS on one design for several penalties."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints

# The step of an intercept in the solver's coordinates; larger ones let it settle in fewer iterations.
_INTERCEPT_STEP = 2.0
_MEMORY = 6
_SUFFICIENT = 1e-4

Objective = Callable[[Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Fit:
    """Coefficients [k, d] and intercepts [k]; k = 1 for two classes."""

    coef: Floats
    intercept: Floats


class LogisticProblem:
    """Weighted softmax (two classes: logistic) regression on standardised features.

    The objective is the weighted mean log loss plus ``l2 / 2 * |coef|^2``; intercepts are not penalised. With equal
    weights it is scikit-learn's at ``C = 1 / (n * l2)``.
    """

    def __init__(self, x: Floats, y: Ints, n_classes: int, weights: Floats) -> None:
        """Take the design ``x`` [n, d], class numbers ``y`` [n] and weights [n] that sum to 1."""
        # Examples along the last axis: sums over few classes then run over long contiguous rows.
        self.x = np.vstack([np.ascontiguousarray(x.T), np.full((1, len(x)), _INTERCEPT_STEP)])
        self.weights = weights
        self.rows = 1 if n_classes == 2 else n_classes
        self.target = (y[None] == np.arange(n_classes)[:, None])[-self.rows :] * weights

    def fit(self, l2: float, *, start: Fit | None = None, tolerance: float = 1e-6, iterations: int = 300) -> Fit:
        """Minimise the objective at penalty ``l2`` from ``start`` (zeros by default) until no slope is steeper."""
        d, k = len(self.x) - 1, self.rows
        theta = np.zeros((k, d + 1))
        if start is not None:
            theta[:, :d], theta[:, d] = start.coef, start.intercept / _INTERCEPT_STEP
        penalty = np.full(d + 1, l2)
        penalty[d] = 0.0

        def objective(flat: Floats) -> tuple[float, Floats]:
            part = flat.reshape(k, d + 1)
            value, residual = self._loss(part @ self.x)
            shrunk = part * penalty
            return value + 0.5 * float(shrunk.ravel() @ flat), (residual @ self.x.T + shrunk).ravel()

        part = minimise(objective, theta.ravel(), tolerance=tolerance, iterations=iterations).reshape(k, d + 1)
        return Fit(coef=np.ascontiguousarray(part[:, :d]), intercept=part[:, d] * _INTERCEPT_STEP)

    def _loss(self, scores: Floats) -> tuple[float, Floats]:
        """Return the weighted mean log loss and its gradient with respect to the scores [rows, n]."""
        if self.rows == 1:
            soft = np.logaddexp(0.0, scores)
            value = float(self.weights @ soft[0] - self.target[0] @ scores[0])
            return value, np.exp(scores - soft) * self.weights - self.target
        peak = scores.max(axis=0)
        exp = np.exp(scores - peak)
        total = exp.sum(axis=0)
        value = float(self.weights @ (np.log(total) + peak)) - float(np.vdot(self.target, scores))
        return value, exp * (self.weights / total) - self.target


def minimise(objective: Objective, start: Floats, *, tolerance: float, iterations: int) -> Floats:
    """Minimise a smooth convex function by L-BFGS (Nocedal and Wright 2006, algorithm 7.5, with backtracking).

    Args:
        objective: Value and gradient at a point [p].
        start: Where to begin [p].
        tolerance: Largest entry of the gradient at which it ends.
        iterations: The most steps.
    """
    point, (value, gradient) = start, objective(start)
    kept: deque[tuple[Floats, Floats, float]] = deque(maxlen=_MEMORY)
    for _ in range(iterations):
        steepest = float(np.abs(gradient).max())
        if steepest <= tolerance:
            break
        direction = _two_loops(gradient, kept)
        slope = float(direction @ gradient)
        if not slope < 0:  # rounding has spoilt the memory
            kept.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        length = 1.0 if kept else min(1.0, 1.0 / steepest)
        for _ in range(30):
            trial = point + length * direction
            new_value, new_gradient = objective(trial)
            if new_value <= value + _SUFFICIENT * length * slope:
                break
            length *= 0.5
        else:
            break  # no further descent within rounding
        step, change = trial - point, new_gradient - gradient
        curvature = float(step @ change)
        if curvature > 1e-14 * float(change @ change):
            kept.append((step, change, 1.0 / curvature))
        point, value, gradient = trial, new_value, new_gradient
    return point


def _two_loops(gradient: Floats, kept: deque[tuple[Floats, Floats, float]]) -> Floats:
    direction = -gradient
    if not kept:
        return direction
    weights = []
    for step, change, inverse in reversed(kept):
        weight = inverse * float(step @ direction)
        direction -= weight * change
        weights.append(weight)
    _, change, inverse = kept[-1]
    direction /= inverse * float(change @ change)
    for (step, change, inverse), weight in zip(kept, reversed(weights), strict=True):
        direction += (weight - inverse * float(change @ direction)) * step
    return direction


def log_losses(fit: Fit, x: Floats, y: Ints) -> Floats:
    """Return the log loss [n] of every row under ``fit``."""
    scores = x @ fit.coef.T + fit.intercept
    if scores.shape[1] == 1:
        return np.asarray(np.logaddexp(0.0, scores[:, 0]) - y * scores[:, 0])
    peak = scores.max(axis=1)
    return np.asarray(np.log(np.exp(scores - peak[:, None]).sum(axis=1)) + peak - scores[np.arange(len(y)), y])
