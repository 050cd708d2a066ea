"""A heatmap's cells and interactions, added up as blocks of contexts are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats
from paribus.experiments.builds._effects import contrast, row_sums
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.stream import Stream
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals


@dataclass(frozen=True)
class HeatmapSums:
    """What is known of all contexts.

    Attributes:
        f: Activation in each cell.
        z: Pre-activation in each cell.
        firing_rate: Share of contexts with f > 0 in each cell ``[cells]``.
        interaction: Interaction of each inner cell in f.
        interaction_z: The same in z.
        null: Mean interactions of the null features ``[inner cells, n_null]``.
        common: Mean activation of each cell over the contexts that support all cells compared in an additive model.
    """

    f: ClusterSums
    z: ClusterSums
    firing_rate: Floats
    interaction: ClusterSums
    interaction_z: ClusterSums
    null: Floats | None
    common: Floats


def add_up(setup: BuildSetup, stream: Stream, weights: Floats, common: Bools, means: LevelMeans) -> HeatmapSums:
    """Measure all blocks and return their sums.

    Args:
        setup: The contexts ``[n]``.
        stream: Measures the states of the cells.
        weights: Of the interactions ``[inner cells, x * y]``.
        common: The contexts an additive model is fitted on ``[n]``.
        means: Which states make up each cell.
    """
    sums = [row_sums(setup, n) for n in weights.shape[::-1] for _ in range(2)]
    everywhere, compared = LevelTotals(weights.shape[1]), LevelTotals(weights.shape[1])
    for block in stream:
        columns, (f, z) = block.columns, block.values
        firing = means.of(np.where(np.isnan(f), np.nan, f > 0))
        f, z = means.of(f), means.of(z)
        for kept, values in zip(sums, (f, z, contrast(weights, f), contrast(weights, z)), strict=True):
            kept.add(values, columns)
        everywhere.add(firing)
        compared.add(f[:, common[columns]])
    cells_f, cells_z, inner_f, inner_z = (kept.result() for kept in sums)
    return HeatmapSums(cells_f, cells_z, everywhere.means, inner_f, inner_z, stream.null, compared.means)


def corners(n_x: int, n_y: int) -> Floats:
    """Return ``y(x,y) - y(x,0) - y(0,y) + y(0,0)`` of every inner cell as weights ``[cells, n_x * n_y]``."""
    weights = np.zeros(((n_x - 1) * (n_y - 1), n_x, n_y))
    row = 0
    for i in range(1, n_x):
        for j in range(1, n_y):
            weights[row, i, j], weights[row, i, 0], weights[row, 0, j], weights[row, 0, 0] = 1, -1, -1, 1
            row += 1
    return weights.reshape(len(weights), n_x * n_y)


def compared_cells(known: Bools, min_n: int) -> tuple[Bools, Bools]:
    """Choose what an additive model is fitted to.

    Args:
        known: Which contexts support each cell ``[cells, n]``.
        min_n: Contexts that a cell needs.

    Returns:
        The cells that at least half of the contexts (and ``min_n``) support, and the contexts that support them all.
    """
    cells = known.sum(1) >= max(min_n, known.shape[1] // 2)
    return cells, np.asarray(known[cells].all(0))


def additive_r2(means: Floats, cells: Bools, n_y: int) -> float | None:
    """Return the share of the variance between cells that an additive model of x and y explains.

    Args:
        means: Mean of each cell, all on the same contexts ``[x * y]``, x varying slowest.
        cells: Which cells are compared.
        n_y: Number of levels along y.

    Returns:
        None where too few cells are compared or they do not vary.
    """
    n_x = len(means) // n_y
    if cells.sum() < n_x + n_y:
        return None
    y = means[cells]
    i, j = np.divmod(np.flatnonzero(cells), n_y)
    terms = np.concatenate([np.eye(n_x)[i], np.eye(n_y)[j][:, 1:]], axis=1)
    fitted = terms @ np.linalg.lstsq(terms, y, rcond=None)[0]
    total = float(((y - y.mean()) ** 2).sum())
    return None if total < 1e-20 else 1.0 - float(((y - fitted) ** 2).sum()) / total
