"""Summary statistics of many features: firing rate, variance explained by groups, and a diverse choice of a few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from paribus.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Glance:
    """Summary statistics of many features on a part of the contexts.

    Attributes:
        firing_rate: P(f > 0) ``[F]``.
        sd: Standard deviation of f, zeros included ``[F]``.
        explained: Share of the variance of f between the groups of each factor, adjusted for the number of groups
            ``[F, factors]``; 0 for a constant feature.
    """

    firing_rate: Floats
    sd: Floats
    explained: Floats


def glance(f: Floats, groups: Ints) -> Glance:
    """Return rate, sd and explained shares.

    Args:
        f: Activations ``[n, F]``.
        groups: Which group of each factor (rung of a family, weapon, label) each context has ``[factors, n]``, numbered
            from 0.

    Example:
        >>> seen = glance(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0, 0, 1, 1]]))
        >>> seen.firing_rate.tolist(), seen.explained.tolist()
        ([0.5], [[1.0]])
    """
    n = len(f)
    mean = f.mean(0)
    total = ((f - mean) ** 2).sum(0)
    explained = np.zeros((f.shape[1], len(groups)))
    for factor, group in enumerate(groups):
        present, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
        if len(present) < 2 or n <= len(present):
            continue
        sums = np.zeros((len(present), f.shape[1]))
        np.add.at(sums, inverse, f)
        between = (counts[:, None] * (sums / counts[:, None] - mean) ** 2).sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = 1 - (1 - between / total) * (n - 1) / (n - len(present))
        explained[:, factor] = np.where(total > 1e-12 * n, np.maximum(share, 0.0), 0.0)
    return Glance((f > 0).mean(0), np.sqrt(total / max(n - 1, 1)), explained)


def ranks(values: Floats, among: Bools) -> Floats:
    """Return the rank of each value among the candidates, from 0 to 1; NaN for the others.

    Example:
        >>> ranks(np.array([5.0, 1.0, 9.0]), np.array([True, True, False])).tolist()
        [1.0, 0.5, nan]
    """
    out = np.full(len(values), np.nan)
    out[among] = rankdata(values[among]) / max(int(among.sum()), 1)
    return out


def spread_out(score: Floats, leading: Ints, n: int) -> list[int]:
    """Return the best ``n`` features, at most one for each leading factor as long as there are others.

    Example:
        >>> spread_out(np.array([0.9, 0.8, 0.1]), np.array([0, 0, 1]), 2)
        [0, 2]
    """
    order = [int(i) for i in np.argsort(-np.nan_to_num(score, nan=-1.0), kind="stable") if np.isfinite(score[i])]
    first: dict[int, int] = {}
    for feature in order:
        first.setdefault(int(leading[feature]), feature)
    chosen = sorted(first.values(), key=order.index)[:n]
    return chosen + [feature for feature in order if feature not in chosen][: n - len(chosen)]
