"""What the tables of interactions need of all contexts, added up as blocks are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paribus.experiments._interactions import Block, Measuring, Pair, Triple
from paribus.stats.row_sums import RowSums

if TYPE_CHECKING:
    from paribus.experiments.setup_builds import BuildSetup
    from paribus.stats.clusters import ClusterSums

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class InteractionSums:
    """Interactions of pairs and triples over all contexts, as sums by source build and as means.

    Attributes:
        pairs: Places of the candidates of each pair.
        triples: Places of the candidates of each triple.
        f: Interaction of each pair in f.
        z: The same in z.
        first: Mean effect of a pair's first candidate alone ``[pairs]``.
        second: Mean effect of the second one alone.
        up: Mean of the positive part of f ``[pairs]``.
        down: Mean of the negative part of f, as a positive number.
        null: Mean interactions of the null features ``[pairs, n_null]``.
        f3: Third difference of each triple in f.
        z3: The same in z.
        absent: Interaction of each triple's pairs (ab, ac, bc) with its third absent, ``3 * triples`` rows.
        present: The same with the third there.
        null3: Mean third differences of the null features ``[triples, n_null]``.
    """

    pairs: tuple[Pair, ...]
    triples: tuple[Triple, ...]
    f: ClusterSums
    z: ClusterSums
    first: Floats
    second: Floats
    up: Floats
    down: Floats
    null: Floats | None
    f3: ClusterSums
    z3: ClusterSums
    absent: ClusterSums
    present: ClusterSums
    null3: Floats | None


def add_up(setup: BuildSetup, measuring: Measuring) -> InteractionSums:
    """Measure all blocks on the contexts of ``setup`` and return their sums."""
    n_pairs, n_triples = len(measuring.pairs), len(measuring.triples)
    pairs = [_sums(setup, n_pairs) for _ in range(2)]
    triples = [_sums(setup, n_triples) for _ in range(2)]
    thirds = [_sums(setup, 3 * n_triples) for _ in range(2)]
    means = PairMeans(n_pairs)
    for block in measuring:
        means.add(block)
        present = block.absent + block.f3[:, None]
        for kept, values in zip(
            (*pairs, *triples, *thirds), (block.f, block.z, block.f3, block.z3, block.absent, present), strict=True
        ):
            kept.add(values.reshape(-1, len(block.columns)), block.columns)
    f, z, f3, z3, absent, present_sums = (kept.result() for kept in (*pairs, *triples, *thirds))
    return InteractionSums(
        measuring.pairs,
        measuring.triples,
        f,
        z,
        *means.result(),
        measuring.null,
        f3,
        z3,
        absent,
        present_sums,
        measuring.null3,
    )


def _sums(setup: BuildSetup, n_rows: int) -> RowSums:
    return RowSums(n_rows, setup.cluster, setup.rng("joined_clusters"))


class PairMeans:
    """Means over contexts of a pair's single effects and of both signs of its interaction."""

    def __init__(self, n_pairs: int) -> None:
        """Start at nothing."""
        self._total, self._n = np.zeros((4, n_pairs)), np.zeros(n_pairs)

    def add(self, block: Block) -> None:
        """Add the contexts of a block that support each pair."""
        known = ~np.isnan(block.f)
        parts = (block.first, block.second, np.maximum(block.f, 0.0), np.maximum(-block.f, 0.0))
        self._total += [np.where(known, part, 0.0).sum(1) for part in parts]
        self._n += known.sum(1)

    def result(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the means ``[pairs]`` of first, second, positive and negative part; NaN without contexts."""
        with np.errstate(invalid="ignore", divide="ignore"):
            first, second, up, down = self._total / self._n
        return first, second, up, down


def kept(measuring: Measuring, n: int) -> Floats:
    """Measure all blocks and return the interaction in f of each pair in every context ``[pairs, n]``."""
    out = np.full((len(measuring.pairs), n), np.nan)
    for block in measuring:
        out[:, block.columns] = block.f
    return out
