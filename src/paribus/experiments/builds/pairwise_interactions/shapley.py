"""Shapley interactions among the families that contexts show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._interactions import Block, Differences, Layout, Members
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import combine
from paribus.experiments.builds._two_level import TwoLevel
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.methods.lattice import interaction_weights


def shapley_layout(candidates: Sequence[TwoLevel], pairs: Sequence[Members], triples: Sequence[Members]) -> Layout:
    """Return a design in which any of the candidates are taken away, with the weights of Shapley interactions.

    The effect of one of a pair is its Shapley value where the other is absent: with the other's and the interaction of
    the two it adds up to the Shapley value of both as one player (Grabisch and Roubens 1999), as effects do in a second
    difference. A Shapley value among all players has part of the interaction in it already.
    """
    k = len(candidates)
    moves = tuple(combine([c.gone[0] for i, c in enumerate(candidates) if not s >> i & 1]) for s in range(1 << k))
    one = [(pair[place],) for place in (0, 1) for pair in pairs]
    inside = [pair for triple in triples for pair in combinations(triple, 2)]
    thirds = [third for a, b, c in triples for third in (c, b, a)]
    return Layout(
        moves,
        np.concatenate([interaction_weights(k, pairs), interaction_weights(k, triples)]),
        interaction_weights(k, one, absent=[pair[1 - place] for place in (0, 1) for pair in pairs]),
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
        candidates: Sequence[TwoLevel],
        pairs: tuple[Members, ...],
        triples: tuple[Members, ...],
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
        self._setup, self._experiment, self._recorder, self._candidates = setup, experiment, recorder, candidates
        self._families = np.array([c.family.index for c in candidates if c.family is not None], np.int64)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks of every set of players."""
        setup = self._setup
        held = self._experiment.hold(setup, setup.contexts.states())
        shown = setup.edits.families_present(held)[:, self._families]
        players, group = np.unique(shown, axis=0, return_inverse=True)
        every, n_pairs = (*self.pairs, *self.triples), len(self.pairs)
        nulls = WeightedMeans(len(every))
        for number in np.flatnonzero(players.sum(1) >= 2):
            members = np.flatnonzero(players[number]).tolist()
            rows = np.array([i for i, one in enumerate(every) if set(one) <= set(members)], np.int64)
            some = tuple(tuple(map(members.index, every[i])) for i in rows)
            pairs, triples = some[: (rows < n_pairs).sum()], some[(rows < n_pairs).sum() :]
            contexts = np.flatnonzero(group.reshape(-1) == number)
            measuring = Differences(
                setup.restrict(contexts),
                self._experiment,
                shapley_layout([self._candidates[member] for member in members], pairs, triples),
                pairs,
                triples,
                possible=np.ones(len(some), bool),
                recorder=self._recorder,
            )
            times = np.zeros(len(some))
            for block in measuring:
                times += (~np.isnan(block.f)).sum(1)
                yield block.embedded(contexts[block.columns], rows, n_pairs, len(every))
            nulls.add(measuring.null, times, rows)
        self.null = nulls.result()


class WeightedMeans:
    """Means of rows ``[rows, n_null]`` over several parts of the contexts."""

    def __init__(self, n_rows: int) -> None:
        """Start at nothing."""
        self._n_rows, self._total = n_rows, np.zeros((n_rows, 0))
        self._count = np.zeros((n_rows, 1))

    def add(self, means: Floats | None, times: Floats, places: Ints) -> None:
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
