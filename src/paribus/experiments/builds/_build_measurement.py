"""Shared by all experiments on builds: the measurement of a feature on edited states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._build_objects import BuildObjects
from paribus.results.schema import EngineReport
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.states import States

if TYPE_CHECKING:
    from paribus.subjects.builds.readers.measure import Measured, MeasuredBlocks
    from paribus.subjects.builds.readers.nulls import Contrasts, Moments, NullFeatures

Design = Callable[[States], States]
"""From contexts ``[n]`` to edited states ``[levels, n]``."""

REFERENCE_CONTEXTS = 5000
NULL_CANDIDATES = 4096
FLOOR_SD = 0.1


@dataclass(kw_only=True)
class BuildMeasurement(BuildObjects):
    """How a feature is measured on contexts and edited states; see :class:`BuildObjects` for the attributes."""

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
    def cluster(self) -> Ints:
        """Source build of each context ``[n]``."""
        return self.contexts.cluster

    def base_states(self, *, stable_tokens: Sequence[str] = (), close_context: bool = False) -> States:
        """Return the contexts as states ``[n]``, closed if asked, with ``stable_tokens`` held.

        Raises:
            ConfigError: If a token is unknown or two of them need the same slot.
        """
        return self.prepare(self.contexts.states(), stable_tokens=stable_tokens, close_context=close_context)

    def prepare(self, states: States, *, stable_tokens: Sequence[str] = (), close_context: bool = False) -> States:
        """Close states if asked, and hold ``stable_tokens`` in them."""
        if close_context:
            states = self.edits.close_context(states)
        return self.edits.stable_tokens(states, stable_tokens) if stable_tokens else states

    # Measurement --------------------------------------------------------------------------------------------------

    def enforce(self, states: States, recorder: Recorder | None = None) -> States:
        """Apply the constraints; counts and warnings go to the recorder. States already checked stay as they are.

        Raises:
            ExperimentError: If a hard constraint is broken and ``constraints.on_violation`` is ``error``.
        """
        enforced = self.constraints.enforce(states)
        if recorder is not None:
            if enforced.violations:
                recorder.diagnose(constraint_violations=enforced.violations)
            for warning in enforced.warnings:
                recorder.warn(warning)
        return enforced.states

    def measure(
        self, states: States, recorder: Recorder | None = None, *, contrasts: Contrasts | None = None
    ) -> Measured:
        """Measure states of any shape: constraints first, then each distinct state once.

        Args:
            states: ``[...]``; with contrasts ``[levels, n]``.
            recorder: Gets counts of violations and of evaluations.
            contrasts: Mean effects wanted of the null features, from the same forward passes.

        Returns:
            f and z in the shape of the states, NaN where a state was taken out.
        """
        from paribus.subjects.builds.readers.measure import MeasuredBlocks, context_blocks

        states = self.enforce(states, recorder)
        grid = states if contrasts is not None else states.reshape(1, -1)
        levels, n = grid.shape
        blocks = ((columns, grid[:, columns]) for columns in context_blocks(grid.codes[0], levels))
        nulls = self.nulls if contrasts is not None else None
        stream = MeasuredBlocks(self.evaluator, self.reader, blocks, nulls=nulls, contrasts=contrasts)
        out = stream.collected(levels, n)
        self._report(stream, recorder)
        return replace(out, f=out.f.reshape(states.shape), z=out.z.reshape(states.shape))

    def stream_design(
        self,
        design: Design,
        recorder: Recorder | None = None,
        *,
        n_levels: int,
        contrasts: Contrasts | None = None,
        ok: Bools | None = None,
        description: str = "",
    ) -> MeasuredBlocks:
        """Measure a design on all contexts, block by block as they are asked for: memory does not grow with contexts.

        Args:
            design: From contexts ``[b]`` to states ``[n_levels, b]``; called once for each block.
            recorder: Gets counts after the last block, and shows progress.
            n_levels: Number of levels the design makes.
            contrasts: Mean effects wanted of the null features.
            ok: Which states ``[n_levels, n]`` are known to pass the constraints (from :meth:`feasible`); None: not yet.
            description: What to show beside the progress bar.

        Returns:
            What yields contexts ``[b]`` with f and z ``[n_levels, b]``, NaN where a state was taken out.
        """
        from paribus.subjects.builds.readers.measure import MeasuredBlocks, context_blocks

        blocks = context_blocks(self.contexts.codes, n_levels)

        def edited() -> Iterator[tuple[Ints, States]]:
            shown = blocks if recorder is None else recorder.progress(blocks, description=description)
            for columns in shown:
                states = design(self.contexts.rows(columns).states())
                if ok is None:
                    yield columns, self.enforce(states, recorder)
                else:
                    yield columns, replace(states, ok=ok[:, columns], checked=True)
            self._report(stream, recorder)

        nulls = self.nulls if contrasts is not None else None
        stream = MeasuredBlocks(self.evaluator, self.reader, edited(), nulls=nulls, contrasts=contrasts)
        return stream

    def measure_design(
        self,
        design: Design,
        recorder: Recorder | None = None,
        *,
        n_levels: int,
        contrasts: Contrasts | None = None,
        description: str = "",
    ) -> Measured:
        """Measure a design on all contexts (see :meth:`stream_design`) and return f and z ``[n_levels, n]`` at once."""
        stream = self.stream_design(design, recorder, n_levels=n_levels, contrasts=contrasts, description=description)
        return stream.collected(n_levels, len(self.contexts))

    def feasible(self, design: Design, recorder: Recorder | None = None, *, n_levels: int) -> Bools:
        """Return which states ``[n_levels, n]`` of a design the constraints let pass, without running the model.

        Counts of violations and warnings go to the recorder, for designs that are then measured with what is found.
        """
        from paribus.subjects.builds.readers.measure import context_blocks

        ok = np.zeros((n_levels, len(self.contexts)), bool)
        for columns in context_blocks(self.contexts.codes, n_levels):
            ok[:, columns] = self.enforce(design(self.contexts.rows(columns).states()), recorder).ok
        return ok

    def require(self, ok: Bools, what: str) -> None:
        """Check that something can be measured.

        Raises:
            ConfigError: If none of the contexts supports it.
        """
        if not ok.any():
            raise ConfigError(
                f"none of {len(self.contexts)} contexts can be worn with {what}; "
                "choose a lower rung, other stable_tokens, or another slice"
            )

    # The feature over the corpus ----------------------------------------------------------------------------------

    @cached_property
    def corpus_measured(self) -> Measured:
        """F and z of every context of the unsliced corpus ``[n]``, as observed."""
        from paribus.subjects.builds.readers.measure import Measured

        n = len(self.corpus.contexts)
        if self.activations is not None:
            return Measured(self.activations[0], self.activations[1], None, n, 0)
        if n <= REFERENCE_CONTEXTS:
            f, z = self._reference[1]
            return Measured(f, z, None, n, n)
        return self.measure(replace(self.corpus.contexts.states(), checked=True))

    @cached_property
    def observed(self) -> Measured:
        """F and z of the (sliced) contexts as observed ``[n]``."""
        from paribus.subjects.builds.readers.measure import Measured

        known = "corpus_measured" in self.__dict__ or len(self.corpus.contexts) <= REFERENCE_CONTEXTS
        if self.activations is None and not known:
            return self.measure(replace(self.contexts.states(), checked=True))
        whole = self.corpus_measured
        return Measured(whole.f[self.chosen], whole.z[self.chosen], None, len(self.chosen), 0)

    @property
    def moments(self) -> Moments:
        """Moments of the feature (first) and of candidates for its nulls, over a sample of the unsliced corpus."""
        return self._reference[0]

    @cached_property
    def _reference(self) -> tuple[Moments, Floats]:
        """The moments, and f and z of the feature on the sample ``[2, n]``: the whole corpus where it is small."""
        from paribus.subjects.builds.readers.nulls import population_moments

        states = self.corpus.contexts.states()
        if states.size > REFERENCE_CONTEXTS:
            sample = self.rng("reference").choice(states.size, REFERENCE_CONTEXTS, replace=False)
            states = states[np.sort(sample)]
        size, own = self.reader.population.size, self.reader.row
        others = np.setdiff1d(np.arange(size), [own])
        if len(others) > NULL_CANDIDATES:
            others = np.sort(self.rng("null_candidates").choice(others, NULL_CANDIDATES, replace=False))
        rows = np.concatenate([[own], others]).astype(np.int64)
        return population_moments(self.evaluator, self.reader, states, rows)

    @property
    def sd(self) -> float:
        """Sd of the activation over the unsliced corpus, zeros included; 0 for a constant feature."""
        return float(self.moments.sd[0])

    @property
    def sd_z(self) -> float:
        """Sd of the pre-activation over the unsliced corpus."""
        return float(self.moments.sd_z[0])

    @property
    def firing_rate(self) -> float:
        """P(f > 0) over the unsliced corpus."""
        return float(self.moments.firing_rate[0])

    @cached_property
    def nulls(self) -> NullFeatures:
        """Up to ``stats.n_null`` features of the same population, nearest in firing rate."""
        from paribus.subjects.builds.readers.nulls import matched

        return matched(self.moments, self.reader.row, self.stats.n_null, self.rng("null_features"))

    def floor_rate(self) -> float:
        """Return the share of (sliced) contexts whose activation lies below 0.1 sd."""
        return float(np.mean(self.observed.f < FLOOR_SD * self.sd)) if self.sd > 0 else 0.0

    def _report(self, out: MeasuredBlocks, recorder: Recorder | None) -> None:
        if recorder is not None:
            recorder.diagnose(engine=EngineReport("inputs", out.n_requested, out.n_unique))
