"""Null features: which other features of the population stand beside the one under study, and their mean effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from paribus.arrays import Bools, Floats, Ints
from paribus.features.readers.population import Reader
from paribus.subjects.builds.readers.evaluator import Evaluator, distinct
from paribus.subjects.builds.states import States

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Contrasts:
    """Mean effects asked of the null features: weighted sums over levels, averaged over contexts.

    Attributes:
        weights: ``[rows, levels]``, e.g. +1 at a level and -1 at the baseline, or (+1, -1, -1, +1) for a square.
        support: ``[rows, n]``, the contexts each row averages over; None for all that have every level it uses.
    """

    weights: Floats
    support: Bools | None = None


@dataclass(frozen=True)
class NullFeatures:
    """Features of the same population with like firing rates.

    Attributes:
        rows: Their places in the population ``[n_null]``.
        scale: sd of the feature under study over the sd of each ``[n_null]``.
    """

    rows: Ints
    scale: Floats


@dataclass(frozen=True)
class Moments:
    """Mean, sd and firing rate of features over some states, each ``[F]``; z of the first feature beside it.

    Attributes:
        rows: Places of the features in their population ``[F]``.
        mean: Mean activation.
        sd: Standard deviation of the activation, zeros included.
        firing_rate: P(f > 0).
        sd_z: Standard deviation of the pre-activation.
    """

    rows: Ints
    mean: Floats
    sd: Floats
    firing_rate: Floats
    sd_z: Floats


def population_moments(evaluator: Evaluator, reader: Reader, states: States, rows: Ints) -> tuple[Moments, Floats]:
    """Measure features ``rows`` of the population on states ``[n]``, in one pass.

    Returns:
        The moments, and f and z of the first feature ``[2, n]``.
    """
    wanted = torch.from_numpy(rows).to(evaluator.device)
    first, inverse = distinct(states.codes, states.source if evaluator.model.reads_source else None)
    times = torch.from_numpy(np.bincount(inverse, minlength=len(first)).astype(np.float64))
    done: dict[int, torch.Tensor] = {}
    own = np.empty((2, len(first)))

    def visit(batch: slice, vectors: torch.Tensor, _: torch.Tensor) -> None:
        f, z = (part.double().cpu() for part in reader.population.read(vectors, wanted))
        weight = times[batch]
        parts = [weight @ f, weight @ f.square(), weight @ (f > 0).double(), weight @ z, weight @ z.square()]
        done[batch.start] = torch.stack(parts)
        own[0, batch], own[1, batch] = f[:, 0].numpy(), z[:, 0].numpy()

    evaluator.run(states.codes[first], states.source[first], visit)
    mean, square, firing, mean_z, square_z = (torch.stack(list(done.values())).sum(0) / states.size).numpy()
    return Moments(rows, mean, _sd(mean, square), firing, _sd(mean_z, square_z)), own[:, inverse]


def _sd(mean: Floats, square: Floats) -> Floats:
    """Rounding leaves a trace of variance on a constant feature; it is none."""
    variance = np.maximum(square - mean**2, 0.0)
    return np.where(variance <= 1e-12 * np.maximum(1.0, mean**2), 0.0, np.sqrt(variance))


def matched(moments: Moments, own: int, n_null: int, rng: np.random.Generator) -> NullFeatures:
    """Choose the null features: alive, not the feature itself, nearest in firing rate (ties at random).

    Args:
        moments: Of the candidates and the feature under study.
        own: Place of the feature under study in the population; it must be among ``moments.rows``.
        n_null: How many at most.
        rng: Breaks ties.
    """
    here = int(np.flatnonzero(moments.rows == own)[0])
    usable = (moments.sd > 0) & (moments.rows != own)
    distance = np.abs(moments.firing_rate - moments.firing_rate[here])
    order = np.lexsort((rng.random(len(moments.rows)), distance))
    chosen = order[usable[order]][:n_null]
    return NullFeatures(moments.rows[chosen], moments.sd[here] / moments.sd[chosen])


class NullSums:
    """Sums of contrasts over contexts, block by block, without keeping a value for every state."""

    def __init__(self, contrasts: Contrasts, nulls: NullFeatures) -> None:
        """Start at nothing."""
        self.contrasts, self.nulls = contrasts, nulls
        rows = len(contrasts.weights)
        self._total, self._count = np.zeros((rows, len(nulls.rows))), np.zeros(rows)
        self._entries = np.nonzero(contrasts.weights)
        self._pending: dict[int, Floats] = {}

    def weights(self, inverse: Ints, n_unique: int, ok: Bools, columns: Ints) -> csr_array:
        """Return how much each distinct state of a block counts in each row, sparse ``[n_unique, rows]``.

        Args:
            inverse: Place among the distinct states of every evaluated state, in order of ``np.nonzero(ok)``.
            n_unique: Number of distinct states.
            ok: Which states ``[levels, block]`` are evaluated.
            columns: Contexts of the block.
        """
        from scipy.sparse import csr_array

        at = np.zeros(ok.shape, np.int64)
        at[ok] = inverse
        row, level = self._entries
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        holds = np.logical_and.reduceat(ok[level], starts, axis=0)
        if self.contrasts.support is not None:
            holds &= self.contrasts.support[np.ix_(row[starts], columns)]
        self._count[row[starts]] += holds.sum(1)
        counted = np.repeat(holds, np.diff(starts, append=len(row)), axis=0)
        times = np.repeat(self.contrasts.weights[row, level], counted.sum(1))
        rows = np.repeat(row, counted.sum(1))
        return csr_array((times, (at[level][counted], rows)), shape=(n_unique, len(self.contrasts.weights)))

    def add(self, values: Floats, batch: slice) -> None:
        """Keep one batch; a batch that is repeated after running out of memory replaces itself."""
        self._pending[batch.start] = values

    def commit(self) -> None:
        """Add up the batches of a block."""
        for values in self._pending.values():
            self._total += values
        self._pending.clear()

    def means(self) -> Floats:
        """Return mean effects ``[rows, n_null]`` in units of the feature under study; NaN without support."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._total / self._count[:, None] * self.nulls.scale)
