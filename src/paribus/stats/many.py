"""Mean effects of very many rows (thousands of features by dozens of levels), a part of the rows at a time.

Whole clusters are put into a few groups, and of every row only the sums over each group are held. Signs of groups are
flipped in all rows at once; the largest statistic of each flip is kept from part to part, so that p can be adjusted
over rows that never are in memory together (Westfall and Young 1993, single step).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from paribus.arrays import Bools, Floats, Ints
from paribus.stats.clusters import cluster_codes
from paribus.stats.intervals import EQUAL_UNITS, MIN_CLUSTERS

MOST_GROUPS = 24
"""The most groups that clusters are joined into: 2 ** 23 sign patterns."""
EXACT_GROUPS = 13
"""Up to this many groups all sign patterns are enumerated."""
TOLERANCE = 1e-9
LEAST_ENTRIES = 6
"""Below this many entries no correlation is computed."""
NO_GROUPS = f"none: fewer than {MIN_CLUSTERS} clusters"
ZERO = "exact_zero"
T_GROUPS = "t_groups"


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
        self.exact = n_groups <= EXACT_GROUPS
        if self.exact:
            patterns = np.arange(2 ** max(0, n_groups - 1))[:, None] >> np.arange(max(0, n_groups - 1))[None] & 1
            self._signs = np.concatenate([np.ones((len(patterns), 1)), 1.0 - 2.0 * patterns], axis=1)
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
            np.maximum(self.largest, np.abs(_scaled(sums) @ self._signs.T).max(0), out=self.largest)

    def p(self, sums: Floats) -> tuple[Floats, Floats]:
        """Return p and adjusted p of rows ``[rows, groups]``, two-sided; 1 where a row is 0 in every group."""
        scaled = _scaled(sums)
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


def _scaled(sums: Floats) -> Floats:
    size = np.sqrt((sums**2).sum(1, keepdims=True))
    return np.asarray(np.divide(sums, size, out=np.zeros_like(sums), where=size > 0))


@dataclass(frozen=True)
class Ends:
    """Intervals of mean effects.

    Attributes:
        low: Lower end of each ``[rows]``.
        high: Upper end.
        adj_low: Lower end of the interval that holds for all rows of the family.
        adj_high: Upper end.
        method: How each was made.
    """

    low: Floats
    high: Floats
    adj_low: Floats
    adj_high: Floats
    method: list[str]


def intervals(sums: Floats, counts: Floats, critical: float, confidence: float) -> Ends:
    """Return intervals of means by the spread between groups (Liang and Zeger 1986), Student's t.

    The interval for all rows takes the critical value of the largest flip, brought to the scale of t:
    ``t = q sqrt((k - 1) / (k - q^2))`` for ``k`` groups.

    Args:
        sums: Sums of each row by group ``[rows, groups]``.
        counts: How many contexts ``[rows, groups]``.
        critical: :meth:`Flips.critical` of the family.
        confidence: Of each interval.

    Example:
        >>> ends = intervals(np.array([[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]]), np.ones((1, 6)), 2.2, 0.95)
        >>> bool(ends.adj_low[0] < ends.low[0] < 1.5 < ends.high[0])
        True
    """
    k, n = (counts > 0).sum(1), counts.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(1) / n
        spread = ((sums - mean[:, None] * counts) ** 2).sum(1)
        spread[spread <= 1e-18 * (sums**2).sum(1)] = 0.0
        se = np.sqrt(k / (k - 1) * spread) / n
        own = student.ppf(0.5 + confidence / 2, np.maximum(k - 1, 1))
        together = np.maximum(own, critical * np.sqrt((k - 1) / np.maximum(k - critical**2, 1e-12)))
    zero = ~sums.any(1) & (n > 0)
    method = np.where(k < MIN_CLUSTERS, NO_GROUPS, np.where(se > 0, T_GROUPS, EQUAL_UNITS))
    method = np.where(zero, ZERO, method)
    known = (method == T_GROUPS) | zero
    half, wide = (np.where(known, np.where(zero, 0.0, each * se), np.nan) for each in (own, together))
    mean = np.where(zero, 0.0, mean)
    return Ends(mean - half, mean + half, mean - wide, mean + wide, method.tolist())


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
