"""Enrichment of many itemsets in a group of rows, with family-wise error controlled by a max-statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paribus.arrays import Floats
from paribus.stats.blocks import block_permutations, exchangeable_blocks, n_exchangeable, one_row_per_cluster
from paribus.stats.intervals import ONE_GROUP, Methods
from paribus.stats.permutation import MONTE_CARLO

ALTERNATIVES = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}
"""What makes statistics large by what is asked."""


@dataclass(frozen=True)
class Enrichment:
    """Enrichment of items among the high rows.

    Attributes:
        z: Hypergeometric z of the number of high rows with each item [items]; NaN for items in no or in every row.
        p: Permutation p of each item on its own [items].
        p_adj: Family-wise adjusted p over the items [items] (step-down max-statistic).
        n: Rows used.
        n_exchangeable: Clusters that had another one of their size to exchange with.
        method: ``monte_carlo``, or ``none: ...`` for items in no or in every row [items].
    """

    z: Floats
    p: Floats
    p_adj: Floats
    n: int
    n_exchangeable: int
    method: Methods


def enrichment(
    present: ArrayLike,
    high: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 1999,
    alternative: str = "two-sided",
    unit: str = "block",
) -> Enrichment:
    """Test which items are enriched among the high rows.

    The membership pattern of whole clusters is exchanged between clusters of equal size, so the number of high rows
    and every item's support stay as they are; the statistic is the hypergeometric z, which puts rare and common items
    on one scale (the maximum of raw lifts is dominated by the rarest items). Adjustment is Westfall and Young's (1993,
    algorithm 4.1) step-down max-statistic; all items share their permutations, ``p = (b+1)/(m+1)``.

    Args:
        present: Whether each row holds each item [n, items]; choose items by their support over all rows.
        high: Whether each row belongs to the high group [n].
        clusters: Cluster id of each row [n].
        rng: Draws the permutations (and the rows, for ``row``).
        n_permutations: Monte Carlo draws.
        alternative: ``two-sided``, ``greater`` (enriched) or ``less``.
        unit: ``block`` exchanges clusters of equal size; ``row`` keeps one random row per cluster and permutes
            these, for data in which hardly two clusters have the same size.

    Raises:
        ValueError: If shapes disagree, or the unit or alternative is unknown.

    Example:
        >>> rng = np.random.default_rng(3)
        >>> present = rng.random((80, 3)) < 0.5
        >>> found = enrichment(present, present[:, 1], np.arange(80), rng=rng)
        >>> int(found.z.argmax()), (found.p_adj < 0.05).tolist()
        (1, [False, True, False])
    """
    items, group, ids = np.asarray(present, dtype=bool), np.asarray(high, dtype=bool), np.asarray(clusters)
    if items.ndim != 2 or len(items) != len(group) or len(group) != len(ids):
        raise ValueError(f"present {items.shape}, high {group.shape} and {len(ids)} cluster ids do not fit")
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")
    signed = ALTERNATIVES[alternative]
    if unit == "row":
        rows = one_row_per_cluster(ids, rng)
        items, group, ids = items[rows], group[rows], ids[rows]
    elif unit != "block":
        raise ValueError(f"unit must be 'block' or 'row', got {unit!r}")
    n, n_high, support = len(group), float(group.sum()), items.sum(axis=0).astype(np.float64)
    expected = n_high * support / max(n, 1)
    sd = np.sqrt(expected * (1 - support / max(n, 1)) * (n - n_high) / max(n - 1, 1))
    tested = np.flatnonzero(sd > 0)
    method = np.where(sd > 0, MONTE_CARLO, ONE_GROUP).astype(object)
    z, p, p_adj = (np.full(items.shape[1], np.nan) for _ in range(3))
    moving = n_exchangeable(exchangeable_blocks(ids))
    if not len(tested):
        return Enrichment(z, p, p_adj, n, moving, method)
    matrix = np.ascontiguousarray(items[:, tested], dtype=np.float32)
    observed = ((group.astype(np.float32) @ matrix) - expected[tested]) / sd[tested]
    order = np.argsort(-signed(observed), kind="stable")
    matrix, centre, scale = matrix[:, order], expected[tested][order], sd[tested][order]
    ranked = signed(observed[order]) - 1e-9
    b_own, b_max = np.zeros(len(order)), np.zeros(len(order))
    for permutation in block_permutations(ids, n_permutations, rng):
        for part in np.array_split(permutation, max(1, permutation.shape[0] * len(order) >> 21)):
            drawn = signed((group[part].astype(np.float32) @ matrix - centre) / scale)
            b_own += (drawn >= ranked).sum(axis=0)
            successive = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
            b_max += (successive >= ranked).sum(axis=0)
    back = tested[order]
    z[back] = observed[order]
    p[back] = (b_own + 1) / (n_permutations + 1)
    p_adj[back] = np.maximum.accumulate((b_max + 1) / (n_permutations + 1))
    return Enrichment(z, p, p_adj, n, moving, method)
