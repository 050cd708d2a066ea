"""Paired effects of the rows of a table whose contexts are the images of different splits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from paribus.experiments._shortcut_readout import FloatArray, IntArray
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.effects import effect_table, skew_warnings
from paribus.stats.multiplicity import adjust
from paribus.stats.scores import auroc

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.base import Recorder
    from paribus.stats.spec import StatsSpec

EFFECT_COLUMNS = ("std_delta", "std_error", "n_clusters", "ci_low", "ci_high", "p", "p_adj")


def add_effects(
    table: pd.DataFrame,
    differences: Sequence[FloatArray],
    clusters: Mapping[str, IntArray],
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
    recorder: Recorder,
    family: Sequence[Hashable] | None = None,
) -> pd.DataFrame:
    """Return ``table`` with the columns ``delta`` and :data:`EFFECT_COLUMNS`.

    Args:
        table: Rows with a column ``split``.
        differences: For each row the paired differences [contexts of its split].
        clusters: Cluster ids by split.
        spec: Settings of the statistics.
        rng: Randomness of resamples and flips.
        recorder: Told about skewed cluster sums.
        family: For each row the family its p is adjusted in; by default all rows are one.
    """
    groups = np.asarray([hash(each) for each in family] if family is not None else np.zeros(len(table)))
    most = max(int((groups == each).sum()) for each in np.unique(groups))
    flips = replace(spec, n_permutations=max(spec.n_permutations, 40 * most))
    columns = {name: np.full(len(table), np.nan) for name in ("delta", *EFFECT_COLUMNS)}
    skewed = []
    for split in table["split"].unique():
        rows = np.flatnonzero((table["split"] == split).to_numpy())
        found = effect_table(
            np.stack([differences[row] for row in rows.tolist()]), clusters[split], spec=flips, rng=rng
        )
        for name in columns:
            columns[name][rows] = found["mean_delta" if name == "delta" else name].to_numpy(dtype=np.float64)
        skewed += skew_warnings(found, what=f"split {split}")
    for each in np.unique(groups):
        members = groups == each
        columns["p_adj"][members] = adjust(columns["p"][members], spec.adjust)
    for message in skewed:
        recorder.warn(message)
    return table.assign(**{**columns, "n_clusters": columns["n_clusters"].astype(np.int64)})


def auroc_influence(scores: FloatArray, positive: IntArray) -> FloatArray:
    """Return each row's influence [n, columns] on the AUROC of every score column: their mean is 0.

    The placements of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44): with them the AUROC is, to first order,
    a mean over rows, and can be resampled by cluster.
    """
    from scipy.stats import rankdata

    truth = np.asarray(positive, dtype=bool)
    n, n_pos = len(truth), int(truth.sum())
    n_neg = n - n_pos
    everywhere = rankdata(scores, axis=0)
    within = np.empty_like(everywhere)
    within[truth], within[~truth] = rankdata(scores[truth], axis=0), rankdata(scores[~truth], axis=0)
    won = np.where(truth[:, None], (everywhere - within) / max(n_neg, 1), 1 - (everywhere - within) / max(n_pos, 1))
    area = won[truth].mean(axis=0)
    share = np.where(truth, n / max(n_pos, 1), n / max(n_neg, 1))
    return np.asarray((won - area) * share[:, None])


def auroc_change(
    raw: FloatArray,
    edited: FloatArray,
    positive: IntArray,
    clusters: IntArray,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the change of AUROC [rows] from margins ``raw`` [n] to ``edited`` [rows, n], with its interval's ends."""
    truth = np.asarray(positive, dtype=np.int64)
    if len(np.unique(truth)) < 2:
        nothing = np.full(len(edited), np.nan)
        return nothing, nothing, nothing
    change = np.asarray(auroc(edited.T, truth)) - float(auroc(raw, truth))
    influence = auroc_influence(edited.T, truth) - auroc_influence(raw[:, None], truth)
    around = cluster_interval(influence, clusters, spec=spec, rng=rng)
    return change, change + np.asarray(around.low), change + np.asarray(around.high)
