"""Mean effects of very many rows (thousands of features by dozens of levels), a part of the rows at a time.

Whole clusters are put into a few groups, and of every row only the sums over each group are held. Signs of groups are
flipped in all rows at once; the largest statistic of each flip is kept from part to part, so that p can be adjusted
over rows that never are in memory together (Westfall and Young 1993, single step).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.bootstrap import Studentised, mean_intervals
from paribus.stats.clusters import ClusterSums, by_size, cluster_codes
from paribus.stats.intervals import MIN_CLUSTERS
from paribus.stats.max_flip import EXACT_CLUSTERS, TOLERANCE, all_signs, of_length_1

if TYPE_CHECKING:
    from paribus.stats.spec import StatsSpec

MOST_GROUPS = 24
"""The most groups that clusters are joined into: 2 ** 23 sign patterns."""
LEAST_ENTRIES = 6
"""Below this many entries no correlation is computed."""
ROWS_AT_ONCE = 64
"""Rows whose resamples are held at once."""


def grouped(cluster: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Return the group of each context ``[n]``: whole clusters, drawn at random, in groups of about equal size.

    Args:
        cluster: Cluster of each context ``[n]``.
        most: The most groups; fewer clusters are a group each.
        rng: Draws the order.

    Example:
        >>> np.bincount(grouped(np.repeat(np.arange(10), 3), 5, np.random.default_rng(0))).tolist()
        [6, 6, 6, 6, 6]
    """
    codes, k = cluster_codes(cluster)
    if k <= most:
        return codes
    sizes = np.bincount(codes, minlength=k)
    order = rng.permutation(k)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, group = np.zeros(most), np.empty(k, np.int64)
    for one in order:
        group[one] = int(filled.argmin())
        filled[group[one]] += sizes[one]
    return np.asarray(group[codes])


class Flips:
    """Sign flips shared by all rows, and the largest statistic of each.

    The statistic is ``|sum| / sqrt(sum of squares)`` over groups, on which flips act alike for rows of any scale.

    Attributes:
        exact: Whether all sign patterns are enumerated.
        largest: The largest statistic of all rows seen so far under each flip ``[draws]``.

    Example:
        >>> flips = Flips(8, 999, np.random.default_rng(0))
        >>> rows = np.stack([np.ones(8), np.tile([1.0, -1.0], 4)])
        >>> flips.see(rows)
        >>> [part.tolist() for part in flips.p(rows)]
        [[0.0078125, 1.0], [0.015625, 1.0]]
    """

    def __init__(self, n_groups: int, n_draws: int, rng: np.random.Generator) -> None:
        """Draw the flips, or list all of them up to a common one."""
        self.exact = n_groups <= EXACT_CLUSTERS
        if self.exact:
            self._signs = all_signs(n_groups)
        else:
            self._signs = 1.0 - 2.0 * rng.integers(0, 2, size=(n_draws, n_groups)).astype(np.float64)
        self.largest = np.zeros(len(self._signs))

    @property
    def method(self) -> str:
        """How p is made."""
        return "exact" if self.exact else "monte_carlo"

    def see(self, sums: Floats) -> None:
        """Take rows ``[rows, groups]`` into the family."""
        if len(sums):
            np.maximum(self.largest, np.abs(of_length_1(sums) @ self._signs.T).max(0), out=self.largest)

    def p(self, sums: Floats) -> tuple[Floats, Floats]:
        """Return p and adjusted p of rows ``[rows, groups]``, two-sided; 1 where a row is 0 in every group."""
        scaled = of_length_1(sums)
        observed = np.abs(scaled.sum(1)) - TOLERANCE
        own = (np.abs(scaled @ self._signs.T) >= observed[:, None]).sum(1)
        among = len(self.largest) - np.searchsorted(np.sort(self.largest), observed, side="left")
        total = len(self.largest)
        if self.exact:
            p, adjusted = own / total, among / total
        else:
            p, adjusted = (own + 1) / (total + 1), (among + 1) / (total + 1)
        return p, np.maximum(p, adjusted)

    def critical(self, level: float) -> float:
        """Return the statistic that the largest of all rows exceeds in a share ``level`` of the flips."""
        return float(np.quantile(self.largest, 1 - level, method="higher"))


@dataclass(frozen=True)
class Ends:
    """Intervals of mean effects.

    Attributes:
        low: Lower end of each ``[rows]``.
        high: Upper end.
        adj_low: Lower end of the interval that holds for all rows of the family; NaN where there is none.
        adj_high: Upper end.
        method: How each was made.
    """

    low: Floats
    high: Floats
    adj_low: Floats
    adj_high: Floats
    method: list[str]


def intervals(sums: ClusterSums, p: Floats, critical: float, *, spec: StatsSpec, rng: np.random.Generator) -> Ends:
    """Return intervals of means, the groups being the clusters (see :func:`~paribus.stats.bootstrap.mean_intervals`).

    The interval for all rows takes the critical value of the largest flip, brought to the scale of t for ``k`` groups,
    ``t = q sqrt((k - 1) / (k - q^2))``, times the standard error of leaving one group out; never inside the first. As
    p, it takes sums to be symmetric. There is none where the groups count for fewer than 6 of equal size: where one
    group has half of the contexts, 20 rows would be covered together in .6 to .9 of samples.

    Args:
        sums: Sums and numbers of contexts of each row by group.
        p: :meth:`Flips.p` of each row; an interval holds 0 where it is above the level.
        critical: :meth:`Flips.critical` of the family.
        spec: Confidence and resamples.
        rng: Draws the resamples.

    Example:
        >>> from paribus.stats.clusters import reduce_to_clusters
        >>> from paribus.stats.spec import StatsSpec
        >>> rng = np.random.default_rng(0)
        >>> sums = reduce_to_clusters([[1.0, 2.0, 1.2, 1.8, 1.4, 1.6]], np.arange(6))
        >>> ends = intervals(sums, np.array([0.03]), 2.2, spec=StatsSpec(), rng=rng)
        >>> bool(ends.adj_low[0] < ends.low[0] < 1.5 < ends.high[0])
        True
    """
    blocks = (np.arange(len(p))[some] for some in by_size(max(len(p), 1), ROWS_AT_ONCE))
    parts = [mean_intervals(sums.rows(rows), spec=spec, rng=rng) for rows in blocks]
    low, high, method = (np.concatenate(each) for each in zip(*parts, strict=True))
    kept = p > 1 - spec.confidence
    low[kept], high[kept] = np.minimum(low[kept], 0.0), np.maximum(high[kept], 0.0)
    k = sums.n_clusters
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = critical * np.sqrt((k - 1) / np.maximum(k - critical**2, 1e-12)) * Studentised(sums).se
        reach[sums.effective < MIN_CLUSTERS] = np.nan
    adj_low, adj_high = np.minimum(low, sums.means - reach), np.maximum(high, sums.means + reach)
    return Ends(low, high, adj_low, adj_high, method.tolist())


def halves(n_groups: int, n_splits: int, rng: np.random.Generator) -> Bools:
    """Return which groups are in the first half ``[splits, groups]``.

    Example:
        >>> import numpy as np
        >>> halves(4, 3, np.random.default_rng(0)).sum(1).tolist()
        [2, 2, 2]
    """
    first = np.zeros(n_groups, bool)
    first[: n_groups // 2] = True
    return np.asarray(rng.permuted(np.tile(first, (n_splits, 1)), axis=1))


def agreement(sums: Floats, counts: Floats, first: Bools, signs: Floats | None = None) -> Floats:
    """Return the split-half correlation of each row's vector of effects, averaged over splits of the groups.

    Args:
        sums: Sums by group ``[rows, entries, groups]``.
        counts: How many contexts ``[entries, groups]``.
        first: Groups of the first half ``[splits, groups]``.
        signs: Signs that the sums of each group are flipped by ``[groups]``: a draw of the null; None: as they are.

    Returns:
        ``[rows]``; NaN with fewer than 6 entries measured in more than two thirds of the groups, or where a half is
        constant in every split.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> same = np.arange(8.0)[None, :, None] + rng.normal(0, 0.1, (1, 8, 10))
        >>> bool(agreement(same, np.ones((8, 10)), halves(10, 20, rng))[0] > 0.9)
        True
    """
    common = (counts > 0).mean(1) > 2 / 3
    if common.sum() < LEAST_ENTRIES:
        return np.full(len(sums), np.nan)
    sums, counts = sums[:, common], counts[common]
    flipped = sums if signs is None else sums * signs
    one, other = first.T.astype(np.float64), (~first).T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (_centred(flipped @ half / (counts @ half)) for half in (one, other))
        r = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    known = np.isfinite(r)
    total = np.where(known, r, 0.0).sum(1)
    return np.asarray(np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan))


def _centred(values: Floats) -> Floats:
    """Return values ``[rows, entries, splits]`` less their mean over entries; those that are equal are NaN."""
    centred = values - values.mean(1, keepdims=True)
    flat = np.abs(centred).max(1, keepdims=True) <= 1e-12 * np.abs(values).max(1, keepdims=True)
    return np.asarray(np.where(flat, np.nan, centred))
