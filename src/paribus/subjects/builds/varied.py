"""Families and weapons of builds as factors and units of the generic experiments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError, DataError, nearest
from paribus.measure.binding import Binding
from paribus.measure.factor import Factor, InputFactor, InputUnits, Units
from paribus.subjects.builds import factors
from paribus.subjects.builds.edits import Edits, families_present
from paribus.subjects.builds.families import FAMILIES, Family
from paribus.subjects.builds.states import States, stack
from paribus.subjects.builds.subject import BuildSubject


class Rungs(InputFactor):
    """One family at some rungs; absent is the baseline."""

    def __init__(self, subject: BuildSubject, edits: Edits, family: Family, rungs: Sequence[int]) -> None:
        """Take the rungs in ascending order."""
        self._subject, self._edits, self._family = subject, edits, family
        self._levels = (0, *sorted(rungs))
        self.name = family.name
        self.labels = tuple(f"{ap} AP" for ap in self._levels)
        self.doses = tuple(map(float, self._levels))

    def edit(self, cells: States) -> States:
        """Return builds ``[b]`` at every rung ``[levels, b]``."""
        return self._edits.sweep(cells, self._family, self._levels)

    def observed(self, columns: Ints) -> Ints:
        """Return the rung that builds show: the place of it among the levels, -1 for another one."""
        shown = self._edits.highest_rung(self._subject.cells(columns), self._family)
        return _places(shown, np.array(self._levels))


class Weapons(InputFactor):
    """Some weapons."""

    def __init__(self, subject: BuildSubject, edits: Edits, weapons: Sequence[int]) -> None:
        """Take indices of weapons; the first is the baseline."""
        self._subject, self._edits, self._weapons = subject, edits, list(weapons)
        self.name = "weapon"
        self.labels = tuple(edits.weapons.weapons[one].name for one in weapons)

    def edit(self, cells: States) -> States:
        """Return builds ``[b]`` with every weapon ``[levels, b]``."""
        return stack([self._edits.swap_weapon(cells, np.asarray(one)) for one in self._weapons])

    def observed(self, columns: Ints) -> Ints:
        """Return the place of each build's weapon among the levels, -1 for another one."""
        return _places(self._subject.cells(columns).weapon.astype(np.int64), np.array(self._weapons))


class Worn(InputUnits):
    """Families that are kept as a build shows them, or removed."""

    name = "families"

    def __init__(self, subject: BuildSubject, edits: Edits, families: Sequence[Family]) -> None:
        """Take families."""
        self._subject, self._edits, self._families = subject, edits, list(families)
        self.names = tuple(one.name for one in families)

    def present(self, columns: Ints) -> Bools:
        """Return which families builds show ``[k, b]``."""
        shown = families_present(self._subject.cells(columns).codes)
        return np.asarray(shown[:, [one.index for one in self._families]].T)

    def keep(self, cells: States, on: Bools) -> States:
        """Return builds ``[b]`` without the families that are off in each row of ``on [m, k]``: ``[m, b]``."""
        drop = np.zeros((len(on), 1, len(FAMILIES)), bool)
        for place, family in enumerate(self._families):
            drop[:, 0, family.index] = ~on[:, place]
        return self._edits.remove_where(cells[None], drop)


def bind(factor: factors.BuildFactor, to: Binding) -> Factor | Units:
    """Return what a factor of builds varies.

    Raises:
        ConfigError: If the vocabulary has no such family, rung or weapon.
        DataError: If the builds show none of what is asked for.
    """
    subject, edits = to.executor.subject, to.parts.get("edits")
    if not isinstance(subject, BuildSubject) or not isinstance(edits, Edits):
        raise ConfigError("experiment.factor: edits builds; these are none")
    if isinstance(factor, factors.Family):
        family = edits.vocabulary.family(factor.family)
        known = edits.levels(family)
        unknown = [ap for ap in factor.rungs if ap not in known]
        if unknown:
            said = nearest(str(unknown[0]), map(str, known), show=20)
            raise ConfigError(f"experiment.factor.rungs: {family.name} has no rung {unknown[0]}; {said}")
        return Rungs(subject, edits, family, factor.rungs or known)
    if isinstance(factor, factors.Weapon):
        return Weapons(subject, edits, _weapons(factor, subject, edits))
    assert isinstance(factor, factors.Families)
    return Worn(subject, edits, _families(factor, subject, edits))


def _weapons(factor: factors.Weapon, subject: BuildSubject, edits: Edits) -> list[int]:
    if factor.weapons:
        return [edits.weapons.index(name) for name in factor.weapons]
    counts = np.bincount(subject.contexts.weapon, minlength=edits.weapons.size)
    found = np.argsort(-counts, kind="stable")[: factor.most]
    found = found[counts[found] > 0]
    if len(found) < 2:
        raise DataError("experiment.factor.weapons: the builds show fewer than two weapons; name some")
    return [int(one) for one in found]


def _families(factor: factors.Families, subject: BuildSubject, edits: Edits) -> list[Family]:
    if factor.families:
        return [edits.vocabulary.family(name) for name in factor.families]
    shown = np.asarray(families_present(subject.contexts.codes).any(axis=0))
    return [family for family in FAMILIES if shown[family.index]]


def _places(shown: Ints, levels: Ints) -> Ints:
    """Return the place of each value among the levels, -1 where it is none of them."""
    found = shown[:, None] == levels
    return np.where(found.any(1), found.argmax(1), -1)
