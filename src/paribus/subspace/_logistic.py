"""Penalised logistic regression by L-BFGS on one design for several penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.subspace.moments import FloatArray, IntArray

# The step of an intercept in the solver's coordinates; larger ones let it settle in fewer iterations.
_INTERCEPT_STEP = 2.0


@dataclass(frozen=True)
class Fit:
    """Coefficients [k, d] and intercepts [k]; k = 1 for two classes."""

    coef: FloatArray
    intercept: FloatArray


class LogisticProblem:
    """Weighted softmax (two classes: logistic) regression on standardised features.

    The objective is the weighted mean log loss plus ``l2 / 2 * |coef|^2``; intercepts are not penalised. With equal
    weights it is scikit-learn's at ``C = 1 / (n * l2)``.
    """

    def __init__(self, x: FloatArray, y: IntArray, n_classes: int, weights: FloatArray) -> None:
        """Take the design ``x`` [n, d], class numbers ``y`` [n] and weights [n] that sum to 1."""
        self.x, self.y, self.weights = x, y, weights
        self.columns = 1 if n_classes == 2 else n_classes
        self._rows = np.arange(len(y))

    def fit(self, l2: float, *, start: Fit | None = None, tolerance: float = 1e-6, iterations: int = 300) -> Fit:
        """Minimise the objective at penalty ``l2`` from ``start`` (zeros by default)."""
        from scipy.optimize import fmin_l_bfgs_b

        d, k = self.x.shape[1], self.columns
        theta = np.zeros((d + 1, k))
        if start is not None:
            theta[:d], theta[d] = start.coef.T, start.intercept / _INTERCEPT_STEP

        def objective(flat: FloatArray) -> tuple[float, FloatArray]:
            part = flat.reshape(d + 1, k)
            value, residual = self._loss(self.x @ part[:d] + part[d] * _INTERCEPT_STEP)
            value += 0.5 * l2 * float((part[:d] ** 2).sum())
            gradient = np.empty_like(part)
            gradient[:d] = self.x.T @ residual + l2 * part[:d]
            gradient[d] = residual.sum(axis=0) * _INTERCEPT_STEP
            return value, gradient.ravel()

        solution, _, _ = fmin_l_bfgs_b(objective, theta.ravel(), m=12, pgtol=tolerance, factr=10.0, maxiter=iterations)
        part = np.asarray(solution).reshape(d + 1, k)
        return Fit(coef=np.ascontiguousarray(part[:d].T), intercept=part[d] * _INTERCEPT_STEP)

    def _loss(self, scores: FloatArray) -> tuple[float, FloatArray]:
        """Return the weighted mean log loss and its gradient with respect to the scores [n, columns]."""
        if self.columns == 1:
            score = scores[:, 0]
            soft = np.logaddexp(0.0, score)
            value = float(self.weights @ (soft - self.y * score))
            return value, ((np.exp(score - soft) - self.y) * self.weights)[:, None]
        peak = scores.max(axis=1, keepdims=True)
        exp = np.exp(scores - peak)
        total = exp.sum(axis=1, keepdims=True)
        value = float(self.weights @ (np.log(total[:, 0]) + peak[:, 0] - scores[self._rows, self.y]))
        residual = exp / total
        residual[self._rows, self.y] -= 1.0
        return value, residual * self.weights[:, None]


def log_losses(fit: Fit, x: FloatArray, y: IntArray) -> FloatArray:
    """Return the log loss [n] of every row under ``fit``."""
    scores = x @ fit.coef.T + fit.intercept
    if scores.shape[1] == 1:
        return np.asarray(np.logaddexp(0.0, scores[:, 0]) - y * scores[:, 0])
    peak = scores.max(axis=1)
    return np.asarray(np.log(np.exp(scores - peak[:, None]).sum(axis=1)) + peak - scores[np.arange(len(y)), y])
