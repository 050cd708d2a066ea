"""A vector of effects against its distribution under the null hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.stats.clusters import ClusterSums

STATISTICS = ("rms", "max_abs")
TINY = 1e-12


@dataclass(frozen=True)
class Judged:
    """Every entry, and the whole vector, against the null draws.

    Attributes:
        values: The entries on the data as they are ``[k]``.
        null: The entries under each draw ``[draws, k]``.
        p: Two-sided p of each entry ``[k]``.
        p_adj: The same against the largest entry of every draw (Westfall and Young 1993, single step) ``[k]``.
        observed: Value of each of ``STATISTICS``.
        drawn: The same under each draw ``[draws, 2]``.
        p_of: p of each of ``STATISTICS``.
    """

    values: Floats
    null: Floats
    p: Floats
    p_adj: Floats
    observed: dict[str, float]
    drawn: Floats
    p_of: dict[str, float]


def flipped_means(reduced: ClusterSums, n_draws: int, rng: np.random.Generator) -> Floats:
    """Return mean differences ``[draws, entries]`` with the sign of every cluster (or joined ones) drawn at random."""
    signs = rng.choice((-1.0, 1.0), (n_draws, reduced.sums.shape[1]))
    return np.asarray(signs @ (reduced.sums / reduced.n[:, None]).T)


def gathered(draws: Iterator[Floats]) -> Floats:
    """Return the vectors of all draws ``[draws, entries]``; an entry that cannot be computed counts as 0."""
    every = np.array(list(draws), dtype=np.float64)
    return np.where(np.isfinite(every), every, 0.0)


def judged(values: Floats, null: Floats, *, centred: bool) -> Judged:
    """Judge a vector against draws that are exchangeable with it under the null.

    Each entry is put on a common scale by its centre and spread over data and draws together, so that noisy entries do
    not dominate, and the data count as one of the draws: p = (b + 1) / (draws + 1).

    Args:
        values: ``[k]``.
        null: ``[draws, k]``.
        centred: Whether the null is symmetric about 0 (sign flips); else its centre is the mean of data and draws.
    """
    every = np.concatenate([values[None], null])
    centre = np.zeros(len(values)) if centred else every.mean(0)
    spread = np.sqrt(((every - centre) ** 2).mean(0))
    still = spread <= TINY * np.maximum(1.0, np.abs(every).max(0, initial=0.0))
    scaled = np.abs(np.where(still, 0.0, (every - centre) / np.where(still, 1.0, spread)))
    statistics = np.stack([np.sqrt((scaled**2).mean(1)), scaled.max(1, initial=0.0)], axis=1)
    m = len(every)
    reached = scaled >= scaled[0] - 1e-9
    return Judged(
        values=values,
        null=null,
        p=reached.sum(0) / m,
        p_adj=(statistics[:, [1]] >= scaled[0] - 1e-9).sum(0) / m,
        observed=dict(zip(STATISTICS, statistics[0].tolist(), strict=True)),
        drawn=statistics[1:],
        p_of={name: float((statistics[:, i] >= statistics[0, i] - 1e-9).mean()) for i, name in enumerate(STATISTICS)},
    )
