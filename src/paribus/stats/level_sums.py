"""Sums over clusters from which level means, their differences and their cluster-robust variances follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.stats.clusters import FloatArray, IntArray

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

    values: FloatArray
    sizes: FloatArray
    order: IntArray
    starts: IntArray
    level: IntArray
    cluster: tuple[IntArray, IntArray]
    base: int | None
    n_levels: int

    @classmethod
    def of(
        cls,
        values: FloatArray,
        sizes: FloatArray,
        clusters: IntArray,
        levels: IntArray,
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
    def n_clusters(self) -> FloatArray:
        """Clusters with rows at each level ``[levels]``."""
        return np.bincount(self.level, minlength=self.n_levels).astype(np.float64)

    def __call__(self, moved: IntArray, group: IntArray, n_groups: int) -> FloatArray:
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
        products = (s, n, s * s, s * n, n * n, s * other_s, s * other_n, n * other_s, n * other_n)
        draws, buckets = len(moved), n_groups * self.n_levels
        bucket = group[self.order[self.starts]] * self.n_levels + self.level
        place = (np.arange(draws)[:, None] * buckets + bucket).ravel()
        out = np.empty((draws, n_groups, len(products), self.n_levels))
        for i, product in enumerate(products):
            summed = np.bincount(place, weights=product.ravel(), minlength=draws * buckets)
            out[:, :, i] = summed.reshape(draws, n_groups, self.n_levels)
        return out.reshape(draws, n_groups, -1)

    def in_place(self) -> FloatArray:
        """Return the sums of the data as they are ``[1, 9 * levels]``."""
        rows = np.arange(len(self.values))
        return self(rows[None], np.zeros_like(rows), 1)[:, 0]

    def _other(self, cells: FloatArray) -> FloatArray:
        first, place = self.cluster
        if self.base is None:
            return np.asarray(np.add.reduceat(cells, first, axis=1)[:, place])
        there = np.flatnonzero(self.level == self.base)
        out = np.zeros((len(cells), len(first)))
        out[:, place[there]] = cells[:, there]
        return out[:, place]

    def effects(self, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return differences of means and the same over their standard errors, each ``[draws, levels]``.

        Args:
            sums: ``[draws, 9 * levels]``.

        Returns:
            NaN for the base level. A difference without any variance is 0 or infinite.
        """
        s, n, ss, sn, nn, so, sno, nso, no = sums.reshape(len(sums), 9, self.n_levels).transpose(1, 0, 2)
        k = self.n_clusters
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = s / n
            own = _variance(mean, n, ss, sn, nn)
            variance = _moderated(own, nn / n**2, k)
            if self.base is None:
                all_s, all_n = s.sum(1, keepdims=True), n.sum(1, keepdims=True)
                rest_s, rest_n = all_s - s, all_n - n
                total = [part.sum(1, keepdims=True) for part in (so, sno, no)]
                other_mean = rest_s / rest_n
                other = _variance(
                    other_mean, rest_n, total[0] - 2 * so + ss, total[1] - sno - nso + sn, total[2] - 2 * no + nn
                )
                cross = (so - ss, sno - sn, nso - sn, no - nn)
                both = n * rest_n
            else:
                at = slice(self.base, self.base + 1)
                other_mean, other = mean[:, at], variance[:, at]
                cross, both = (so, sno, nso, no), n * n[:, at]
            shared = (cross[0] - other_mean * cross[1] - mean * cross[2] + mean * other_mean * cross[3]) / both
            effects = mean - other_mean
            if self.base is not None:
                effects[:, self.base] = np.nan
            apart = variance + other
            se = np.sqrt(np.maximum(apart - 2 * shared, LEAST_SHARE * apart))
            se[~np.isfinite(se)] = 1.0
            scale = np.sqrt((self.values**2).mean())
            t = np.where(np.abs(effects) <= ROUNDING * scale, 0.0 * effects, effects / se)
        return effects, t


def _variance(mean: FloatArray, n: FloatArray, ss: FloatArray, sn: FloatArray, nn: FloatArray) -> FloatArray:
    """Return ``sum (S - mean N)^2 / n^2``; what is left by rounding is 0."""
    square = ss - 2 * mean * sn + mean**2 * nn
    return np.asarray(np.where(square <= ROUNDING * ss, 0.0, square) / n**2)


def _moderated(own: FloatArray, spread: FloatArray, k: FloatArray) -> FloatArray:
    """Draw each level's variance towards the common one, with the small-sample factor ``k / (k - 1)``.

    Args:
        own: Variance of each level's mean ``[draws, levels]``.
        spread: What it would be at variance 1 within the level.
        k: Clusters at each level.
    """
    df = k - 1
    ratio = np.where(df > 0, own / spread * k / np.maximum(df, 1), 0.0)
    common = (df * ratio).sum(1, keepdims=True) / df.sum()
    return np.asarray(spread * (PRIOR_DF * common + df * ratio) / (PRIOR_DF + df))
