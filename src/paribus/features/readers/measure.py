"""Measuring a feature, and its null features, on any number of states in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from paribus.features.readers.evaluator import Evaluator, distinct
from paribus.features.readers.nulls import Contrasts, NullFeatures, NullSums
from paribus.features.readers.population import Reader
from paribus.subjects.builds.states import Codes, States

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
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


def measure_blocks(
    evaluator: Evaluator,
    reader: Reader,
    shape: tuple[int, int],
    blocks: Iterable[tuple[Ints, States]],
    *,
    nulls: NullFeatures | None = None,
    contrasts: Contrasts | None = None,
) -> Measured:
    """Measure blocks of contexts, one after the other.

    Args:
        evaluator: Runs the model.
        reader: The feature.
        shape: ``(levels, n)`` of all blocks together.
        blocks: Which contexts ``[b]``, and their states ``[levels, b]``.
        nulls: The null features.
        contrasts: The mean effects wanted of them.
    """
    f, z = np.full(shape, np.nan), np.full(shape, np.nan)
    sums = NullSums(contrasts, nulls) if contrasts is not None and nulls is not None else None
    requested = unique = 0
    for columns, states in blocks:
        codes, source = states.codes[states.ok], states.source[states.ok]
        if not len(codes):
            continue
        first, inverse = distinct(codes, source if evaluator.model.reads_source else None)
        weights = None if sums is None else sums.weights(inverse, len(first), states.ok, columns)
        values = _read(evaluator, reader, codes[first], source[first], sums, weights)
        level, column = np.nonzero(states.ok)
        f[level, columns[column]], z[level, columns[column]] = values[0][inverse], values[1][inverse]
        requested, unique = requested + len(codes), unique + len(first)
    return Measured(f, z, None if sums is None else sums.means(), requested, unique)


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
