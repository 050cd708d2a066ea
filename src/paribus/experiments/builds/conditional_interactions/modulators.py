"""A third thing that may change how pairs interact: a family, a token or a weapon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import Candidate, parse
from paribus.experiments.builds._interactions import Differences, Layout, difference_layout, pairs_of
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


def modulated_layout(layout: Layout, modulator: Modulator) -> Layout:
    """Return a design of pairs with the modulator absent, then with it there; a "triple" is how much a pair changes."""

    def on_both_sides(weights: Floats) -> Floats:
        return np.concatenate([np.kron(side, weights) for side in np.eye(2)])

    pair = on_both_sides(layout.pair)
    without, with_it = np.split(pair, 2)
    absent = np.zeros((3 * len(without), pair.shape[1]))  # of the three pairs of a triple it is the first
    absent[::3] = without
    return Layout(
        tuple(combine([state, move]) for state in (*modulator.absent, *modulator.present) for move in layout.moves),
        pair,
        on_both_sides(layout.first),
        on_both_sides(layout.second),
        with_it - without,
        absent,
        _crossed(layout.means, (len(modulator.absent), len(modulator.present))),
    )


def modulated(
    setup: BuildSetup,
    experiment: BuildExperiment,
    candidates: tuple[Candidate, ...],
    modulator: Modulator,
    recorder: Recorder | None,
) -> Differences:
    """Return what measures every pair without the modulator, with it, and the change, all in the same contexts."""
    pairs = pairs_of(candidates)
    possible = np.array([_can_join(candidates[a], candidates[b], modulator.family) for a, b in pairs])
    return Differences(
        setup,
        experiment,
        modulated_layout(difference_layout(candidates, pairs, ()), modulator),
        pairs + pairs,
        tuple((a, b, len(candidates)) for a, b in pairs),
        possible=np.tile(possible, 3),
        recorder=recorder,
        like=np.tile(np.arange(2 * len(pairs), 3 * len(pairs)), 3),
    )


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
