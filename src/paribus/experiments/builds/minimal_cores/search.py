"""Minimal cores: the smallest sets of units that keep a feature active, by the whole lattice or by a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._removable_units import AT_ONCE, RemovableUnits
from paribus.experiments.builds.minimal_cores.spec import MinimalCores
from paribus.methods.lattice import minimal_sets, robust_sets

TOLERANCE = 1e-6
"""A set qualifies where ``f(S) >= threshold * f(full) - TOLERANCE * max(1, |f(full)|)``: rounding is no loss."""
NOTHING: tuple[Ints, Ints, Floats] = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
"""Context, set and activation of no core."""


@dataclass(frozen=True)
class Cores:
    """What was found, one entry per context and core.

    Attributes:
        row: The context of each core ``[c]``.
        mask: Its units, as a mask over the names of all units ``[c]``.
        retention: ``f(core) / f(full)`` ``[c]``.
        full: Activation of each complete context ``[m]``.
        exhaustive: Contexts whose whole lattice was decided ``[m]``.
        indifferent: Contexts in which every unit alone suffices while the set without units is not measured: they do
            not tell which units are needed, and no core of theirs is listed ``[m]``.
    """

    row: Ints
    mask: Ints
    retention: Floats
    full: Floats
    exhaustive: Bools
    indifferent: Bools

    @property
    def told(self) -> Bools:
        """Contexts that tell which units are needed ``[m]``."""
        return ~self.indifferent & (self.full > 0)

    def distinct(self) -> tuple[Ints, Ints]:
        """Return every core once, the most frequent first, and in how many contexts it is one."""
        masks, counts = np.unique(self.mask, return_counts=True)
        order = np.lexsort((masks, np.bitwise_count(masks), -counts))
        return masks[order], counts[order]


def find_cores(units: RemovableUnits, experiment: MinimalCores, recorder: Recorder) -> Cores:
    """Find the minimal cores of every context.

    Args:
        units: The contexts and their units.
        experiment: Says what a core keeps, and how it is looked for.
        recorder: Shows progress and gets counts.
    """
    m = len(units.counts)
    full = units.measure(np.arange(m), (1 << units.counts) - 1, recorder)
    least = experiment.retention_threshold * full - TOLERANCE * np.maximum(1.0, np.abs(full))
    found = [NOTHING]
    indifferent = np.zeros(m, bool)
    active = full > 0
    exhaustive = active & (units.counts <= experiment.exact_units)
    lattice = _whole_lattice if experiment.robust else _up_to_cores
    for rows, k in recorder.progress(_blocks(units.counts, exhaustive), description="lattices"):
        subset, column, value, alone = lattice(units, rows, k, least, recorder)
        indifferent[rows] = alone
        told = ~alone[column]
        found.append((rows[column[told]], subset[told], value[told]))
    searched = np.flatnonzero(active & ~exhaustive)
    if len(searched):
        indifferent[searched] = _all_singles(units, searched, least, recorder)
        rest = searched[~indifferent[searched]]
        found.append(_beam(units, rest, full, least, experiment, recorder))
    row, subset, value = map(np.concatenate, zip(*found, strict=True))
    return Cores(row, units.global_masks(row, subset), value / full[row], full, exhaustive, indifferent)


def _up_to_cores(
    units: RemovableUnits, rows: Ints, k: int, least: Floats, recorder: Recorder
) -> tuple[Ints, Ints, Floats, Bools]:
    """Go up the lattice level by level and measure only sets that hold no core yet: the others cannot be minimal.

    Returns:
        Set, context (place in ``rows``) and activation of every minimal set, and which contexts are indifferent.
    """
    subsets = np.arange(1 << k)
    sizes = np.bitwise_count(subsets.astype(np.uint32))
    reached = np.zeros((1 << k, len(rows)), bool)
    parts: list[tuple[Ints, Ints, Floats]] = []
    known = singles = np.zeros(len(rows), bool)
    for size in range(k + 1):
        level = subsets[sizes == size]
        for unit in range(k):
            holding = level[level >> unit & 1 == 1]
            reached[holding] |= reached[holding ^ (1 << unit)]
        place, column = np.nonzero(~reached[level])
        values = units.measure(rows[column], level[place], recorder)
        enough = values >= least[rows[column]]
        subset, column, known_now = level[place[enough]], column[enough], ~np.isnan(values)
        reached[subset, column] = True
        parts.append((subset, column, values[enough]))
        if size == 0:
            known = known_now
        elif size == 1:
            singles = reached[level].all(0)
    found = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return found[0], found[1], found[2], ~known & singles


def _whole_lattice(
    units: RemovableUnits, rows: Ints, k: int, least: Floats, recorder: Recorder
) -> tuple[Ints, Ints, Floats, Bools]:
    """Measure every set and return those that qualify with all larger sets, while no smaller one does."""
    subsets = np.tile(np.arange(1 << k), len(rows))
    values = units.measure(np.repeat(rows, 1 << k), subsets, recorder).reshape(len(rows), 1 << k).T
    known = ~np.isnan(values)
    qualifies = np.ascontiguousarray(np.where(known, values, -np.inf) >= least[rows])
    subset, column = np.nonzero(minimal_sets(robust_sets(qualifies, known)))
    alone = ~known[0] & qualifies[1 << np.arange(k)].all(0)
    return subset.astype(np.int64), column, values[subset, column], alone


def _blocks(counts: Ints, exhaustive: Bools) -> list[tuple[Ints, int]]:
    """Return contexts in blocks of equal numbers of units and bounded size."""
    out = []
    for k in np.unique(counts[exhaustive]):
        rows = np.flatnonzero(exhaustive & (counts == k))
        step = max(1, AT_ONCE >> int(k))
        out += [(rows[start : start + step], int(k)) for start in range(0, len(rows), step)]
    return out


def _all_singles(units: RemovableUnits, rows: Ints, least: Floats, recorder: Recorder) -> Bools:
    """Return where every single unit suffices and the set without units is not measured ``[rows]``."""
    pairs = [(row, 1 << unit) for row in rows for unit in range(units.counts[row])]
    contexts, subsets = np.array(pairs, np.int64).T
    alone = units.measure(contexts, subsets, recorder) >= least[contexts]
    enough = np.array([alone[contexts == row].all() for row in rows])
    return np.asarray(enough & np.isnan(units.measure(rows, np.zeros_like(rows), recorder)))


def _beam(
    units: RemovableUnits,
    rows: Ints,
    full: Floats,
    least: Floats,
    experiment: MinimalCores,
    recorder: Recorder,
) -> tuple[Ints, Ints, Floats]:
    """Take units away one by one, keeping the ``beam_width`` strongest qualifying sets of each context at every level.

    The strongest set of every level is the path of greedy deletion. A set none of whose one-smaller sets qualifies is
    kept; of these, those that hold no other one.
    """
    frontier = {int(row): {(1 << int(units.counts[row])) - 1: float(full[row])} for row in rows}
    ends: dict[int, dict[int, float]] = {int(row): {} for row in rows}
    failed: dict[int, list[int]] = {int(row): [] for row in rows}
    while frontier:
        children = {
            row: sorted({s ^ (1 << u) for s in sets for u in range(int(units.counts[row])) if s >> u & 1})
            for row, sets in frontier.items()
        }
        contexts = np.array([row for row, sets in children.items() for _ in sets], np.int64)
        subsets = np.array([s for sets in children.values() for s in sets], np.int64)
        values = units.measure(contexts, subsets, recorder) if len(contexts) else np.empty(0)
        held: dict[int, dict[int, float]] = {}
        for row, subset, value in zip(contexts.tolist(), subsets.tolist(), values.tolist(), strict=True):
            if value >= least[row]:
                held.setdefault(row, {})[subset] = value
            elif not np.isnan(value):
                failed[row].append(subset)
        for row, sets in frontier.items():
            below = held.get(row, {})
            for subset, value in sets.items():
                if not any(subset ^ (1 << u) in below for u in range(int(units.counts[row])) if subset >> u & 1):
                    ends[row][subset] = value
        frontier = {
            row: dict(sorted(sets.items(), key=lambda item: -item[1])[: experiment.beam_width])
            for row, sets in held.items()
        }
    out = [
        (row, subset, value)
        for row, sets in ends.items()
        for subset, value in sets.items()
        if not any(other != subset and other & subset == other for other in sets)
        and not (experiment.robust and any(lost & subset == subset for lost in failed[row]))
    ]
    if not out:
        return NOTHING
    row, subset, value = zip(*out, strict=True)
    return np.array(row, np.int64), np.array(subset, np.int64), np.array(value)
