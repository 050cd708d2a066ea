"""Measuring a feature, and its null features, on any number of states in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from paribus.arrays import Floats, Ints
from paribus.features.readers.population import Reader
from paribus.subjects.builds.readers.evaluator import Evaluator, distinct
from paribus.subjects.builds.readers.nulls import Contrasts, NullFeatures, NullSums
from paribus.subjects.builds.states import Codes, States

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHUNK_STATES = 16_384


@dataclass(frozen=True)
class Measured:
    """Activation and pre-activation of the requested states.

    Attributes:
        f: Activation, in the shape of the states; NaN where a state was taken out.
        z: Pre-activation, likewise.
        null: Mean effects of the null features ``[rows, n_null]``, each scaled to the sd of the feature under study;
            None unless contrasts were asked for.
        n_requested: States asked for.
        n_unique: Distinct states the model was run on.
    """

    f: Floats
    z: Floats
    null: Floats | None
    n_requested: int
    n_unique: int


class MeasuredBlocks:
    """Measures blocks of contexts as they are asked for, and holds nothing but sums for the null features.

    Attributes:
        n_requested: States asked for so far.
        n_unique: Distinct states the model was run on so far.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        reader: Reader,
        blocks: Iterable[tuple[Ints, States]],
        *,
        nulls: NullFeatures | None = None,
        contrasts: Contrasts | None = None,
    ) -> None:
        """Prepare; nothing is run yet.

        Args:
            evaluator: Runs the model.
            reader: The feature.
            blocks: Which contexts ``[b]``, and their states ``[levels, b]``.
            nulls: The null features.
            contrasts: The mean effects wanted of them.
        """
        self._evaluator, self._reader, self._blocks = evaluator, reader, blocks
        self._sums = NullSums(contrasts, nulls) if contrasts is not None and nulls is not None else None
        self.n_requested = self.n_unique = 0

    def __iter__(self) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield contexts ``[b]`` with f and z ``[levels, b]``, NaN where a state was taken out."""
        for columns, states in self._blocks:
            f, z = np.full((2, *states.shape), np.nan)
            codes, source = states.codes[states.ok], states.source[states.ok]
            if len(codes):
                first, inverse = distinct(codes, source if self._evaluator.model.reads_source else None)
                sums = self._sums
                weights = None if sums is None else sums.weights(inverse, len(first), states.ok, columns)
                values = _read(self._evaluator, self._reader, codes[first], source[first], sums, weights)
                f[states.ok], z[states.ok] = values[0][inverse], values[1][inverse]
                self.n_requested, self.n_unique = self.n_requested + len(codes), self.n_unique + len(first)
            yield columns, f, z

    @property
    def null(self) -> Floats | None:
        """Mean effects of the null features over the blocks so far ``[rows, n_null]``; None without contrasts."""
        return None if self._sums is None else self._sums.means()

    def collected(self, n_levels: int, n: int) -> Measured:
        """Measure all blocks and return the values of all ``n`` contexts."""
        f, z = np.full((2, n_levels, n), np.nan)
        for columns, some_f, some_z in self:
            f[:, columns], z[:, columns] = some_f, some_z
        return Measured(f, z, self.null, self.n_requested, self.n_unique)


def _read(
    evaluator: Evaluator,
    reader: Reader,
    codes: Codes,
    source: Ints,
    sums: NullSums | None,
    weights: csr_array | None,
) -> Floats:
    """Return f and z ``[2, u]`` of distinct states; null features are read from the same forward pass."""
    values = np.empty((2, len(codes)))
    rows = [reader.row] if sums is None else [reader.row, *sums.nulls.rows.tolist()]
    wanted = torch.tensor(rows, device=evaluator.device)

    def visit(batch: slice, vectors: torch.Tensor, _: torch.Tensor) -> None:
        f, z = reader.population.read(vectors, wanted)
        values[0, batch] = f[:, 0].double().cpu().numpy()
        values[1, batch] = z[:, 0].double().cpu().numpy()
        if sums is not None and weights is not None:
            sums.add(weights[batch].T @ f[:, 1:].double().cpu().numpy(), batch)

    evaluator.run(codes, source, visit)
    if sums is not None:
        sums.commit()
    return values


def context_blocks(codes: Codes, n_levels: int) -> list[Ints]:
    """Return contexts in blocks of bounded size; with several, like contexts stand together (to be evaluated once)."""
    size = max(1, CHUNK_STATES // max(1, n_levels))
    if len(codes) <= size:
        return [np.arange(len(codes))]
    order = np.lexsort(np.ascontiguousarray(codes).view(np.int64).T)
    return [order[start : start + size] for start in range(0, len(order), size)]
