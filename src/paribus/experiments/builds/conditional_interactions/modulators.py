"""A third thing that may change how pairs interact: a family, a token or a weapon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import Candidate, parse
from paribus.experiments.builds._effects import contrast
from paribus.experiments.builds._interactions import Block, Pair, difference_layout, stream_moves
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import Move, combine
from paribus.experiments.builds._removable_units import reference_weapons
from paribus.experiments.builds._weapon_factors import CLASS, is_weapon_factor, weapon_factor
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import BY_NAME, BY_SHORT, Family


@dataclass(frozen=True)
class Modulator:
    """What is absent or present.

    Attributes:
        name: What it is called.
        kind: ``family``, ``token``, ``weapon`` or ``weapon_class``.
        family: Its family; None for a weapon.
        absent: Edits whose mean is "absent": its family taken away, or each of the reference weapons.
        present: Edits whose mean is "there": the one that puts it there, or one for each weapon of the class.
    """

    name: str
    kind: str
    family: Family | None
    absent: tuple[Move, ...]
    present: tuple[Move, ...]


def find_modulator(setup: BuildSetup, name: str, rung: int | None, n_weapons: int) -> Modulator:
    """Return the modulator of a name.

    Raises:
        ConfigError: If it is neither a family, a token nor a weapon.
    """
    stem = name.rpartition("_")[0]
    if name in BY_NAME or name in BY_SHORT or stem in BY_NAME or stem in BY_SHORT:
        found = parse(setup, name, rung)
        return Modulator(found.name, "token" if found.is_token else "family", found.family, found.gone, found.there)
    if is_weapon_factor(name):
        factor = weapon_factor(setup, name, n_weapons, where="experiment.modulator")
        return Modulator(factor.name, factor.kind, None, factor.gone, factor.there)
    weapon = setup.weapons.find(name)
    if weapon is None:
        valid = [*(f.name for f in setup.vocabulary.families()), *setup.vocabulary.ability_tokens]
        raise ConfigError(
            f"experiment.modulator={name!r} is no family, token or weapon; "
            f"{nearest(name, [*valid, *setup.weapons.labels()])}; classes: {CLASS}:NAME"
        )

    def swap(index: int) -> Move:
        return Move.of(lambda states: setup.edits.swap_weapon(states, index))

    others = reference_weapons(setup, n_weapons, without=[weapon])
    return Modulator(setup.weapons.labels()[weapon], "weapon", None, tuple(map(swap, others.tolist())), (swap(weapon),))


class ModulatedInteractions:
    """Interactions of every pair with the modulator absent, then with it there, and how much they change.

    A context counts where it supports both. The rows of a block are those of :attr:`pairs`, then those of
    :attr:`triples`: a third difference of a pair, with the modulator as third. See
    :class:`~paribus.experiments.builds._interactions.Measuring`.

    Attributes:
        pairs: Every pair twice: absent, then present.
        triples: Every pair with the modulator, whose place is one past the last candidate.
    """

    def __init__(
        self,
        setup: BuildSetup,
        experiment: BuildExperiment,
        candidates: tuple[Candidate, ...],
        pairs: tuple[Pair, ...],
        modulator: Modulator,
        recorder: Recorder | None,
    ) -> None:
        """Hold what to measure."""
        self.pairs, self.triples = pairs + pairs, tuple((a, b, len(candidates)) for a, b in pairs)
        self.null: Floats | None = None
        self.null3: Floats | None = None
        layout = difference_layout(candidates, pairs, ())
        states = (*modulator.absent, *modulator.present)
        moves = [combine([state, move]) for state in states for move in layout.moves]
        self._means = _crossed(layout.means, (len(modulator.absent), len(modulator.present)))
        sides = np.eye(2)
        without, with_it = (np.kron(row, layout.pair) for row in sides)
        self._tested = np.concatenate([without, with_it, with_it - without])
        self._singles = [
            np.concatenate([np.kron(row, part) for row in sides]) for part in (layout.first, layout.second)
        ]
        self._possible = np.array([_can_join(candidates[a], candidates[b], modulator.family) for a, b in pairs])
        support = np.broadcast_to(np.tile(self._possible, 3)[:, None], (len(self._tested), len(setup.contexts)))
        weights = self._means.spread(self._tested)
        self._stream = stream_moves(setup, experiment, moves, weights, support, recorder)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""
        cut = len(self.pairs)
        for measured in self._stream:
            columns, (values_f, values_z) = measured.columns, map(self._means.of, measured.values)
            f, z = (contrast(self._tested, values) for values in (values_f, values_z))
            lost = np.isnan(f[cut:]) | ~self._possible[:, None]
            f, z = (np.where(np.tile(lost, (3, 1)), np.nan, values) for values in (f, z))
            first, second = (
                np.where(np.tile(lost, (2, 1)), np.nan, contrast(weights, values_f)) for weights in self._singles
            )
            absent = np.full((len(self.triples), 3, len(columns)), np.nan)
            absent[:, 0] = f[: cut // 2]
            yield Block(columns, f[:cut], z[:cut], first, second, f[cut:], z[cut:], absent)
        null = self._stream.null
        if null is not None:
            self.null, self.null3 = null[:cut], null[cut:]


def _crossed(corners: LevelMeans, sides: tuple[int, ...]) -> LevelMeans:
    """Return the levels of every corner without and with the modulator, whose states vary slowest."""
    groups, start = [], 0
    for n_states in sides:
        steps = [start + state * corners.n_states for state in range(n_states)]
        groups += [tuple(step + place for step in steps for place in group) for group in corners.groups]
        start += n_states * corners.n_states
    return LevelMeans(tuple(groups))


def _can_join(a: Candidate, b: Candidate, modulator: Family | None) -> bool:
    if a.excludes(b):
        return False
    if modulator is None:
        return True
    families = [candidate.family for candidate in (a, b) if candidate.family is not None]
    one_piece = [family.piece is not None and family.piece == modulator.piece for family in families]
    return modulator not in families and not any(one_piece)
