"""Second and third differences of a feature over candidates, measured in one design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Protocol

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import contrast
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import Move, apply_moves, combine
from paribus.experiments.builds._two_level import TwoLevel, can_join
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts

Members = tuple[int, ...]
"""Places of the candidates of a pair or a triple."""
MOST_TRIPLED = 12


@dataclass(frozen=True)
class Block:
    """Interactions in some contexts ``[b]``; NaN where a context does not support them. Rows: pairs, then triples.

    Attributes:
        columns: The contexts ``[b]``.
        f: Interaction of each pair, then third difference of each triple, in f ``[pairs + triples, b]``.
        z: The same in z.
        single: Effect of each pair's first candidate alone, then of each pair's second one ``[2 * pairs, b]``.
        absent: Interaction in f of each triple's pairs (ab, ac, bc) with its third absent ``[triples, 3, b]``.
    """

    columns: Ints
    f: Floats
    z: Floats
    single: Floats
    absent: Floats

    def embedded(self, columns: Ints, rows: Ints, n_pairs: int, n_rows: int) -> Block:
        """Return these rows at places ``rows`` of ``n_rows``, of which ``n_pairs`` are pairs; NaN elsewhere."""
        pairs, triples = rows[rows < n_pairs], rows[rows >= n_pairs] - n_pairs

        def among(values: Floats, places: Ints, n: int) -> Floats:
            out = np.full((n, *values.shape[1:]), np.nan)
            out[places] = values
            return out

        f, z = (among(values, rows, n_rows) for values in (self.f, self.z))
        single = among(self.single, np.concatenate([pairs, n_pairs + pairs]), 2 * n_pairs)
        return Block(columns, f, z, single, among(self.absent, triples, n_rows - n_pairs))


class Measuring(Protocol):
    """Interactions that are measured block by block; the null features' are known after the last block.

    Attributes:
        pairs: The pairs.
        triples: The triples.
        null: Mean interactions of the null features ``[pairs + triples, n_null]``.
    """

    pairs: tuple[Members, ...]
    triples: tuple[Members, ...]
    null: Floats | None

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""


@dataclass(frozen=True)
class Layout:
    """States of a design as moves, and the contrasts that make interactions of their levels.

    Attributes:
        moves: The edit of each state.
        tested: Weights of the interaction of each pair, then of each third difference ``[pairs + triples, levels]``.
        single: Weights of the effect of each pair's first candidate, then of each second one ``[2 * pairs, levels]``.
        absent: Weights of each triple's pairs with the third absent ``[3 * triples, levels]``.
        means: Which states make up each level.
    """

    moves: tuple[Move, ...]
    tested: Floats
    single: Floats
    absent: Floats
    means: LevelMeans


def pairs_of(candidates: Sequence[TwoLevel]) -> tuple[Members, ...]:
    """Return all pairs, those that exclude each other included (they are never supported)."""
    return tuple(combinations(range(len(candidates)), 2))


def triples_of(candidates: Sequence[TwoLevel]) -> tuple[Members, ...]:
    """Return all triples of the first twelve candidates that do not exclude each other."""
    some = combinations(range(min(len(candidates), MOST_TRIPLED)), 3)
    return tuple(triple for triple in some if can_join(candidates[member] for member in triple))


def difference_layout(candidates: Sequence[TwoLevel], pairs: Sequence[Members], triples: Sequence[Members]) -> Layout:
    """Return a design in which the members of each pair or triple are all taken away, then put in all combinations."""
    moves: list[Move] = []
    sizes: list[int] = []
    of_pairs, of_triples = ([_corners(candidates, one, moves, sizes) for one in some] for some in (pairs, triples))
    n_levels = len(sizes)

    def weights(starts: Sequence[int], *corners: Sequence[int]) -> Floats:
        """Put the same weights at each of the starts; of several, all of a start come together."""
        out = np.zeros((len(starts), len(corners), n_levels))
        for row, start in enumerate(starts):
            for place, values in enumerate(corners):
                out[row, place, start : start + len(values)] = values
        return out.reshape(-1, n_levels)

    second, third = [1, -1, -1, 1], [-1, 1, 1, -1, 1, -1, -1, 1]
    return Layout(
        tuple(moves),
        np.concatenate([weights(of_pairs, second), weights(of_triples, third)]),
        np.concatenate([weights(of_pairs, [-1, 1]), weights(of_pairs, [-1, 0, 1])]),
        weights(of_triples, second, [1, -1, 0, 0, -1, 1], [1, 0, -1, 0, -1, 0, 1]),
        LevelMeans.of_sizes(sizes),
    )


def _corners(candidates: Sequence[TwoLevel], members: Members, moves: list[Move], sizes: list[int]) -> int:
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
        pairs: tuple[Members, ...],
        triples: tuple[Members, ...],
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
        self._layout = layout
        self._possible = possible[:, None]
        self._like = np.arange(len(possible)) if like is None else like
        design = Design(
            lambda states: apply_moves(experiment.hold(setup, states), layout.moves),
            len(layout.moves),
            description="interactions",
        )
        support = np.broadcast_to(self._possible, (len(layout.tested), len(setup.contexts)))
        contrasts = Contrasts(layout.means.spread(layout.tested), support) if recorder is not None else None
        self._stream = setup.stream(design, recorder, contrasts=contrasts)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""
        layout, cut = self._layout, len(self.pairs)
        for measured in self._stream:
            columns, (values_f, values_z) = measured.columns, map(layout.means.of, measured.values)
            f, z = (np.where(self._possible, contrast(layout.tested, v), np.nan) for v in (values_f, values_z))
            lost = np.isnan(f)[self._like]
            f, z = np.where(lost, np.nan, f), np.where(lost, np.nan, z)
            single = np.where(np.tile(lost[:cut], (2, 1)), np.nan, contrast(layout.single, values_f))
            absent = contrast(layout.absent, values_f).reshape(len(self.triples), 3, len(columns))
            yield Block(columns, f, z, single, np.where(lost[cut:, None], np.nan, absent))
        self.null = self._stream.null
