"""The shape of a dose-response curve: monotone fit and four-parameter logistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression, least_squares

from paribus.arrays import Floats


@dataclass(frozen=True)
class IsotonicFit:
    """The best monotone curve.

    Attributes:
        r2: Share of the weighted variance of the means over levels it explains; NaN where they do not vary.
        direction: ``rising`` or ``falling``, whichever fits better.
        fitted: Value of the curve at each level [levels], in the given order.

    Example:
        >>> isotonic_fit([0, 1, 2], [3.0, 2.0, 1.0]).direction
        'falling'
    """

    r2: float
    direction: str
    fitted: Floats


@dataclass(frozen=True)
class LogisticFit:
    """A logistic curve ``floor + (ceiling - floor) / (1 + exp(-slope (level - midpoint)))``.

    Attributes:
        floor: Value it starts from at low levels.
        ceiling: Value it ends at; below ``floor`` for a falling curve.
        midpoint: Level at which it is half-way.
        slope: Steepness, 1 / unit of the level, above 0.
        r2: Share of the weighted variance of the means over levels it explains.
        slope_at_bound: Whether the slope reached its upper bound, as the levels are too coarse; ``slope`` then means
            "at least".

    Example:
        >>> LogisticFit(floor=0.0, ceiling=1.0, midpoint=29.0, slope=0.3, r2=1.0, slope_at_bound=False).midpoint
        29.0
    """

    floor: float
    ceiling: float
    midpoint: float
    slope: float
    r2: float
    slope_at_bound: bool

    def predict(self, levels: ArrayLike) -> Floats:
        """Return the curve at ``levels``."""
        rise = _sigmoid(np.asarray(levels, dtype=np.float64), self.midpoint, self.slope)
        return self.floor + (self.ceiling - self.floor) * rise


def isotonic_fit(levels: ArrayLike, means: ArrayLike, weights: ArrayLike | None = None) -> IsotonicFit:
    """Fit a monotone curve to the mean at each level (pool adjacent violators, Barlow et al. 1972).

    Args:
        levels: Levels [levels], in any order.
        means: Mean response at each level [levels].
        weights: Weight of each level (contexts), 1 by default.

    Raises:
        ValueError: If shapes disagree or there is no level.

    Example:
        >>> found = isotonic_fit([0, 1, 2, 3], [0.0, 0.2, 0.1, 0.9])
        >>> found.direction, [round(float(value), 2) for value in found.fitted]
        ('rising', [0.0, 0.15, 0.15, 0.9])
    """
    x, y, w = _curve(levels, means, weights)
    order = np.argsort(x, kind="stable")
    back = np.argsort(order, kind="stable")
    total = _squares(y, y @ w / w.sum(), w)
    best = IsotonicFit(float("nan"), "rising", np.full(len(y), y @ w / w.sum()))
    if total <= 1e-24 * float(w @ y**2):
        return best
    for direction, increasing in (("rising", True), ("falling", False)):
        fitted = isotonic_regression(y[order], weights=w[order], increasing=increasing).x[back]
        r2 = 1 - _squares(y, fitted, w) / total
        if not r2 <= best.r2:
            best = IsotonicFit(r2, direction, fitted)
    return best


def logistic_fit(levels: ArrayLike, means: ArrayLike, weights: ArrayLike | None = None) -> LogisticFit | None:
    """Fit a four-parameter logistic curve with floor and ceiling by weighted least squares.

    Floor and ceiling are linear given midpoint and slope and are solved exactly (variable projection, Golub and
    Pereyra 1973); midpoint and slope start from the best point of a grid. The midpoint must lie within the levels,
    the slope between 1 / range and 20 / the smallest gap.

    Args:
        levels: Levels [levels], in any order.
        means: Mean response at each level [levels].
        weights: Weight of each level (contexts), 1 by default.

    Returns:
        The fit, or None where it does not converge or is not determined: fewer than five levels, means that do not
        vary, a midpoint at the edge of the levels, a slope at its lower bound (not distinguishable from a line), or a
        floor or ceiling further from the mean of the data than twice their range.

    Raises:
        ValueError: If shapes disagree or there is no level.

    Example:
        >>> levels = np.arange(0.0, 60.0, 6.0)
        >>> found = logistic_fit(levels, 1 / (1 + np.exp(-0.3 * (levels - 29))))
        >>> round(found.midpoint), round(found.slope, 1)
        (29, 0.3)
    """
    x, y, w = _curve(levels, means, weights)
    distinct = np.unique(x)
    total = _squares(y, y @ w / w.sum(), w)
    if len(distinct) < 5 or total <= 1e-24 * float(w @ y**2):
        return None
    span, gap = float(distinct[-1] - distinct[0]), float(np.diff(distinct).min())
    low = np.array([distinct[0], np.log(1 / span)])
    high = np.array([distinct[-1], np.log(20 / gap)])

    def residuals(shape: Floats) -> Floats:
        return (y - _project(x, y, w, shape)[0]) * np.sqrt(w)

    grid = [
        np.array([mid, slope])
        for mid in np.linspace(low[0], high[0], 4 * len(distinct) + 1)[1:-1]
        for slope in np.linspace(low[1], high[1], 8)
    ]
    start = min(grid, key=lambda shape: float((residuals(shape) ** 2).sum()))
    inside = np.clip(start, low + 1e-9 * (high - low), high - 1e-9 * (high - low))
    found = least_squares(residuals, inside, bounds=(low, high), x_scale=high - low)
    midpoint, log_slope = found.x
    fitted, (floor, change) = _project(x, y, w, found.x)
    margin = 1e-3 * (high - low)
    span_y = float(y.max() - y.min())
    ends_near = max(abs(floor - y.mean()), abs(floor + change - y.mean())) <= 2 * span_y
    inner = low[0] + margin[0] < midpoint < high[0] - margin[0] and log_slope > low[1] + margin[1]
    if not (found.success and inner and ends_near):
        return None
    return LogisticFit(
        floor=float(floor),
        ceiling=float(floor + change),
        midpoint=float(midpoint),
        slope=float(np.exp(log_slope)),
        r2=1 - _squares(y, fitted, w) / total,
        slope_at_bound=bool(log_slope > high[1] - margin[1]),
    )


def _curve(levels: ArrayLike, means: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    x, y = np.asarray(levels, dtype=np.float64), np.asarray(means, dtype=np.float64)
    w = np.ones(x.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.shape != w.shape:
        raise ValueError(f"levels, means and weights must be [levels], got {x.shape}, {y.shape}, {w.shape}")
    kept = np.isfinite(x) & np.isfinite(y) & (w > 0)
    if not kept.any():
        raise ValueError("no level has a finite mean and a weight")
    return x[kept], y[kept], w[kept]


def _squares(y: Floats, fitted: Floats | float, w: Floats) -> float:
    return float((w * (y - fitted) ** 2).sum())


def _sigmoid(x: Floats, midpoint: float, slope: float) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * slope * (x - midpoint))), dtype=np.float64)


def _project(x: Floats, y: Floats, w: Floats, shape: Floats) -> tuple[Floats, Floats]:
    """Return the fitted curve and the best floor and change for a midpoint and a log slope."""
    design = np.stack([np.ones_like(x), _sigmoid(x, float(shape[0]), float(np.exp(shape[1])))], axis=1)
    root = np.sqrt(w)
    ends, *_ = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)
    return np.asarray(design @ ends, dtype=np.float64), np.asarray(ends, dtype=np.float64)
