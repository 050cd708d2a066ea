"""Labels of measured interactions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats
from paribus.experiments.builds._effects import RESOLUTION
from paribus.experiments.builds._interaction_sums import InteractionSums
from paribus.experiments.builds.setup import BuildSetup
from paribus.stats.clusters import joined
from paribus.stats.effects import effect_table, established

THIRD_ORDER = ["untested", "third_order", "modulated", "output_nonlinearity"]
LABELS = "synergy, redundancy, output_nonlinearity, third_order, none, or untested (too few contexts)"


def directions(found: InteractionSums) -> Floats:
    """Return whether each pair moves the activation up (+1) or down (-1), by ``f(a) + f(b) + f(ab) - 3 f(neither)``.

    Two things that each lower an activation, but no further together, are redundant although their second difference is
    positive; the direction puts that right.
    """
    moved = 2 * found.first + 2 * found.second + found.f.means[: len(found.pairs)]
    return np.where(moved < 0, -1.0, 1.0)


def parts(first: Floats, second: Floats, up: Floats, down: Floats, direction: Floats) -> dict[str, Floats]:
    """Split the joint effect of each pair into unique, redundant and synergistic parts.

    Interactions of either sign are kept apart in every context before they are averaged, so that an interaction which
    turns its sign between contexts shows as both. The four parts add up to the joint effect, in the pair's direction.

    Args:
        first: Mean effect of the first one alone ``[pairs]``.
        second: Mean effect of the second one alone.
        up: Mean of the positive part of their interaction.
        down: Mean of its negative part, as a positive number.
        direction: +1 or -1 of each pair.
    """
    redundant, synergistic = np.where(direction > 0, down, up), np.where(direction > 0, up, down)
    return {
        "unique_a": direction * first - redundant,
        "unique_b": direction * second - redundant,
        "redundant": redundant,
        "synergistic": synergistic,
    }


def pair_labels(
    table: pd.DataFrame, in_f: Bools, in_z: Bools, direction: Floats, turned: Bools | None = None
) -> list[str]:
    """Return the label of each pair.

    A pair whose sign turns with a third one is ``third_order``; an interaction in f without one in z is
    ``output_nonlinearity``; else its sign in the pair's direction tells ``synergy`` from ``redundancy``.

    Args:
        table: Effects of the pairs in f.
        in_f: Whether each interacts in f.
        in_z: Whether each interacts in z.
        direction: +1 or -1 of each.
        turned: Whether some third one turns its sign.
    """
    forward = table["mean_delta"].to_numpy() * direction > 0
    names = np.where(forward, "synergy", "redundancy").astype(object)
    names[in_f & ~in_z] = "output_nonlinearity"
    names[~in_f] = "none"
    names[table["p"].isna().to_numpy()] = "untested"
    if turned is not None:
        names[turned] = "third_order"
    return [str(name) for name in names]


def third_labels(in_f: Bools, in_z: Bools, turns: Bools, untested: Bools) -> list[str]:
    """Return the label of each third difference.

    Args:
        in_f: Whether it is established in f ``[rows]``.
        in_z: Whether it is in z.
        turns: Whether the interaction of a pair has one sign without the third and the other with it.
        untested: Whether too few contexts support it.
    """
    chosen = [untested, in_f & in_z & turns, in_f & in_z, in_f]
    return [str(name) for name in np.select(chosen, THIRD_ORDER, "none")]


def turning(setup: BuildSetup, found: InteractionSums, tested: Bools) -> Bools:
    """Return, for each triple's pairs, whether the interaction has one sign without the third and the other with it.

    Both signs must be established, all of these tests being one family.

    Args:
        setup: Gives the settings of the statistics.
        found: The interactions.
        tested: Triples to look at ``[triples]``; the others do not turn.

    Returns:
        ``[triples, 3]`` for the pairs ab, ac, bc.
    """
    out = np.zeros((len(found.triples), 3), bool)
    triples = np.flatnonzero(tested)
    if not len(triples):
        return out
    rows = (3 * triples[:, None] + np.arange(3)).ravel()
    both = [part.rows(rows) for part in (found.absent, found.present)]
    table = effect_table(joined(both), setup.cluster, spec=setup.stats, rng=setup.rng("turning"))
    real = established(table, level=1 - setup.stats.confidence, margin=RESOLUTION * setup.sd)
    sign = (real * np.sign(table["mean_delta"].to_numpy())).reshape(2, len(triples), 3)
    out[triples] = sign[0] * sign[1] < 0
    return out
