"""The options of the ``factor`` group that edit builds: the fields, without anything that needs numpy or torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.measure.binding import FactorSpec
from paribus.spec import field


@dataclass(frozen=True)
class BuildFactor(FactorSpec):
    """Base of the factors of builds; the work is in a module of its own."""

    work: ClassVar[str] = "paribus.subjects.builds.varied"
    subject: ClassVar[str] = "builds"


@dataclass(frozen=True)
class Family(BuildFactor, kind="factor/family"):
    """Sets one ability family to some of its rungs; without the family is the baseline.

    Example:
        >>> Family(family="swim_speed_up", rungs=[3, 12]).rungs
        [3, 12]
    """

    family: str = field("swim_speed_up", help="Name of the family.")
    rungs: list[int] = field([], once=0, low=1, help="AP of the rungs; empty: all of the vocabulary.")


@dataclass(frozen=True)
class Weapon(BuildFactor, kind="factor/weapon"):
    """Gives builds other weapons; the first one is the baseline of a sweep.

    Example:
        >>> Weapon(weapons=["splattershot", "splat_roller"]).weapons
        ['splattershot', 'splat_roller']
    """

    weapons: list[str] = field([], once=2, help="Names of the weapons; empty: the most frequent ones.")
    most: int = field(10, low=2, help="How many of the most frequent ones, where none are named.")


@dataclass(frozen=True)
class Families(BuildFactor, kind="factor/families"):
    """Ability families as units: kept as a build shows them, or removed.

    Example:
        >>> Families(families=["swim_speed_up", "run_speed_up"]).families
        ['swim_speed_up', 'run_speed_up']
    """

    families: list[str] = field([], once=0, help="Names of the families; empty: all that the builds show.")
