"""Units of a context that can be taken away: the families it shows, and its weapon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import FAMILIES
from paribus.subjects.builds.states import States

WEAPON = len(FAMILIES)
"""Place of the weapon among the units; before it come the families in canonical order."""
UNIT_NAMES = (*(family.name for family in FAMILIES), "weapon")
AT_ONCE = 1 << 17
"""States made at once."""


def reference_weapons(setup: BuildSetup, n: int, *, without: Sequence[int] = ()) -> Ints:
    """Return up to ``n`` weapons, drawn from those that the corpus holds: what "no weapon" is averaged over."""
    seen = np.setdiff1d(np.unique(setup.corpus.contexts.weapon.astype(np.int64)), np.asarray(without, np.int64))
    if not len(seen):
        seen = np.setdiff1d(np.arange(setup.weapons.size), np.asarray(without, np.int64))
    rng = setup.rng("reference_weapons")
    return np.sort(rng.choice(seen, min(n, len(seen)), replace=False)).astype(np.int64)


def core_name(mask: int) -> str:
    """Return the names of the units in a mask over :data:`UNIT_NAMES`."""
    return " + ".join(name for i, name in enumerate(UNIT_NAMES) if mask >> i & 1) or "(nothing)"


class RemovableUnits:
    """Contexts, their units, and the measurement of any of their subsets.

    Attributes:
        places: The units of each context ``[m, most]`` as places in :data:`UNIT_NAMES`, -1 where it has fewer.
        counts: Number of units of each context ``[m]``.
    """

    def __init__(self, setup: BuildSetup, states: States, units: Bools, weapons: Ints) -> None:
        """Hold contexts.

        Args:
            setup: Measures.
            states: The contexts ``[m]``, complete.
            units: Which units each has ``[m, 27]``.
            weapons: The reference weapons; "without its weapon" is the mean over them.
        """
        self._setup, self._states, self._weapons = setup, states, weapons
        self.counts = units.sum(1).astype(np.int64)
        order = np.argsort(~units, axis=1, kind="stable")[:, : max(1, int(self.counts.max(initial=1)))]
        there = np.arange(order.shape[1]) < self.counts[:, None]
        self.places = np.where(there, order, -1).astype(np.int64)

    def global_masks(self, rows: Ints, subsets: Ints) -> Ints:
        """Return subsets of the units of contexts ``rows`` as masks over :data:`UNIT_NAMES`."""
        out = np.zeros(len(rows), np.int64)
        for unit in range(self.places.shape[1]):
            place = self.places[rows, unit]
            out |= np.where(place >= 0, (subsets >> unit & 1) << np.maximum(place, 0), 0)
        return out

    def measure(self, rows: Ints, subsets: Ints, recorder: Recorder | None = None) -> Floats:
        """Return the activation ``[N]`` of contexts ``rows`` with only the units in ``subsets``; NaN if left out."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            out[part] = self._measure(rows[part], subsets[part], recorder)
        return out

    def _measure(self, rows: Ints, subsets: Ints, recorder: Recorder | None) -> Floats:
        drop = np.zeros((len(rows), WEAPON + 1), bool)
        number = np.arange(len(rows))
        for unit in range(self.places.shape[1]):
            place = self.places[rows, unit]
            gone = (place >= 0) & (subsets >> unit & 1 == 0)
            drop[number[gone], place[gone]] = True
        states = self._setup.edits.remove_where(self._states[rows], drop[:, :WEAPON])
        bare = drop[:, WEAPON]
        out = np.empty(len(rows))
        if not bare.all():
            out[~bare] = self._setup.measure(states[~bare], recorder).f
        places = np.flatnonzero(bare)
        step = max(1, AT_ONCE // max(1, len(self._weapons)))
        for start in range(0, len(places), step):
            some = places[start : start + step]
            swapped = self._setup.edits.swap_weapon(states[some][None], self._weapons[:, None])
            out[some] = self._setup.measure(replace(swapped, checked=False), recorder).f.mean(0)
        return out
