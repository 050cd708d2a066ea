"""Second and third differences of a feature over candidates, measured in one design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Protocol

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import Candidate
from paribus.experiments.builds._effects import contrast
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import Move, apply_moves, combine
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts

Pair = tuple[int, int]
Triple = tuple[int, int, int]
MOST_TRIPLED = 12


@dataclass(frozen=True)
class Block:
    """Interactions of pairs and triples in some contexts ``[b]``; NaN where a context does not support them.

    Attributes:
        columns: The contexts ``[b]``.
        f: Interaction of each pair in f ``[pairs, b]``.
        z: The same in z.
        first: Effect of a pair's first candidate alone ``[pairs, b]``.
        second: Effect of the second one alone.
        f3: Third difference of each triple in f ``[triples, b]``.
        z3: The same in z.
        absent: Interaction in f of each triple's pairs (ab, ac, bc) with its third absent ``[triples, 3, b]``.
    """

    columns: Ints
    f: Floats
    z: Floats
    first: Floats
    second: Floats
    f3: Floats
    z3: Floats
    absent: Floats

    def embedded(self, columns: Ints, pairs: Places, triples: Places) -> Block:
        """Return these rows among more of them, for contexts ``columns``; NaN elsewhere."""

        def among(values: Floats, places: Places) -> Floats:
            out = np.full((places.n, *values.shape[1:]), np.nan)
            out[places.at] = values
            return out

        of_pairs = (among(values, pairs) for values in (self.f, self.z, self.first, self.second))
        of_triples = (among(values, triples) for values in (self.f3, self.z3, self.absent))
        return Block(columns, *of_pairs, *of_triples)


@dataclass(frozen=True)
class Places:
    """The places ``at`` of some rows among ``n`` of them."""

    at: Ints
    n: int


class Measuring(Protocol):
    """Interactions that are measured block by block; the null features' are known after the last block.

    Attributes:
        pairs: Places of the candidates of each pair.
        triples: Places of the candidates of each triple.
        null: Mean interactions of the null features ``[pairs, n_null]``.
        null3: Mean third differences of the null features ``[triples, n_null]``.
    """

    pairs: tuple[Pair, ...]
    triples: tuple[Triple, ...]
    null: Floats | None
    null3: Floats | None

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""


@dataclass(frozen=True)
class Layout:
    """States of a design as moves, and the contrasts that make interactions of their levels.

    Attributes:
        moves: The edit of each state.
        pair: Weights of the interaction of each pair ``[pairs, levels]``.
        first: Weights of the first candidate's effect.
        second: Weights of the second one's.
        triple: Weights of each third difference ``[triples, levels]``.
        absent: Weights of each triple's pairs with the third absent ``[3 * triples, levels]``.
        means: Which states make up each level.
    """

    moves: tuple[Move, ...]
    pair: Floats
    first: Floats
    second: Floats
    triple: Floats
    absent: Floats
    means: LevelMeans


def pairs_of(candidates: Sequence[Candidate]) -> tuple[Pair, ...]:
    """Return all pairs, those that exclude each other included (they are never supported)."""
    return tuple(combinations(range(len(candidates)), 2))


def triples_of(candidates: Sequence[Candidate]) -> tuple[Triple, ...]:
    """Return all triples of the first twelve candidates that do not exclude each other."""
    some = combinations(range(min(len(candidates), MOST_TRIPLED)), 3)
    return tuple(t for t in some if not any(candidates[a].excludes(candidates[b]) for a, b in combinations(t, 2)))


def difference_layout(candidates: Sequence[Candidate], pairs: Sequence[Pair], triples: Sequence[Triple]) -> Layout:
    """Return a design in which the members of each pair or triple are all taken away, then put in all combinations."""
    moves: list[Move] = []
    sizes: list[int] = []
    rows: dict[str, list[tuple[int, list[float]]]] = {"pair": [], "first": [], "second": [], "triple": [], "absent": []}
    for pair in pairs:
        start = _corners(candidates, pair, moves, sizes)
        rows["pair"].append((start, [1, -1, -1, 1]))
        rows["first"].append((start, [-1, 1, 0, 0]))
        rows["second"].append((start, [-1, 0, 1, 0]))
    for triple in triples:
        start = _corners(candidates, triple, moves, sizes)
        rows["triple"].append((start, [-1, 1, 1, -1, 1, -1, -1, 1]))
        rows["absent"] += [(start, [1, -1, -1, 1]), (start, [1, -1, 0, 0, -1, 1]), (start, [1, 0, -1, 0, -1, 0, 1])]
    weights = {}
    for name, entries in rows.items():
        weights[name] = np.zeros((len(entries), len(sizes)))
        for row, (start, values) in enumerate(entries):
            weights[name][row, start : start + len(values)] = values
    return Layout(tuple(moves), **weights, means=LevelMeans.of_sizes(sizes))


def _corners(candidates: Sequence[Candidate], members: Sequence[int], moves: list[Move], sizes: list[int]) -> int:
    """Add the states in which each subset of the members is there, and their numbers; return the first level's place.

    A subset is one state, or, where a weapon or a class is among the members, one for each weapon that stands for it or
    for its absence.
    """
    away = [move for m in members for move in candidates[m].gone[:1]]
    start = len(sizes)
    for subset in range(1 << len(members)):
        options = [candidates[m].there if subset >> i & 1 else candidates[m].gone for i, m in enumerate(members)]
        made = [combine([*away, *chosen]) for chosen in product(*options)]
        moves += made
        sizes.append(len(made))
    return start


class Differences:
    """Measures a layout on all contexts of a setup; see :class:`Measuring`."""

    def __init__(
        self,
        setup: BuildSetup,
        experiment: BuildExperiment,
        layout: Layout,
        pairs: tuple[Pair, ...],
        triples: tuple[Triple, ...],
        *,
        possible: Bools,
        recorder: Recorder | None,
        like: Ints | None = None,
    ) -> None:
        """Hold what to measure.

        Args:
            setup: The contexts ``[n]``.
            experiment: Says what is held in every state.
            layout: Levels and weights.
            pairs: The pairs.
            triples: The triples.
            possible: Which pairs and triples do not exclude each other ``[pairs + triples]``.
            recorder: Gets counts; None for no null features.
            like: The pair or triple in whose contexts each is looked at ``[pairs + triples]``; None: its own.
        """
        self.pairs, self.triples = pairs, triples
        self.null: Floats | None = None
        self.null3: Floats | None = None
        self._layout, self._tested = layout, np.concatenate([layout.pair, layout.triple])
        self._possible = possible[:, None]
        self._like = np.arange(len(possible)) if like is None else like
        design = Design(
            lambda states: apply_moves(experiment.hold(setup, states), layout.moves),
            len(layout.moves),
            description="interactions",
        )
        support = np.broadcast_to(self._possible, (len(self._tested), len(setup.contexts)))
        contrasts = Contrasts(layout.means.spread(self._tested), support) if recorder is not None else None
        self._stream = setup.stream(design, recorder, contrasts=contrasts)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""
        layout, cut = self._layout, len(self.pairs)
        singles = np.concatenate([layout.first, layout.second])
        for measured in self._stream:
            columns, (values_f, values_z) = measured.columns, map(layout.means.of, measured.values)
            f, z = (np.where(self._possible, contrast(self._tested, v), np.nan) for v in (values_f, values_z))
            lost = np.isnan(f)[self._like]
            f, z = np.where(lost, np.nan, f), np.where(lost, np.nan, z)
            single = np.where(np.tile(lost[:cut], (2, 1)), np.nan, contrast(singles, values_f))
            absent = contrast(layout.absent, values_f).reshape(len(self.triples), 3, len(columns))
            absent = np.where(lost[cut:, None], np.nan, absent)
            yield Block(columns, f[:cut], z[:cut], single[:cut], single[cut:], f[cut:], z[cut:], absent)
        null = self._stream.null
        if null is not None:
            self.null, self.null3 = null[:cut], null[cut:]
