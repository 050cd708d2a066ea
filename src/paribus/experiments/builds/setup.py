"""What an experiment on builds works on: a corpus, a set model, a feature, edits, constraints, and measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from paribus.arrays import Bools, Floats, Ints, Singles
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder, Setup
from paribus.experiments.builds.instrument import Activations, Instrument
from paribus.features.columns import Latents, Logits
from paribus.features.reader import Reader
from paribus.measure.design import Design
from paribus.measure.distinct import distinct
from paribus.measure.executor import Executor
from paribus.measure.nulls import Contrasts, NullFeatures
from paribus.measure.stream import Measured, Stream
from paribus.results.words import counted
from paribus.stats.intervals import AT_LEAST_0, SHARE, Bounds
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Contexts, Corpus
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.enforcement import Constraints
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.states import States
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

FLOOR_SD = 0.1
"""Below this many sds an activation counts as being at the floor."""
MOST_LOOKED_AT = 2000
"""Contexts up to which a dry run looks at what is legal in each: with more, some nearly always support a question."""


@dataclass(kw_only=True)
class BuildSetup(Setup):
    """The loaded objects of an experiment on builds, and what it asks of them.

    Attributes:
        corpus: All contexts (unsliced), vocabulary, weapons.
        model: The set model, with its autoencoder.
        feature: Spec of the feature (``reader(network, generator)``); None for training experiments.
        slicing: Which contexts experiments work on.
        constraint_spec: What edited states must satisfy.
        activations: f and z of the whole corpus ``[2, n]`` where they are given, not measured (shuffle nulls).
        rows: Rows of the corpus to work on, overriding ``slicing``.
        instrument: The feature, ready to be measured; parts of the contexts share it.

    Example:
        >>> from paribus.experiments.builds.loading import build_setup
        >>> from paribus.stats.spec import StatsSpec
        >>> from paribus.subjects.builds.generated import BuildsGenerated
        >>> from paribus.subjects.builds.models.planted import Planted
        >>> data = BuildsGenerated(n_builds=20, contexts_per_build=1).load()
        >>> setup = build_setup(data=data, model=Planted(), seed=0, stats=StatsSpec())
        >>> len(setup.contexts), setup.restrict(np.arange(5)).cluster.tolist()
        (20, [12, 14, 11, 19, 0])
    """

    corpus: Corpus
    model: SetModel
    feature: Any = None
    slicing: SliceSpec = field(default_factory=SliceSpec)
    constraint_spec: ConstraintsSpec = field(default_factory=ConstraintsSpec)
    activations: Floats | None = None
    rows: Ints | None = None
    instrument: Instrument = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the instrument; nothing is measured yet."""
        self.instrument = Instrument(self.corpus, self.model, self.feature, self.constraint_spec, self)

    @property
    def subject_name(self) -> str:
        """What kind of data it is."""
        return "builds"

    # What was loaded ----------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """Token vocabulary."""
        return self.corpus.vocabulary

    @property
    def weapons(self) -> Weapons:
        """Weapon vocabulary, with kits."""
        return self.corpus.weapons

    @property
    def edits(self) -> Edits:
        """The edits of this vocabulary."""
        return self.instrument.edits

    @property
    def constraints(self) -> Constraints:
        """The constraints of this corpus."""
        return self.instrument.constraints

    @property
    def reader(self) -> Reader:
        """The feature under study.

        Raises:
            ConfigError: If no feature is chosen, or the model has no such feature.
        """
        return self.instrument.reader

    @property
    def feature_name(self) -> str | None:
        """Name of the feature, for results; None for training experiments."""
        return None if self.feature is None else self.reader.name

    @property
    def data_digest(self) -> str:
        """Hash of the corpus as it was loaded."""
        return self.corpus.digest

    @property
    def examined(self) -> nn.Module:
        """The network, without its autoencoder."""
        return self.model.network

    def read_ahead(self) -> None:
        """Read the feature, which may come from a file whose path is relative."""
        if self.feature is not None:
            self.reader  # noqa: B018 - kept from here on

    def look_up(self, stable_tokens: Sequence[str] = ()) -> None:
        """Look up every name of the slice, the feature and the held tokens, without measuring anything.

        Raises:
            ConfigError: If one is unknown, or two held tokens need the same slot.
        """
        self.slicing.look_up(self.vocabulary, self.weapons)
        self.edits.requested(stable_tokens)
        if self.feature is not None:
            self.reader  # noqa: B018 - looks the feature up

    # Contexts -----------------------------------------------------------------------------------------------------

    @cached_property
    def chosen(self) -> Ints:
        """Rows of the corpus that the slice keeps, ascending."""
        if self.rows is not None:
            return self.rows
        return self.slicing.select(
            self.corpus.contexts, lambda: self.corpus_measured.f, self.vocabulary, self.weapons, self.seed
        )

    @cached_property
    def contexts(self) -> Contexts:
        """The contexts that experiments work on (sliced)."""
        return self.corpus.contexts.rows(self.chosen)

    @property
    def few(self) -> bool:
        """Whether there are so few contexts, known before anything is measured, that a dry run looks at every one."""
        return not self.slicing.by_activation and len(self.contexts) <= MOST_LOOKED_AT

    @property
    def cluster(self) -> Ints:
        """Source build of each context ``[n]``."""
        return self.contexts.cluster

    def restrict(self, rows: Ints) -> BuildSetup:
        """Return the same setup on some of its contexts (places in ``contexts``), e.g. one half of the clusters."""
        other = replace(self, rows=self.chosen[rows])
        other.instrument = self.instrument
        return other

    def drawn(self, rows: Ints, most: int, stream: str) -> Ints:
        """Return ``rows``, or ``most`` of them in their order, drawn from the stream, where there are more."""
        if len(rows) <= most:
            return rows
        return np.sort(self.rng(stream).choice(rows, most, replace=False)).astype(np.int64)

    def sample(self, most: int, stream: str) -> BuildSetup:
        """Return the same setup on ``most`` of its contexts, drawn from the stream, where there are more."""
        return self.restrict(self.drawn(np.arange(len(self.contexts)), most, stream))

    def half(self, stream: str, *, larger: bool = False) -> Bools:
        """Return which contexts come from a half of the source builds, drawn from the stream ``[n]``.

        Args:
            stream: Name of the stream of randomness.
            larger: Whether of an odd number it is the larger half.
        """
        clusters = np.unique(self.cluster)
        return np.isin(self.cluster, self.rng(stream).permutation(clusters)[: (len(clusters) + larger) // 2])

    def with_activations(self, f: Floats, z: Floats) -> BuildSetup:
        """Return the same setup with other observed activations of the whole corpus ``[n]`` (shuffle nulls)."""
        other = replace(self, activations=np.stack([f, z]), rows=self.chosen)
        other.instrument = self.instrument
        return other

    # Measurement --------------------------------------------------------------------------------------------------

    @cached_property
    def executor(self) -> Executor:
        """Runs the model on the (sliced) contexts."""
        return self.instrument.on(self.contexts)

    def enforce(self, states: States, recorder: Recorder | None = None) -> States:
        """Apply the constraints; counts and warnings go to the recorder. States already checked stay as they are.

        Raises:
            ExperimentError: If a hard constraint is broken and ``constraints.on_violation`` is ``error``.
        """
        enforced: States = self.instrument.executor.subject.enforce(states, recorder)
        return enforced

    def measure(self, states: States, recorder: Recorder | None = None) -> Activations:
        """Measure states of any shape: constraints first, then each distinct state once.

        Args:
            states: ``[...]``.
            recorder: Gets counts of violations and of evaluations.

        Returns:
            f and z in the shape of the states, NaN where a state was taken out.
        """
        return self.instrument.measure(states, recorder)

    def feasible(self, design: Design, recorder: Recorder | None = None) -> Bools:
        """Return which states ``[n_levels, n]`` of a design the constraints let pass, without running the model.

        Counts of violations and warnings go to the recorder, for designs that are then measured with what is found.
        """
        return self.executor.feasible(design, recorder)

    def stream(
        self,
        design: Design,
        recorder: Recorder | None = None,
        *,
        contrasts: Contrasts | None = None,
        ok: Bools | None = None,
    ) -> Stream:
        """Measure a design on all contexts, block by block as they are asked for: memory does not grow with contexts.

        Args:
            design: From contexts ``[b]`` to states ``[n_levels, b]``; called once for each block.
            recorder: Gets counts after the last block, and shows progress.
            contrasts: Mean effects wanted of the null features.
            ok: Which states ``[n_levels, n]`` are known to pass the constraints (from :meth:`feasible`); None: not yet.

        Returns:
            Blocks whose values are f and z ``[2, n_levels, b]``, NaN where a state was taken out.
        """
        instrument = self.instrument
        readout = instrument.readout if contrasts is None else instrument.readout_with_nulls
        return self.executor.stream(design, readout, recorder, ok=ok, contrasts=contrasts)

    def measure_design(
        self, design: Design, recorder: Recorder | None = None, *, contrasts: Contrasts | None = None
    ) -> Measured:
        """Measure a design on all contexts (see :meth:`stream`): f and z ``[2, n_levels, n]`` at once."""
        return self.stream(design, recorder, contrasts=contrasts).collected(len(self.contexts))

    def require(self, ok: Bools, what: str) -> None:
        """Check that something can be measured.

        Raises:
            ConfigError: If none of the contexts supports it.
        """
        if not ok.any():
            raise ConfigError(
                f"none of {len(self.contexts)} contexts are legal with {what}; "
                "choose a lower rung, other stable_tokens, or another slice"
            )

    # The model's output -------------------------------------------------------------------------------------------

    def vectors(self, states: States) -> tuple[Singles, Singles]:
        """Return the vectors at the feature's place ``[m, d]`` and the logits ``[m, V]`` of states ``[m]``, unchecked.

        Without a feature the place is the autoencoder's.
        """
        executor, place = self.instrument.executor, self.instrument.place
        first, inverse = distinct(executor.subject, states, None)
        kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        executor.run(
            states[first],
            place,
            lambda batch, x, logits: kept.__setitem__(batch.start, (x.float().cpu(), logits.float().cpu())),
        )
        parts = [kept[start] for start in sorted(kept)]
        x, logits = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return x[inverse], logits[inverse]

    # The feature as observed --------------------------------------------------------------------------------------

    @cached_property
    def corpus_measured(self) -> Activations:
        """F and z of every context of the unsliced corpus ``[n]``, as observed."""
        return self.instrument.whole if self.activations is None else Activations(*self.activations)

    @cached_property
    def observed(self) -> Activations:
        """F and z of the (sliced) contexts as observed ``[n]``."""
        if self.activations is None and not self.instrument.knows_whole:
            return self.instrument.as_observed(self.contexts)
        whole = self.corpus_measured
        return Activations(whole.f[self.chosen], whole.z[self.chosen])

    @property
    def nulls(self) -> NullFeatures:
        """Up to ``stats.n_null`` features of the same kind, nearest in firing rate."""
        return self.instrument.nulls

    @property
    def sd(self) -> float:
        """Sd of the activation over the unsliced corpus, zeros included; 0 for a constant feature."""
        return float(self.instrument.moments.sd[0])

    @property
    def sd_z(self) -> float:
        """Sd of the pre-activation over the unsliced corpus."""
        return float(self.instrument.moments.sd_z[0])

    @property
    def activation_bounds(self) -> Bounds | None:
        """Range of the activation: a latent is never below 0, a probability a share; None where it has no bounds."""
        columns = self.reader.columns
        if isinstance(columns, Latents):
            return AT_LEAST_0
        return SHARE if isinstance(columns, Logits) and columns.probability else None

    def floor_rate(self) -> float:
        """Return the share of (sliced) contexts whose activation lies below 0.1 sd."""
        return float(np.mean(self.observed.f < FLOOR_SD * self.sd)) if self.sd > 0 else 0.0

    def describe(self, recorder: Recorder) -> None:
        """Tell the recorder what every result should carry: contexts, floor, slice and corpus warnings."""
        rate = self.floor_rate()
        recorder.diagnose(
            n_contexts_tested=len(self.contexts),
            n_contexts_skipped=self.corpus.n_illegal + self.corpus.n_empty,
            relu_floor_detected=rate > 0.5,
            relu_floor_rate=rate,
        )
        for warning in self.said():
            recorder.warn(warning)

    def said(self) -> tuple[str, ...]:
        """Return what every result on these contexts must say."""
        lines = list(self.corpus.warnings)
        if self.corpus.n_empty:
            lines.append(f"left out: {counted(self.corpus.n_empty, 'context')} without any token")
        if self.corpus.bad_rows:
            bad = self.corpus.bad_rows
            lines.append(f"not readable: {counted(len(bad), 'row')}: {'; '.join(bad[:3])}")
        if self.slicing.on_outcome:
            lines.append("contexts were chosen by the activation itself, which shrinks effects (slice)")
        return tuple(lines)
