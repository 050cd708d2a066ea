"""The effect vectors of the generic experiments: the rows of a table, as validation compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paribus.arrays import Floats
from paribus.experiments.any._readouts import KL, readout_of
from paribus.experiments.any._session import At, Rows
from paribus.experiments.any.generic import Generic
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.stats.clusters import ClusterSums


def without_nulls(setup: NetworkSetup) -> NetworkSetup:
    """Return the same setup with the cheapest statistics: of a vector only the differences count."""
    return replace(setup, stats=replace(setup.stats, n_null=0, n_permutations=99, n_bootstrap=100))


def promised(experiment: Generic, setup: NetworkSetup, rows: Rows, n_entries: int) -> Promised:
    """Return what is known of a vector of the contexts that are reported, before anything is measured."""
    n_clusters = len(np.unique(setup.contexts.cluster[rows.reported]))
    kind, _ = readout_of(experiment, setup, setup.executor())
    return Promised(n_entries=n_entries, n_clusters=n_clusters, n_contexts=len(rows.reported), signed=kind != KL)


def vector_of(at: At, rows: Rows, labels: Sequence[str], sums: ClusterSums, recorder: Recorder) -> EffectVector:
    """Return rows as a vector; clusters that support none of them are left out.

    Args:
        at: The network.
        rows: Which contexts were measured.
        labels: Name of each row.
        sums: The paired differences, by cluster.
        recorder: Is told how many contexts there are.
    """
    recorder.diagnose(n_contexts_tested=len(rows.reported))
    some = np.flatnonzero(sums.counts.any(axis=0))
    kept = replace(sums, sums=_of(sums.sums, some), counts=_of(sums.counts, some))
    return EffectVector(
        labels=tuple(labels),
        values=sums.means,
        sums=kept,
        n_contexts=len(rows.reported),
        about={"readout": at.kind, "split": rows.said, "n_fitted_on": len(rows.fit)},
    )


def _of(matrix: Floats, columns: np.ndarray) -> Floats:
    return matrix if len(columns) == matrix.shape[1] else np.ascontiguousarray(matrix[:, columns])
