"""Sums over clusters from which level means, their differences and their cluster-robust variances follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats, Ints

PRIOR_DF = 2.0
"""Weight of the common within-level variance against a level's own, in degrees of freedom (as Smyth 2004)."""
LEAST_SHARE = 0.01
"""The least variance of a difference, as a share of the sum of both sides' variances."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class LevelSums:
    """Rows with a level each, in cells (the rows of one cluster at one level).

    Each level is compared with ``base``, or with all other rows. Written for a cell: ``S`` the sum of its values, ``N``
    its size, ``(S', N')`` the same of the cell it is compared with in the same cluster (the one at the base level, or
    the whole cluster). A level's sums are those of S, N, SS, SN, NN, SS', SN', NS', NN' over its cells.

    Attributes:
        values: Centred values that move between places ``[n]``.
        sizes: Sizes that move with them ``[n]``.
        order: Rows sorted by cell.
        starts: Where each cell begins in that order ``[cells]``.
        level: Level of each cell ``[cells]``.
        cluster: First cell of each cluster ``[clusters]``, and of which cluster each cell is ``[cells]``.
        base: The level that others are compared with; None for all other rows.
        n_levels: Number of levels.
    """

    values: Floats
    sizes: Floats
    order: Ints
    starts: Ints
    level: Ints
    cluster: tuple[Ints, Ints]
    base: int | None
    n_levels: int

    @classmethod
    def of(
        cls,
        values: Floats,
        sizes: Floats,
        clusters: Ints,
        levels: Ints,
        n_levels: int,
        base: int | None,
    ) -> LevelSums:
        """Sort rows ``[n]`` of values and sizes into cells."""
        cell_of_row = clusters * n_levels + levels
        order = np.argsort(cell_of_row, kind="stable")
        cells, starts = np.unique(cell_of_row[order], return_index=True)
        of_cell = cells // n_levels
        first = np.flatnonzero(np.diff(of_cell, prepend=-1))
        place = np.repeat(np.arange(len(first)), np.diff(first, append=len(cells)))
        return cls(values, sizes, order, starts, cells % n_levels, (first, place), base, n_levels)

    @property
    def n_clusters(self) -> Floats:
        """Clusters with rows at each level ``[levels]``."""
        return np.bincount(self.level, minlength=self.n_levels).astype(np.float64)

    def __call__(self, moved: Ints, group: Ints, n_groups: int) -> Floats:
        """Return the sums ``[draws, groups, 9 * levels]`` where row ``i`` takes the value of row ``moved[:, i]``.

        Args:
            moved: ``[draws, n]``.
            group: Group of each row's cluster ``[n]``.
            n_groups: Number of groups.
        """
        rows = moved[:, self.order]
        s = np.add.reduceat(self.values[rows], self.starts, axis=1)
        if (self.sizes == self.sizes[0]).all():
            n = np.broadcast_to(np.add.reduceat(self.sizes[self.order], self.starts), s.shape)
        else:
            n = np.add.reduceat(self.sizes[rows], self.starts, axis=1)
        other_s, other_n = self._other(s), self._other(n)
        factors = ((s, None), (n, None), (s, s), (s, n), (n, n), (s, other_s), (s, other_n), (n, other_s), (n, other_n))
        draws, buckets = len(moved), n_groups * self.n_levels
        bucket = group[self.order[self.starts]] * self.n_levels + self.level
        place = (np.arange(draws)[:, None] * buckets + bucket).ravel()
        out = np.empty((draws, n_groups, len(factors), self.n_levels))
        for i, (one, other) in enumerate(factors):
            product = one if other is None else one * other
            summed = np.bincount(place, weights=product.ravel(), minlength=draws * buckets)
            out[:, :, i] = summed.reshape(draws, n_groups, self.n_levels)
        return out.reshape(draws, n_groups, -1)

    def in_place(self) -> Floats:
        """Return the sums of the data as they are ``[1, 9 * levels]``."""
        rows = np.arange(len(self.values))
        return self(rows[None], np.zeros_like(rows), 1)[:, 0]

    def _other(self, cells: Floats) -> Floats:
        first, place = self.cluster
        if self.base is None:
            return np.asarray(np.add.reduceat(cells, first, axis=1)[:, place])
        there = np.flatnonzero(self.level == self.base)
        out = np.zeros((len(cells), len(first)))
        out[:, place[there]] = cells[:, there]
        return out[:, place]

    def effects(self, sums: Floats) -> tuple[Floats, Floats]:
        """Return differences of means and the same over their standard errors, each ``[draws, levels]``.

        Args:
            sums: ``[draws, 9 * levels]``.

        Returns:
            NaN for the base level. A difference without any variance is 0 or infinite.
        """
        s, n, ss, sn, nn, so, sno, nso, no = sums.reshape(len(sums), 9, self.n_levels).transpose(1, 0, 2)
        own = Side(s, n, ss, sn, nn, self.n_clusters)
        if self.base is None:
            total = [part.sum(1, keepdims=True) for part in (s, n, so, sno, no)]
            rest = (
                total[0] - s,
                total[1] - n,
                total[2] - 2 * so + ss,
                total[3] - sno - nso + sn,
                total[4] - 2 * no + nn,
            )
            other = Side(*rest, self._n_clusters_of_rest())
            cross = (so - ss, sno - sn, nso - sn, no - nn)
        else:
            at = slice(self.base, self.base + 1)
            other = Side(s[:, at], n[:, at], ss[:, at], sn[:, at], nn[:, at], own.k[at])
            cross = (so, sno, nso, no)
        with np.errstate(invalid="ignore", divide="ignore"):
            effects = own.mean - other.mean
            shared = cross[0] - other.mean * cross[1] - own.mean * cross[2] + own.mean * other.mean * cross[3]
            apart = _sum_of_variances(own, other)
            se = np.sqrt(np.maximum(apart - 2 * shared / (own.n * other.n), LEAST_SHARE * apart))
            se[~np.isfinite(se)] = 1.0
            if self.base is not None:
                effects[:, self.base] = np.nan
            scale = np.sqrt((self.values**2).mean())
            t = np.where(np.abs(effects) <= ROUNDING * scale, 0.0 * effects, effects / se)
        return effects, t

    def _n_clusters_of_rest(self) -> Floats:
        """Return, for each level, the clusters that have rows outside of it ``[levels]``."""
        first, place = self.cluster
        alone = np.bincount(place)[place] == 1
        only = np.bincount(self.level[alone], minlength=self.n_levels)
        return np.asarray(len(first) - only, dtype=np.float64)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: sums over its cells, each ``[draws, levels]``, and its clusters ``[levels]``."""

    s: Floats
    n: Floats
    ss: Floats
    sn: Floats
    nn: Floats
    k: Floats

    @property
    def mean(self) -> Floats:
        """Mean of the rows."""
        return self.s / self.n

    @property
    def df(self) -> Floats:
        """Degrees of freedom of the variance."""
        return np.asarray(np.maximum(self.k - 1, 0.0))

    @property
    def spread(self) -> Floats:
        """Variance of the mean where clusters have variance 1 a row."""
        return self.nn / self.n**2

    @property
    def unit_variance(self) -> Floats:
        """Cluster-robust variance of the mean over :attr:`spread`; what is left by rounding is 0."""
        square = self.ss - 2 * self.mean * self.sn + self.mean**2 * self.nn
        square = np.where(square <= ROUNDING * self.ss, 0.0, square)
        return np.asarray(np.where(self.df > 0, square / self.nn * self.k / np.maximum(self.df, 1.0), 0.0))


def _sum_of_variances(own: Side, other: Side) -> Floats:
    """Return the variance of the difference of independent means, each side's drawn towards that of both together.

    Only the two sides are pooled: the variance of a third level is no evidence about theirs.
    """
    of_own, of_other = own.unit_variance, other.unit_variance
    both = (own.df * of_own + other.df * of_other) / (own.df + other.df)
    parts = [
        side.spread * (PRIOR_DF * both + side.df * variance) / (PRIOR_DF + side.df)
        for side, variance in ((own, of_own), (other, of_other))
    ]
    return np.asarray(parts[0] + parts[1])
