"""What the tables of interactions need of all contexts, added up as blocks are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.experiments.builds._effects import row_sums
from paribus.experiments.builds._interactions import Measuring, Pair, Triple
from paribus.experiments.builds.setup import BuildSetup
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals


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
    pairs = [row_sums(setup, n_pairs) for _ in range(2)]
    triples = [row_sums(setup, n_triples) for _ in range(2)]
    thirds = [row_sums(setup, 3 * n_triples) for _ in range(2)]
    means = LevelTotals(4 * n_pairs)
    for block in measuring:
        means.add(np.concatenate([block.first, block.second, np.maximum(block.f, 0.0), np.maximum(-block.f, 0.0)]))
        present = block.absent + block.f3[:, None]
        for kept, values in zip(
            (*pairs, *triples, *thirds), (block.f, block.z, block.f3, block.z3, block.absent, present), strict=True
        ):
            kept.add(values.reshape(-1, len(block.columns)), block.columns)
    f, z, f3, z3, absent, present_sums = (kept.result() for kept in (*pairs, *triples, *thirds))
    first, second, up, down = np.split(means.means, 4)
    return InteractionSums(
        measuring.pairs,
        measuring.triples,
        f,
        z,
        first,
        second,
        up,
        down,
        measuring.null,
        f3,
        z3,
        absent,
        present_sums,
        measuring.null3,
    )


def kept(measuring: Measuring, n: int) -> Floats:
    """Measure all blocks and return the interaction in f of each pair in every context ``[pairs, n]``."""
    out = np.full((len(measuring.pairs), n), np.nan)
    for block in measuring:
        out[:, block.columns] = block.f
    return out
