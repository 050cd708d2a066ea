"""Shapley interactions among the families that contexts show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paribus.experiments._interactions import Interactions, Layout, Pair, Triple, measure_interactions
from paribus.experiments._lattice import interaction_weights
from paribus.experiments._moves import combine

if TYPE_CHECKING:
    from paribus.experiments._build_experiment import BuildExperiment
    from paribus.experiments._candidates import Candidate
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_builds import BuildSetup


def shapley_layout(candidates: Sequence[Candidate], pairs: Sequence[Pair], triples: Sequence[Triple]) -> Layout:
    """Return a design in which any of the candidates are taken away, with the weights of Shapley interactions."""
    k = len(candidates)
    moves = tuple(combine([c.gone for i, c in enumerate(candidates) if not s >> i & 1]) for s in range(1 << k))
    inside = [pair for a, b, c in triples for pair in ((a, b), (a, c), (b, c))]
    thirds = [third for a, b, c in triples for third in (c, b, a)]
    return Layout(
        moves,
        interaction_weights(k, pairs),
        interaction_weights(k, [(a,) for a, _ in pairs]),
        interaction_weights(k, [(b,) for _, b in pairs]),
        interaction_weights(k, triples),
        interaction_weights(k, inside, absent=thirds),
    )


def measure_shapley(
    setup: BuildSetup,
    experiment: BuildExperiment,
    candidates: Sequence[Candidate],
    pairs: tuple[Pair, ...],
    triples: tuple[Triple, ...],
    recorder: Recorder | None,
) -> Interactions:
    """Measure Shapley interactions among the candidates that each context shows, each set of players by itself.

    A candidate that a context does not show would be a dummy player, which changes no index of the others; leaving it
    out halves the coalitions.

    Args:
        setup: The contexts ``[n]``.
        experiment: Says what is held in every state.
        candidates: The families that are players where they are shown.
        pairs: The pairs.
        triples: The triples.
        recorder: Gets counts; None for no null features.
    """
    n, p, t = len(setup.contexts), len(pairs), len(triples)
    held = experiment.hold(setup, setup.contexts.states())
    shown = setup.edits.families_present(held)[:, [c.family.index for c in candidates]]
    players, group = np.unique(shown, axis=0, return_inverse=True)
    arrays = [np.full((rows, n), np.nan) for rows in (p, p, p, p, t, t)]
    absent = np.full((t, 3, n), np.nan, np.float32)
    null = [np.zeros((rows, 0)) for rows in (p, t)]
    count = [np.zeros((rows, 1)) for rows in (p, t)]
    for number in np.flatnonzero(players.sum(1) >= 2):
        members = np.flatnonzero(players[number]).tolist()
        local = {member: i for i, member in enumerate(members)}
        mine = [i for i, pair in enumerate(pairs) if set(pair) <= set(members)]
        mine3 = [i for i, triple in enumerate(triples) if set(triple) <= set(members)]
        some = tuple((local[pairs[i][0]], local[pairs[i][1]]) for i in mine)
        some3 = tuple((local[triples[i][0]], local[triples[i][1]], local[triples[i][2]]) for i in mine3)
        rows = np.flatnonzero(group.reshape(-1) == number)
        found = measure_interactions(
            setup.restrict(rows),
            experiment,
            shapley_layout([candidates[member] for member in members], some, some3),
            some,
            some3,
            pair_support=np.ones((len(some), len(rows)), bool),
            triple_support=np.ones((len(some3), len(rows)), bool),
            recorder=recorder,
        )
        parts = (found.f, found.z, found.first, found.second, found.f3, found.z3)
        for array, values, places in zip(arrays, parts, [mine] * 4 + [mine3] * 2, strict=True):
            array[np.ix_(np.array(places, np.int64), rows)] = values
        absent[np.ix_(np.array(mine3, np.int64), np.arange(3), rows)] = found.absent
        for i, (means, values, places) in enumerate(((found.null, found.f, mine), (found.null3, found.f3, mine3))):
            if means is None:
                continue
            if not null[i].shape[1]:
                null[i] = np.zeros((len(null[i]), means.shape[1]))
            times = (~np.isnan(values)).sum(1)[:, None]
            null[i][places] += np.where(times > 0, means, 0.0) * times
            count[i][places] += times
    with np.errstate(invalid="ignore", divide="ignore"):
        nulls = [None if recorder is None else total / times for total, times in zip(null, count, strict=True)]
    f, z, first, second, f3, z3 = arrays
    return Interactions(pairs, triples, f, z, first, second, nulls[0], f3, z3, nulls[1], absent)
