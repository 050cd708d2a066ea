"""A weapon or a class of weapons as a two-level factor, for experiments that cross it with families."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paribus.errors import ConfigError, nearest
from paribus.experiments.builds._moves import Move
from paribus.experiments.builds._removable_units import reference_weapons
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.weapons import UNKNOWN

WEAPON, CLASS = "weapon", "weapon_class"
N_WEAPONS = 10
"""Weapons that stand for a class, and weapons that stand for another one, where nothing else is asked for."""
FORM = f"{WEAPON}:NAME or {CLASS}:NAME"


@dataclass(frozen=True)
class WeaponFactor:
    """A weapon, or a class of them, and what takes its place where it is absent.

    Attributes:
        name: ``weapon:<name>`` or ``weapon_class:<name>``, with the name as the vocabulary has it.
        kind: ``weapon`` or ``weapon_class``.
        there: Edits whose mean is "there": the weapon, or each of the class's weapons.
        gone: Edits whose mean is "absent": each of the reference weapons, none of the class among them.
    """

    name: str
    kind: str
    there: tuple[Move, ...]
    gone: tuple[Move, ...]


def is_weapon_factor(name: str) -> bool:
    """Return whether a name is of the form ``weapon:...`` or ``weapon_class:...``."""
    return name.startswith((f"{WEAPON}:", f"{CLASS}:"))


def weapon_factor(setup: BuildSetup, name: str, n_weapons: int = N_WEAPONS, *, where: str) -> WeaponFactor:
    """Return the factor of a name.

    Args:
        setup: Gives the weapons of the vocabulary and the corpus, and randomness.
        name: ``weapon:<name, id or key>`` or ``weapon_class:<name>``.
        n_weapons: The most weapons that stand for the class, and that stand for other weapons.
        where: The field that it was given in, for messages.

    Raises:
        ConfigError: If the vocabulary has no such weapon or class, or no other weapon to compare with.
    """
    kind, _, asked = name.partition(":")
    members, label = _weapon(setup, asked, where) if kind == WEAPON else _class(setup, asked, where)
    others = reference_weapons(setup, n_weapons, without=members)
    if not len(others):
        raise ConfigError(f"{where}={name!r}: the vocabulary has no other weapon to compare it with")
    if len(members) > n_weapons:
        drawn = setup.rng("weapons_of_class").choice(members, n_weapons, replace=False)
        members = sorted(int(index) for index in drawn)
    there, gone = (tuple(_swap(setup, index) for index in some) for some in (members, others.tolist()))
    return WeaponFactor(f"{kind}:{label}", kind, there, gone)


def _weapon(setup: BuildSetup, asked: str, where: str) -> tuple[list[int], str]:
    index = setup.weapons.find(asked)
    if index is None:
        raise ConfigError(f"{where}: no weapon {asked!r} in this vocabulary; {nearest(asked, setup.weapons.labels())}")
    return [index], setup.weapons.labels()[index]


def _class(setup: BuildSetup, asked: str, where: str) -> tuple[list[int], str]:
    codes, names = setup.weapons.codes("kind")
    known = {name.lower(): code for code, name in enumerate(names) if name != UNKNOWN}
    code = known.get(asked.lower())
    if code is None:
        valid = [name for name in names if name != UNKNOWN]
        raise ConfigError(f"{where}: no weapon class {asked!r}; {nearest(asked, valid, show=20)}")
    return np.flatnonzero(codes == code).tolist(), names[code]


def _swap(setup: BuildSetup, index: int) -> Move:
    return Move.of(lambda states: setup.edits.swap_weapon(states, index))
