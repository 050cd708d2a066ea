"""A feature of a set model, ready to be measured on the builds of a corpus: what all parts of a setup share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Setup
from paribus.features.readable import Readable
from paribus.features.reader import Feature, Reader
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.nulls import Moments, NullFeatures, matched
from paribus.measure.readout import FeatureReadout
from paribus.measure.watch import Watch
from paribus.results.schema import EngineReport
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Contexts, Corpus
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.enforcement import Constraints, pairs_seen
from paribus.subjects.builds.models.set_model import SAE_SITE, SetModel
from paribus.subjects.builds.states import States
from paribus.subjects.builds.subject import BuildSubject, readable

REFERENCE_CONTEXTS = 5000
"""Contexts that the moments of features are taken over; the whole corpus where it has no more."""
NULL_CANDIDATES = 4096
"""Features that null features are chosen from."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Activation and pre-activation of some states.

    Attributes:
        f: Activation, in the shape of the states; NaN where a state was taken out.
        z: Pre-activation, likewise.
        report: How they were measured.
    """

    f: Floats
    z: Floats
    report: EngineReport = EngineReport()


@dataclass(eq=False)
class Instrument:
    """A feature, its model and its corpus; what is measured of the whole corpus is measured once.

    Attributes:
        corpus: All contexts, vocabulary, weapons.
        model: The set model, with its autoencoder.
        feature: Spec of the feature (``reader(network, generator)``); None where the model alone is measured.
        constraint_spec: What edited states must satisfy.
        setup: Gives seed, settings of the statistics and of forward passes.
    """

    corpus: Corpus
    model: SetModel
    feature: Any
    constraint_spec: ConstraintsSpec
    setup: Setup

    @cached_property
    def edits(self) -> Edits:
        """The edits of this vocabulary."""
        return Edits(self.corpus.vocabulary, self.corpus.weapons)

    @cached_property
    def constraints(self) -> Constraints:
        """The constraints of this corpus."""
        needed = self.constraint_spec.avoid_ood_token_combinations != "off"
        seen = pairs_seen(self.corpus.contexts.codes) if needed else None
        return Constraints(self.constraint_spec, self.corpus.vocabulary, seen)

    @cached_property
    def executor(self) -> Executor:
        """Runs the model on the whole corpus."""
        return Executor(
            self.model.network,
            self.subject(self.corpus.contexts),
            device=self.setup.device,
            dtype=self.setup.dtype,
            batch_limit=self.setup.batch_limit,
        )

    def subject(self, contexts: Contexts) -> BuildSubject:
        """Return contexts as the executor knows them."""
        return BuildSubject(contexts, self.constraints, reads_source=self.model.reads_source)

    def on(self, contexts: Contexts) -> Executor:
        """Return what runs the model on some contexts."""
        return self.executor.on(self.subject(contexts))

    # The feature --------------------------------------------------------------------------------------------------

    @cached_property
    def network(self) -> Readable:
        """The model as features read it."""
        return readable(self.model, self.executor, self.corpus.vocabulary)

    @cached_property
    def reader(self) -> Reader:
        """The feature under study.

        Raises:
            ConfigError: If no feature is chosen, or the model has no such feature.
        """
        if self.feature is None:
            raise ConfigError("no feature chosen; say for instance feature=latent feature.id=0")
        if not isinstance(self.feature, Feature):
            raise ConfigError("feature: its _target_ must be a Spec with a reader(network, generator) method")
        return self.feature.reader(self.network, self.setup.torch_rng("feature"))

    @property
    def place(self) -> str:
        """Where the feature is read; the autoencoder's place where no feature is chosen."""
        return SAE_SITE if self.feature is None else self.reader.place

    @cached_property
    def readout(self) -> FeatureReadout:
        """The feature alone."""
        return self.reader.readout()

    @cached_property
    def readout_with_nulls(self) -> FeatureReadout:
        """The feature, and its null features from the same forward passes."""
        return self.reader.readout(self.nulls)

    def measure(self, states: States, watch: Watch | None = None) -> Activations:
        """Measure states of any shape: constraints first, then each distinct state once."""
        states = self.executor.subject.enforce(states, watch)
        flat = states.reshape(1, -1)
        executor = self.on(Contexts(flat.codes[0], flat.source[0]))
        found = executor.stream(Design(), self.readout, ok=flat.ok).collected(states.size)
        if watch is not None:
            watch.diagnose(engine=found.report)
        f, z = found.values.reshape(2, *states.shape)
        return Activations(f, z, found.report)

    def as_observed(self, contexts: Contexts) -> Activations:
        """Measure contexts as they are: whatever was observed is legal."""
        return self.measure(replace(contexts.states(), checked=True))

    # The feature over the corpus ----------------------------------------------------------------------------------

    @property
    def knows_whole(self) -> bool:
        """Whether every context of the corpus was measured, or will be for the moments."""
        return "whole" in self.__dict__ or len(self.corpus.contexts) <= REFERENCE_CONTEXTS

    @cached_property
    def whole(self) -> Activations:
        """F and z of every context of the corpus ``[n]``."""
        if len(self.corpus.contexts) <= REFERENCE_CONTEXTS:
            return Activations(*self._reference[1])
        return self.as_observed(self.corpus.contexts)

    @property
    def moments(self) -> Moments:
        """Moments of the feature (first) and of candidates for its nulls, over a sample of the corpus."""
        return self._reference[0]

    @cached_property
    def _reference(self) -> tuple[Moments, Floats]:
        """The moments, and f and z of the feature on the sample ``[2, n]``: the whole corpus where it is small."""
        columns: Ints = np.arange(len(self.corpus.contexts))
        if len(columns) > REFERENCE_CONTEXTS:
            sample = self.setup.rng("reference").choice(len(columns), REFERENCE_CONTEXTS, replace=False)
            columns = np.sort(sample)
        size, own = self.reader.columns.size, self.reader.row
        others = np.setdiff1d(np.arange(size), [own])
        if len(others) > NULL_CANDIDATES:
            rng = self.setup.rng("null_candidates")
            others = np.sort(rng.choice(others, NULL_CANDIDATES, replace=False))
        rows = np.concatenate([[own], others]).astype(np.int64)
        cells = self.executor.subject.cells(columns)
        return self.executor.moments(cells, self.reader.columns, rows, self.reader.place)

    @cached_property
    def nulls(self) -> NullFeatures:
        """Up to ``stats.n_null`` features of the same kind, nearest in firing rate."""
        return matched(self.moments, self.reader.row, self.setup.stats.n_null, self.setup.rng("null_features"))
