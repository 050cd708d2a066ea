"""Shapley interactions among the families that contexts show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from paribus.arrays import Floats
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import Candidate
from paribus.experiments.builds._interactions import Block, Differences, Layout, Pair, Places, Triple
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import combine
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.methods.lattice import interaction_weights


def shapley_layout(candidates: Sequence[Candidate], pairs: Sequence[Pair], triples: Sequence[Triple]) -> Layout:
    """Return a design in which any of the candidates are taken away, with the weights of Shapley interactions.

    The effect of one of a pair is its Shapley value where the other is absent: with the other's and the interaction of
    the two it adds up to the Shapley value of both as one player (Grabisch and Roubens 1999), as effects do in a second
    difference. A Shapley value among all players has part of the interaction in it already.
    """
    k = len(candidates)
    moves = tuple(combine([c.gone[0] for i, c in enumerate(candidates) if not s >> i & 1]) for s in range(1 << k))
    inside = [pair for a, b, c in triples for pair in ((a, b), (a, c), (b, c))]
    thirds = [third for a, b, c in triples for third in (c, b, a)]
    return Layout(
        moves,
        interaction_weights(k, pairs),
        interaction_weights(k, [(a,) for a, _ in pairs], absent=[b for _, b in pairs]),
        interaction_weights(k, [(b,) for _, b in pairs], absent=[a for a, _ in pairs]),
        interaction_weights(k, triples),
        interaction_weights(k, inside, absent=thirds),
        LevelMeans.of_sizes([1] * len(moves)),
    )


class ShapleyInteractions:
    """Measures Shapley interactions among the candidates that each context shows, each set of players by itself.

    A candidate that a context does not show would be a dummy player, which changes no index of the others; leaving it
    out halves the coalitions. See :class:`~paribus.experiments.builds._interactions.Measuring`.
    """

    def __init__(
        self,
        setup: BuildSetup,
        experiment: BuildExperiment,
        candidates: Sequence[Candidate],
        pairs: tuple[Pair, ...],
        triples: tuple[Triple, ...],
        recorder: Recorder | None,
    ) -> None:
        """Hold what to measure.

        Args:
            setup: The contexts ``[n]``.
            experiment: Says what is held in every state.
            candidates: The families that are players where they are shown.
            pairs: The pairs.
            triples: The triples.
            recorder: Gets counts; None for no null features.
        """
        self.pairs, self.triples = pairs, triples
        self.null: Floats | None = None
        self.null3: Floats | None = None
        self._setup, self._experiment, self._recorder, self._candidates = setup, experiment, recorder, candidates
        self._families = np.array([c.family.index for c in candidates if c.family is not None], np.int64)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks of every set of players."""
        setup = self._setup
        held = self._experiment.hold(setup, setup.contexts.states())
        shown = setup.edits.families_present(held)[:, self._families]
        players, group = np.unique(shown, axis=0, return_inverse=True)
        nulls = WeightedMeans(len(self.pairs)), WeightedMeans(len(self.triples))
        for number in np.flatnonzero(players.sum(1) >= 2):
            members = np.flatnonzero(players[number]).tolist()
            local = {member: i for i, member in enumerate(members)}
            mine = [i for i, pair in enumerate(self.pairs) if set(pair) <= set(members)]
            mine3 = [i for i, triple in enumerate(self.triples) if set(triple) <= set(members)]
            some = tuple((local[self.pairs[i][0]], local[self.pairs[i][1]]) for i in mine)
            some3 = tuple((local[a], local[b], local[c]) for a, b, c in (self.triples[i] for i in mine3))
            rows = np.flatnonzero(group.reshape(-1) == number)
            measuring = Differences(
                setup.restrict(rows),
                self._experiment,
                shapley_layout([self._candidates[member] for member in members], some, some3),
                some,
                some3,
                possible=np.ones(len(some) + len(some3), bool),
                recorder=self._recorder,
            )
            places = (
                Places(np.array(mine, np.int64), len(self.pairs)),
                Places(np.array(mine3, np.int64), len(self.triples)),
            )
            times = np.zeros(len(some)), np.zeros(len(some3))
            for block in measuring:
                for counted, values in zip(times, (block.f, block.f3), strict=True):
                    counted += (~np.isnan(values)).sum(1)
                yield block.embedded(rows[block.columns], *places)
            for means, null, counted, rows_of in zip(
                nulls, (measuring.null, measuring.null3), times, (mine, mine3), strict=True
            ):
                means.add(null, counted, rows_of)
        self.null, self.null3 = (means.result() for means in nulls)


class WeightedMeans:
    """Means of rows ``[rows, n_null]`` over several parts of the contexts."""

    def __init__(self, n_rows: int) -> None:
        """Start at nothing."""
        self._n_rows, self._total = n_rows, np.zeros((n_rows, 0))
        self._count = np.zeros((n_rows, 1))

    def add(self, means: Floats | None, times: Floats, places: Sequence[int]) -> None:
        """Add the means of some rows over ``times`` contexts each; None adds nothing."""
        if means is None:
            return
        if not self._total.shape[1]:
            self._total = np.zeros((self._n_rows, means.shape[1]))
        weight = times[:, None]
        self._total[places] += np.where(weight > 0, means, 0.0) * weight
        self._count[places] += weight

    def result(self) -> Floats | None:
        """Return the means; None where nothing was added."""
        if not self._total.shape[1]:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._total / self._count)
