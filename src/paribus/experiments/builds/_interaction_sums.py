"""What the tables of interactions need of all contexts, added up as blocks are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.experiments.builds._candidates import Choice
from paribus.experiments.builds._effects import row_means, row_sums
from paribus.experiments.builds._interactions import Measuring, Members
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.stats.clusters import ClusterSums
from paribus.stats.row_sums import LevelTotals


@dataclass(frozen=True)
class InteractionSums:
    """Interactions of pairs and triples over all contexts, as sums by source build and as means.

    Rows: each pair, then each triple.

    Attributes:
        pairs: The pairs.
        triples: The triples.
        f: Interaction of each pair, then third difference of each triple, in f.
        z: The same in z.
        null: Means of the null features ``[pairs + triples, n_null]``.
        first: Mean effect of a pair's first candidate alone ``[pairs]``.
        second: Mean effect of the second one alone.
        up: Mean of the positive part of a pair's interaction in f ``[pairs]``.
        down: Mean of its negative part, as a positive number.
        absent: Interaction of each triple's pairs (ab, ac, bc) with its third absent, ``3 * triples`` rows.
        present: The same with the third there.
    """

    pairs: tuple[Members, ...]
    triples: tuple[Members, ...]
    f: ClusterSums
    z: ClusterSums
    null: Floats | None
    first: Floats
    second: Floats
    up: Floats
    down: Floats
    absent: ClusterSums
    present: ClusterSums


def add_up(setup: BuildSetup, measuring: Measuring) -> InteractionSums:
    """Measure all blocks on the contexts of ``setup`` and return their sums."""
    cut, n_triples = len(measuring.pairs), len(measuring.triples)
    sums = [row_sums(setup, n) for n in (cut + n_triples, 3 * n_triples) for _ in range(2)]
    means = LevelTotals(4 * cut)
    for block in measuring:
        own = block.f[:cut]
        means.add(np.concatenate([block.single, np.maximum(own, 0.0), np.maximum(-own, 0.0)]))
        present = block.absent + block.f[cut:, None]
        for kept, values in zip(sums, (block.f, block.z, block.absent, present), strict=True):
            kept.add(values.reshape(-1, len(block.columns)), block.columns)
    f, z, absent, with_third = (kept.result() for kept in sums)
    first, second, up, down = np.split(means.means, 4)
    return InteractionSums(
        measuring.pairs, measuring.triples, f, z, measuring.null, first, second, up, down, absent, with_third
    )


def interaction_vector(measuring: Measuring, setup: BuildSetup, choice: Choice, what: str, first: int) -> EffectVector:
    """Return the interactions in f from row ``first`` on; contexts that candidates were chosen on are left out.

    Raises:
        ConfigError: If no context supports any of them, which ``what`` puts into words.
    """
    members = (*measuring.pairs, *measuring.triples)[first:]
    differences = np.full((len(members), len(setup.contexts)), np.nan)
    for block in measuring:
        differences[:, choice.rows[block.columns]] = block.f[first:]
    setup.require(~np.isnan(differences), what)
    labels = tuple(f"{choice.names[a]} x {choice.names[b]}" for a, b, *_ in members)
    return EffectVector(labels, row_means(differences), differences)
