"""When to evaluate and when to keep a checkpoint."""

from __future__ import annotations

import numpy as np


def log_spaced(last: int, n: int) -> tuple[int, ...]:
    """Return at most ``n`` distinct whole numbers from 1 to ``last``, log-spaced, with ``last`` among them.

    Example:
        >>> log_spaced(60, 5)
        (1, 3, 8, 22, 60)
    """
    if n == 1:
        return (last,)
    return tuple(int(epoch) for epoch in np.unique(np.rint(np.geomspace(1, last, n)).astype(int)))


def thinned(epochs: tuple[int, ...], n: int) -> tuple[int, ...]:
    """Return ``n`` of ``epochs`` (all, if there are fewer), the first and the last among them, evenly by position.

    Example:
        >>> thinned((1, 5, 8, 17, 29, 60), 3)
        (1, 8, 60)
    """
    if n >= len(epochs):
        return epochs
    if n == 1:
        return epochs[-1:]
    positions = np.unique(np.rint(np.linspace(0, len(epochs) - 1, n)).astype(int))
    return tuple(epochs[i] for i in positions)
