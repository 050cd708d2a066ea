"""What is there or absent, a family, a token, a weapon or a class of weapons, and what may be crossed with what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from paribus.errors import ConfigError, nearest
from paribus.experiments.builds._moves import Move, carrying, setting
from paribus.experiments.builds._removable_units import reference_weapons
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.weapons import UNKNOWN

WEAPON, CLASS = "weapon", "weapon_class"
N_WEAPONS = 10
"""Weapons that stand for a class, and weapons that stand for another one, where nothing else is asked for."""
FORM = f"{WEAPON}:NAME or {CLASS}:NAME"


@dataclass(frozen=True)
class TwoLevel:
    """A family, a token, a weapon or a class of weapons that is there or absent.

    Attributes:
        name: Name of the family or token; ``weapon:<name>`` or ``weapon_class:<name>``, as the vocabulary has it.
        kind: ``family``, ``token``, ``weapon`` or ``weapon_class``.
        family: Its family; None for weapons.
        level: AP that the family has when it is there; None for weapons.
        there: Edits whose mean is "there": the one that puts it there, or one for each weapon of a class.
        gone: Edits whose mean is "absent": the one that takes its whole family away, or one for each of the reference
            weapons, none of the class among them.
    """

    name: str
    kind: str
    family: Family | None
    level: int | None
    there: tuple[Move, ...]
    gone: tuple[Move, ...]

    def excludes(self, other: TwoLevel) -> bool:
        """Return whether the two exclude each other: one family, one piece's main-only abilities, or two weapons."""
        if self.family is None or other.family is None:
            return self.family is other.family
        one_piece = self.family.piece is not None and self.family.piece == other.family.piece
        return self.family == other.family or one_piece


def can_join(some: Iterable[TwoLevel]) -> bool:
    """Return whether no two of some exclude each other."""
    return not any(a.excludes(b) for a, b in combinations(some, 2))


def family_factor(setup: BuildSetup, name: str, kind: str, family: Family, level: int) -> TwoLevel:
    """Return a family at a level, or a token of it, under its name."""
    there, gone = (setting(setup.edits, family, each) for each in (level, None))
    return TwoLevel(name, kind, family, level, (there,), (gone,))


def is_weapon_factor(name: str) -> bool:
    """Return whether a name is of the form ``weapon:...`` or ``weapon_class:...``."""
    return name.startswith((f"{WEAPON}:", f"{CLASS}:"))


def weapon_factor(setup: BuildSetup, name: str, n_weapons: int = N_WEAPONS, *, where: str) -> TwoLevel:
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
    there, gone = (tuple(carrying(setup.edits, index) for index in some) for some in (members, others.tolist()))
    return TwoLevel(f"{kind}:{label}", kind, None, None, there, gone)


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
