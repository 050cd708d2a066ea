"""A third thing that may change how pairs interact: a family, a token or a weapon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from paribus.arrays import Floats
from paribus.errors import ConfigError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import parse
from paribus.experiments.builds._interactions import Differences, Layout, difference_layout, pairs_of
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import combine
from paribus.experiments.builds._two_level import CLASS, WEAPON, TwoLevel, can_join, is_weapon_factor, weapon_factor
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import find_family


def find_modulator(setup: BuildSetup, name: str, rung: int | None, n_weapons: int) -> TwoLevel:
    """Return the modulator of a name; a weapon may be named without ``weapon:``, and is then called so.

    Raises:
        ConfigError: If it is neither a family, a token nor a weapon.
    """
    if find_family(name) or find_family(name.rpartition("_")[0]):
        return parse(setup, name, rung)
    if is_weapon_factor(name):
        return weapon_factor(setup, name, n_weapons, where="experiment.modulator")
    weapon = setup.weapons.find(name)
    if weapon is None:
        valid = [*(f.name for f in setup.vocabulary.families()), *setup.vocabulary.ability_tokens]
        raise ConfigError(
            f"experiment.modulator={name!r} is no family, token or weapon; "
            f"{nearest(name, [*valid, *setup.weapons.labels()])}; classes: {CLASS}:NAME"
        )
    factor = weapon_factor(setup, f"{WEAPON}:{name}", n_weapons, where="experiment.modulator")
    return replace(factor, name=setup.weapons.labels()[weapon])


def modulated_layout(layout: Layout, modulator: TwoLevel) -> Layout:
    """Return a design of pairs with the modulator absent, then with it there; a "triple" is how much a pair changes."""

    def on_both_sides(weights: Floats) -> Floats:
        return np.asarray(np.kron(np.eye(2), weights), np.float64)

    pair = on_both_sides(layout.tested)
    without, with_it = np.split(pair, 2)
    absent = np.zeros((3 * len(without), pair.shape[1]))  # of the three pairs of a triple it is the first
    absent[::3] = without
    first, second = map(on_both_sides, np.split(layout.single, 2))
    return Layout(
        tuple(combine([state, move]) for state in (*modulator.gone, *modulator.there) for move in layout.moves),
        np.concatenate([pair, with_it - without]),
        np.concatenate([first, second]),
        absent,
        _crossed(layout.means, (len(modulator.gone), len(modulator.there))),
    )


def modulated(
    setup: BuildSetup,
    experiment: BuildExperiment,
    candidates: tuple[TwoLevel, ...],
    modulator: TwoLevel,
    recorder: Recorder | None,
) -> Differences:
    """Return what measures every pair without the modulator, with it, and the change, all in the same contexts."""
    pairs = pairs_of(candidates)
    possible = np.array([can_join((candidates[a], candidates[b], modulator)) for a, b in pairs])
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
