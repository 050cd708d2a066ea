"""Second and third differences of a feature over candidates, measured in one design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paribus.experiments._build_experiment import contrast
from paribus.experiments._moves import Move, apply_moves, combine
from paribus.features.readers.nulls import Contrasts

if TYPE_CHECKING:
    from paribus.experiments._build_experiment import BuildExperiment
    from paribus.experiments._candidates import Candidate
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_builds import BuildSetup

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Pair = tuple[int, int]
Triple = tuple[int, int, int]
MOST_TRIPLED = 12
VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interactions:
    """Interactions of pairs and triples of candidates in every context; NaN where a context does not support them.

    Attributes:
        pairs: Places of the candidates of each pair.
        triples: Places of the candidates of each triple.
        f: Interaction of each pair in f ``[pairs, n]``.
        z: The same in z.
        first: Effect of a pair's first candidate alone ``[pairs, n]``.
        second: Effect of the second one alone.
        null: Mean interactions of the null features ``[pairs, n_null]``.
        f3: Third difference of each triple in f ``[triples, n]``.
        z3: The same in z.
        null3: Mean third differences of the null features ``[triples, n_null]``.
        absent: Interaction in f of each triple's pairs (ab, ac, bc) with its third absent ``[triples, 3, n]``.
    """

    pairs: tuple[Pair, ...]
    triples: tuple[Triple, ...]
    f: Floats
    z: Floats
    first: Floats
    second: Floats
    null: Floats | None
    f3: Floats
    z3: Floats
    null3: Floats | None
    absent: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Levels of a design as moves, and the contrasts that make interactions of them.

    Attributes:
        moves: The edit of each level.
        pair: Weights of the interaction of each pair ``[pairs, levels]``.
        first: Weights of the first candidate's effect.
        second: Weights of the second one's.
        triple: Weights of each third difference ``[triples, levels]``.
        absent: Weights of each triple's pairs with the third absent ``[3 * triples, levels]``.
    """

    moves: tuple[Move, ...]
    pair: Floats
    first: Floats
    second: Floats
    triple: Floats
    absent: Floats


def pairs_of(candidates: Sequence[Candidate]) -> tuple[Pair, ...]:
    """Return all pairs, those that cannot stand together included (they are never supported)."""
    return tuple(combinations(range(len(candidates)), 2))


def triples_of(candidates: Sequence[Candidate]) -> tuple[Triple, ...]:
    """Return all triples of the first twelve candidates that can stand together."""
    some = combinations(range(min(len(candidates), MOST_TRIPLED)), 3)
    return tuple(t for t in some if not any(candidates[a].excludes(candidates[b]) for a, b in combinations(t, 2)))


def difference_layout(candidates: Sequence[Candidate], pairs: Sequence[Pair], triples: Sequence[Triple]) -> Layout:
    """Return a design in which the members of each pair or triple are all taken away, then put in all combinations."""
    moves: list[Move] = []

    def corners(members: Sequence[int]) -> int:
        start = len(moves)
        for subset in range(1 << len(members)):
            moves.append(
                combine(
                    [candidates[m].gone for m in members]
                    + [candidates[m].there for i, m in enumerate(members) if subset >> i & 1]
                )
            )
        return start

    rows: dict[str, list[tuple[int, list[float]]]] = {"pair": [], "first": [], "second": [], "triple": [], "absent": []}
    for pair in pairs:
        start = corners(pair)
        rows["pair"].append((start, [1, -1, -1, 1]))
        rows["first"].append((start, [-1, 1, 0, 0]))
        rows["second"].append((start, [-1, 0, 1, 0]))
    for triple in triples:
        start = corners(triple)
        rows["triple"].append((start, [-1, 1, 1, -1, 1, -1, -1, 1]))
        rows["absent"] += [(start, [1, -1, -1, 1]), (start, [1, -1, 0, 0, -1, 1]), (start, [1, 0, -1, 0, -1, 0, 1])]
    weights = {}
    for name, entries in rows.items():
        weights[name] = np.zeros((len(entries), len(moves)))
        for row, (start, values) in enumerate(entries):
            weights[name][row, start : start + len(values)] = values
    return Layout(tuple(moves), **weights)


def measure_interactions(
    setup: BuildSetup,
    experiment: BuildExperiment,
    layout: Layout,
    pairs: tuple[Pair, ...],
    triples: tuple[Triple, ...],
    *,
    pair_support: Bools,
    triple_support: Bools,
    recorder: Recorder | None,
) -> Interactions:
    """Measure a layout on all contexts, some at a time, and keep only the interactions.

    Args:
        setup: The contexts ``[n]``.
        experiment: Says what is held in every state.
        layout: Levels and weights.
        pairs: The pairs.
        triples: The triples.
        pair_support: Contexts that each pair may use ``[pairs, n]``.
        triple_support: Contexts that each triple may use ``[triples, n]``.
        recorder: Gets counts; None for no null features.
    """
    n = len(setup.contexts)
    part = ContrastSums(setup, experiment, layout.moves, recorder)
    tested = np.concatenate([layout.pair, layout.triple])
    support = np.concatenate([pair_support, triple_support])
    f, z = np.full((2, len(tested), n), np.nan)
    singles = np.full((2 * len(pairs), n), np.nan)
    absent = np.full((len(layout.absent), n), np.nan, np.float32)
    for rows, values_f, values_z in part.blocks(tested, support):
        f[:, rows], z[:, rows] = contrast(tested, values_f), contrast(tested, values_z)
        singles[:, rows] = contrast(np.concatenate([layout.first, layout.second]), values_f)
        absent[:, rows] = contrast(layout.absent, values_f)
    f, z = np.where(support, f, np.nan), np.where(support, z, np.nan)
    cut = len(pairs)
    lost = np.isnan(f[:cut])
    lost3 = np.isnan(f[cut:])[:, None]
    null = part.null()
    return Interactions(
        pairs,
        triples,
        f[:cut],
        z[:cut],
        np.where(lost, np.nan, singles[:cut]),
        np.where(lost, np.nan, singles[cut:]),
        None if null is None else null[:cut],
        f[cut:],
        z[cut:],
        None if null is None else null[cut:],
        np.where(lost3, np.float32(np.nan), absent.reshape(len(triples), 3, n)),
    )


class ContrastSums:
    """Measures levels on blocks of contexts and adds up the null features' contrasts; memory does not grow."""

    def __init__(
        self, setup: BuildSetup, experiment: BuildExperiment, moves: Sequence[Move], recorder: Recorder | None
    ) -> None:
        """Hold what to measure."""
        self._setup, self._experiment, self._moves, self._recorder = setup, experiment, moves, recorder
        self._total: Floats | None = None
        self._count: Floats | None = None

    def blocks(self, weights: Floats, support: Bools) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield contexts ``[b]`` with f and z ``[levels, b]``; ``weights`` are the null features' contrasts."""
        n, levels = len(self._setup.contexts), len(self._moves)
        step = max(1, VALUES_AT_ONCE // levels)
        for start in range(0, n, step):
            rows = np.arange(start, min(n, start + step))
            part = self._setup.restrict(rows)
            wanted = Contrasts(weights, support[:, rows]) if self._recorder is not None else None
            measured = part.measure_design(
                lambda states: apply_moves(self._experiment.hold(self._setup, states), self._moves),
                self._recorder,
                n_levels=levels,
                contrasts=wanted,
                description="interactions",
            )
            if measured.null is not None:
                used = np.array([(~np.isnan(measured.f[w != 0])).all(0) for w in weights]) & support[:, rows]
                count = used.sum(1)[:, None].astype(float)
                total = np.where(count > 0, measured.null, 0.0) * count
                self._total = total if self._total is None else self._total + total
                self._count = count if self._count is None else self._count + count
            yield rows, measured.f, measured.z

    def null(self) -> Floats | None:
        """Return mean contrasts of the null features ``[rows, n_null]``; None where none were asked for."""
        if self._total is None or self._count is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._total / self._count)
