"""The axes of a heatmap: a family at its rungs, or a weapon (or a class of weapons) present or absent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from paribus.errors import ConfigError
from paribus.experiments.builds._level_means import LevelMeans
from paribus.experiments.builds._moves import Move, combine, setting
from paribus.experiments.builds._two_level import is_weapon_factor, weapon_factor
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import Family


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: What varies along it.
        family: The family; None for weapons.
        levels: Level of each step, absent (0) first: AP, or 1 where a weapon is there.
        edits: The edits of each level, whose mean is the level: one for a family, one for each weapon that stands for a
            class or for another weapon.
    """

    name: str
    family: Family | None
    levels: tuple[int, ...]
    edits: tuple[tuple[Move, ...], ...]

    @property
    def label(self) -> str:
        """What to write along it."""
        return f"{self.name} (1: there)" if self.family is None else f"{self.name} (AP)"


def axis(setup: BuildSetup, name: str, rungs: list[int] | None, place: str) -> Axis:
    """Return the axis of a name.

    Args:
        setup: Gives vocabulary, weapons and edits.
        name: A family by name or abbreviation, ``weapon:NAME`` or ``weapon_class:NAME``.
        rungs: Rungs in AP; None for all of the vocabulary's.
        place: ``x`` or ``y``, for messages.

    Raises:
        ConfigError: If the vocabulary lacks the family, the weapon or a rung, or rungs are given for a weapon.
    """
    if is_weapon_factor(name):
        if rungs is not None:
            raise ConfigError(
                f"experiment.rungs_{place}={rungs}: {name} is there or not and has no rungs; leave it out"
            )
        factor = weapon_factor(setup, name, where=f"experiment.family_{place}")
        return Axis(factor.name, None, (0, 1), (factor.gone, factor.there))
    found = setup.vocabulary.family(name)
    known = setup.edits.levels(found)
    wanted = sorted({rung for rung in (known if rungs is None else rungs) if rung})
    for rung in wanted:
        setup.vocabulary.rung_index(found, rung)
    levels = (0, *wanted)
    return Axis(name, found, levels, tuple((setting(setup.edits, found, level),) for level in levels))


@dataclass(frozen=True)
class Grid:
    """All cells of two axes, x varying slowest; a cell has one state, or several whose mean counts."""

    x: Axis
    y: Axis

    @cached_property
    def moves(self) -> list[Move]:
        """The edits of all states of the cells, in their order."""
        cells = [(at_x, at_y) for at_x in self.x.edits for at_y in self.y.edits]
        return [combine([a, b]) for at_x, at_y in cells for a in at_x for b in at_y]

    @cached_property
    def means(self) -> LevelMeans:
        """Which states make up each cell."""
        return LevelMeans.of_sizes([len(a) * len(b) for a in self.x.edits for b in self.y.edits])
