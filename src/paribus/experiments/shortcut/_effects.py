"""Paired effects of the rows of a table whose contexts are those of different splits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder, Setup
from paribus.results.columns import tested
from paribus.stats.bootstrap import Interval, cluster_interval
from paribus.stats.clusters import ClusterSums, reduce_to_clusters
from paribus.stats.effects import effect_table, skew_warnings
from paribus.stats.intervals import EQUAL_UNITS, EXACT_ZERO, ONE_CLASS, SHARE_GAP, Bounds, Methods, settle
from paribus.stats.multiplicity import adjust
from paribus.stats.scores import auroc
from paribus.stats.shares import Shares
from paribus.stats.simultaneous import adjusted_intervals
from paribus.stats.spec import StatsSpec

NUMBERS = ("std_delta", "std_error", "n_clusters", "ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "p", "p_adj")
METHODS = ("ci_method", "p_method")
EFFECT_COLUMNS = (*NUMBERS, *METHODS)
MEANINGS = tested("delta", "whole clusters", "is delta zero?", "all rows whose p are adjusted together")
"""What the columns mean that :func:`add_effects` adds."""


def add_effects(
    table: pd.DataFrame,
    differences: Sequence[Floats],
    clusters: Mapping[str, Ints],
    setup: Setup,
    recorder: Recorder,
    stream: str = "effects",
    *,
    family: Sequence[Hashable] | None = None,
    bounds: Bounds | None = None,
) -> pd.DataFrame:
    """Return ``table`` with the columns ``delta`` and :data:`EFFECT_COLUMNS`.

    Args:
        table: Rows with a column ``split``.
        differences: For each row the paired differences [contexts of its split].
        clusters: Cluster ids by split.
        setup: Settings of the statistics, randomness of resamples and flips.
        recorder: Told about skewed cluster sums.
        stream: Name of the stream of randomness.
        family: For each row the family its p is adjusted in; by default all rows are one.
        bounds: Range of the mean differences, to which intervals are cut.
    """
    spec, rng = setup.stats, setup.rng(stream)
    groups = np.asarray([hash(each) for each in family] if family is not None else np.zeros(len(table)))
    most = max(int((groups == each).sum()) for each in np.unique(groups))
    flips = replace(spec, n_permutations=max(spec.n_permutations, 40 * most))
    columns = {name: np.full(len(table), np.nan) for name in ("delta", *NUMBERS)}
    methods = {name: np.full(len(table), "", dtype=object) for name in METHODS}
    together = rng.spawn(1)[0]
    skewed, summed = [], list[tuple[Ints, ClusterSums, Ints]]()
    for split in table["split"].unique():
        rows = np.flatnonzero((table["split"] == split).to_numpy())
        sums = reduce_to_clusters(np.stack([differences[row] for row in rows.tolist()]), clusters[split])
        summed.append((rows, sums, np.unique(clusters[split])))
        found = effect_table(sums, clusters[split], spec=flips, rng=rng, bounds=bounds)
        for name in columns:
            columns[name][rows] = found["mean_delta" if name == "delta" else name].to_numpy(dtype=np.float64)
        for name in METHODS:
            methods[name][rows] = found[name].to_numpy()
        skewed += skew_warnings(found, what=f"split {split}")
    everything = _over_all_clusters(summed, len(table))
    for each in np.unique(groups):
        members = np.flatnonzero(groups == each)
        columns["p_adj"][members] = adjust(columns["p"][members], spec.adjust)
        own = columns["ci_low"][members], columns["ci_high"][members]
        tested = ~np.isnan(columns["p"][members])
        columns["ci_adj_low"][members], columns["ci_adj_high"][members] = adjusted_intervals(
            everything.rows(members), own, tested, spec=spec, rng=together, bounds=bounds
        )
    for message in skewed:
        recorder.warn(message)
    return table.assign(**{**columns, **methods, "n_clusters": columns["n_clusters"].astype(np.int64)})


def _over_all_clusters(parts: Sequence[tuple[Ints, ClusterSums, Ints]], n_rows: int) -> ClusterSums:
    """Return the sums of all rows over the clusters of all splits; each part has its rows, sums and cluster ids."""
    union = np.unique(np.concatenate([ids for _, _, ids in parts]))
    sums, counts = np.zeros((n_rows, len(union))), np.zeros((n_rows, len(union)))
    sd = np.full(n_rows, np.nan)
    for rows, part, ids in parts:
        place = np.ix_(rows, np.searchsorted(union, ids))
        sums[place], counts[place], sd[rows] = part.sums, part.counts, part.sd
    return ClusterSums(sums, counts, sd)


def ends_at(around: Interval | Shares, place: int, stem: str) -> dict[str, Any]:
    """Return the columns ``<stem>_low, _high, _method`` of one of several intervals."""
    low, high, method = around.low[place], around.high[place], around.method[place]
    return {f"{stem}_low": float(low), f"{stem}_high": float(high), f"{stem}_method": str(method)}


def auroc_influence(scores: Floats, positive: Ints) -> Floats:
    """Return each row's influence [n, columns] on the AUROC of every score column: their mean is 0.

    The placements of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44): with them the AUROC is, to first order,
    a mean over rows, and can be resampled by cluster.
    """
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
    raw: Floats,
    edited: Floats,
    positive: Ints,
    clusters: Ints,
    *,
    spec: StatsSpec,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, Methods]:
    """Return the change of AUROC from margins ``raw`` [n] to ``edited`` [rows, n], its interval's ends and method."""
    truth = np.asarray(positive, dtype=np.int64)
    if len(np.unique(truth)) < 2:
        nothing = np.full(len(edited), np.nan)
        return nothing, nothing, nothing, np.full(len(edited), ONE_CLASS, dtype=object)
    change = np.asarray(auroc(edited.T, truth)) - float(auroc(raw, truth))
    influence = auroc_influence(edited.T, truth) - auroc_influence(raw[:, None], truth)
    around = cluster_interval(influence, clusters, spec=spec, rng=rng)
    # Influence is 0 in every row where the AUROC is 0 or 1; if it changed all the same, its units are equal.
    method = np.where((around.method == EXACT_ZERO) & (change != 0), EQUAL_UNITS, around.method)
    low, high = change + np.asarray(around.low), change + np.asarray(around.high)
    return change, *settle(low, high, method, len(np.unique(clusters)), bounds=SHARE_GAP)
