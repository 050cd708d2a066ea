"""What is validated: the effect vector of the target, and setups with shuffled activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import FEW_CLUSTERS, LEAST_TESTED, EffectVector, Validated
from paribus.experiments.validation.validation_experiment import (
    LEAST_ENTRIES,
    Validation,
    clusters_called,
    few_clusters,
)
from paribus.stats.blocks import block_permutations, exchangeable_blocks
from paribus.stats.clusters import ClusterSums, reduce_to_clusters

FEW_BUILDS = 12


@dataclass(frozen=True)
class Usable:
    """An effect vector with the entries that can be judged.

    Attributes:
        vector: The whole vector.
        kept: Places of those entries.
        sums: Their paired differences by cluster; None where the vector is observational.
        n_contexts: Contexts that it is from.
        called: What clusters are called.
    """

    vector: EffectVector
    kept: Ints
    sums: ClusterSums | None
    n_contexts: int
    called: str

    @property
    def values(self) -> Floats:
        """The entries that can be judged ``[k]``."""
        return self.vector.values[self.kept]

    @property
    def labels(self) -> list[str]:
        """Their names."""
        return [self.vector.labels[i] for i in self.kept]

    @property
    def scope(self) -> str:
        """Which contexts it is from, in words."""
        return "all of the data" if self.vector.n_contexts is None else f"{self.n_contexts} contexts"

    @property
    def null(self) -> str:
        """What the null is made of, in words."""
        observed = f"activations shuffled among {self.called}"
        return observed if self.sums is None else f"signs of whole {self.called} flipped"


def usable_vector(experiment: Validation, setup: Validated, recorder: Recorder) -> Usable:
    """Return the target's vector with the entries that can be judged; warnings about the contexts are recorded.

    Entries that rest on fewer than 30 contexts are left out: they would dominate by their noise.

    Raises:
        ConfigError: If fewer than six are left, or there are too few clusters.
    """
    called = clusters_called(experiment.target)
    promised = experiment.target.promised_vector(setup)
    _refuse_few(experiment, len(np.unique(setup.cluster)) if promised is None else promised.n_clusters, called)
    vector = experiment.target.measured_vector(setup, recorder)
    usable = np.isfinite(vector.values)
    if vector.differences is not None:
        usable &= (~np.isnan(vector.differences)).sum(1) >= LEAST_TESTED
    if vector.sums is not None:
        usable &= vector.sums.n >= LEAST_TESTED
        _refuse_few(experiment, vector.sums.sums.shape[1], called)
    kept = np.flatnonzero(usable)
    if len(kept) < LEAST_ENTRIES:
        raise ConfigError(
            f"experiment.target: the effect vector of {experiment.target.type} has {len(kept)} usable entries "
            f"(of {len(vector.values)}), and at least {LEAST_ENTRIES} are needed; ask it for more conditions, or give "
            "more contexts"
        )
    sums = None if vector.sums is None else vector.sums.rows(kept)
    if vector.differences is not None:
        sums = reduce_to_clusters(vector.differences[kept], setup.cluster)
    n_contexts = len(setup.contexts) if vector.n_contexts is None else vector.n_contexts
    return Usable(vector, kept, sums, n_contexts, called)


def _refuse_few(experiment: Validation, n_clusters: int, called: str) -> None:
    if n_clusters < FEW_CLUSTERS:
        raise ConfigError(few_clusters(experiment, n_clusters, called))


def to_shuffle(setup: Validated, recorder: Recorder, n: int, stream: str) -> tuple[Validated, Iterator[Validated]]:
    """Return the setup with the fewest resamples (of a vector only the values count), and its shuffled forms."""
    if sum(len(rows) for rows in exchangeable_blocks(setup.cluster) if len(rows) > 1) < FEW_BUILDS:
        recorder.warn("hardly any source builds have the same number of contexts, so that shuffling changes little")
    base = setup.restrict(np.arange(len(setup.contexts)))
    base.stats = replace(setup.stats, n_bootstrap=100, n_permutations=99)
    base.corpus_measured  # noqa: B018 - measured once, before the copies are made
    return base, shuffled(base, n, stream)


def shuffled(setup: Validated, n: int, stream: str) -> Iterator[Validated]:
    """Yield the setup with activations shuffled among the chosen contexts, whole source builds at a time.

    Builds change places with others of the same number of contexts; activations outside the slice stay.
    """
    whole = setup.corpus_measured
    for chunk in block_permutations(setup.cluster, n, setup.rng(stream)):
        for order in chunk:
            f, z = whole.f.copy(), whole.z.copy()
            f[setup.chosen], z[setup.chosen] = f[setup.chosen][order], z[setup.chosen][order]
            yield setup.with_activations(f, z)
