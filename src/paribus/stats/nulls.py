"""The percentile of a value among draws of a named null; it is not a p-value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats

QUANTILES = (0.025, 0.5, 0.975)
ROUNDING = 64 * float(np.finfo(np.float32).eps)
"""What 32-bit numbers of the same value may differ by, relative to the largest of what they are made of."""


def null_quantiles(null: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return the 2.5 %, 50 % and 97.5 % quantiles over the last axis of ``null`` [..., n_null].

    NaN draws are left out; where no draw is left, the quantiles are NaN.

    Example:
        >>> low, median, high = null_quantiles(np.arange(101.0))
        >>> float(low), float(median), float(high)
        (2.5, 50.0, 97.5)
    """
    draws = np.asarray(null, dtype=np.float64)
    flat = draws.reshape(-1, draws.shape[-1])
    found = np.full((3, len(flat)), np.nan)
    some = ~np.isnan(flat).all(axis=1)
    if some.any():
        found[:, some] = np.nanquantile(flat[some], QUANTILES, axis=1)
    low, median, high = found.reshape(3, *draws.shape[:-1])
    return low, median, high


def null_percentile(value: ArrayLike, null: ArrayLike, *, scale: ArrayLike = 0.0) -> Any:
    """Return the percentile (0 to 100) of ``value`` among the draws of ``null``; ties count half.

    Values of 32-bit numbers that differ by less than :data:`ROUNDING` of the largest of value, draws and ``scale`` are
    ties: the place of 1e-9 among draws of 1e-9, or of 0, would be that of a rounding.

    Args:
        value: A float, or values [rows].
        null: Draws [n_null] shared by all values, or [rows, n_null]; NaN draws are left out.
        scale: How large what value and draws are means of is, a float or [rows]: means can be 0 but for rounding.

    Returns:
        A float, or an array [rows]; NaN where the value is NaN or no draw is left.

    Example:
        >>> null_percentile(3.0, [1.0, 2.0, 3.0, 4.0])
        62.5
        >>> null_percentile(0.0, [1e-9, -1e-9, -1e-9, 2e-9], scale=1.0)
        50.0
    """
    values = np.asarray(value, dtype=np.float64)
    draws = np.asarray(null, dtype=np.float64)
    largest = np.fmax.reduce(np.abs(draws), axis=-1, initial=0.0)
    near = ROUNDING * np.fmax(np.fmax(largest, np.abs(values)), np.asarray(scale, dtype=np.float64))
    gap = values[..., None] - draws
    tie = (np.abs(gap) <= near[..., None]) | (gap == 0)
    below = ((gap > 0) & ~tie).sum(axis=-1) + 0.5 * tie.sum(axis=-1)
    n = np.broadcast_to((~np.isnan(draws)).sum(axis=-1), np.shape(below))
    with np.errstate(invalid="ignore", divide="ignore"):
        percentile = np.where((n > 0) & ~np.isnan(values), 100.0 * below / n, np.nan)
    return float(percentile) if values.ndim == 0 and percentile.ndim == 0 else percentile


def placed(values: Floats, null: Floats, *, scale: ArrayLike = 0.0) -> dict[str, Floats]:
    """Return quantiles of the draws ``[rows, n_null]`` and the percentile of each value ``[rows]``, as columns.

    Example:
        >>> placed(np.array([3.0]), np.array([[0.0, 1.0, 2.0, 4.0]]))["null_percentile"].tolist()
        [75.0]
    """
    low, median, high = null_quantiles(null)
    place = null_percentile(values, null, scale=scale)
    return {"null_low": low, "null_median": median, "null_high": high, "null_percentile": place}


def null_columns(value: float, null: Floats, prefix: str) -> dict[str, float]:
    """Return quantiles of the draws ``[n_null]`` and the percentile of ``value`` among them, as columns of a row.

    Example:
        >>> null_columns(3.0, np.array([0.0, 1.0, 2.0, 4.0]), "null")["null_percentile"]
        75.0
    """
    names = [f"{prefix}_{part}" for part in ("low", "median", "high", "percentile")]
    if not len(null):
        return dict.fromkeys(names, float("nan"))
    quantiles = [float(each) for each in null_quantiles(null)]
    return dict(zip(names, [*quantiles, float(null_percentile(value, null))], strict=True))
