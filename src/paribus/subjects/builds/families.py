"""The 26 gear abilities of Splatoon 3: fourteen that stack, and twelve that occupy one main slot."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.errors import ConfigError, nearest

PIECES = ("head", "clothes", "shoes")
"""The three pieces of gear, in canonical order."""

DEFAULT_RUNGS = (3, 6, 12, 15, 21, 29, 38, 51, 57)
"""Ability points at which the default vocabulary has a token."""

MAIN_AP = 10
SUB_AP = 3
N_SUBS = 9


@dataclass(frozen=True)
class Family:
    """One ability.

    Attributes:
        index: Place in the canonical order (main-only by piece, then stacking families by full name).
        name: Full name as in tokens, e.g. ``swim_speed_up``.
        short: The players' abbreviation, e.g. ``SSU``.
        piece: The only piece of gear that can have it; None for a stacking family.
        slot: Place among the stacking families (column of the state codes) or among the main-only ones (bit).
    """

    index: int
    name: str
    short: str
    piece: str | None
    slot: int

    @property
    def main_only(self) -> bool:
        """Whether it exists only as one main of its own piece (10 AP)."""
        return self.piece is not None

    def token(self, ap: int) -> str:
        """Return the name of its token at so much AP (main-only: its own name)."""
        return self.name if self.main_only else f"{self.name}_{ap}"


_MAIN_ONLY = (
    ("comeback", "C", "head"),
    ("last_ditch_effort", "LDE", "head"),
    ("opening_gambit", "OG", "head"),
    ("tenacity", "T", "head"),
    ("ability_doubler", "AD", "clothes"),
    ("haunt", "H", "clothes"),
    ("ninja_squid", "NS", "clothes"),
    ("respawn_punisher", "RP", "clothes"),
    ("thermal_ink", "TI", "clothes"),
    ("drop_roller", "DR", "shoes"),
    ("object_shredder", "OS", "shoes"),
    ("stealth_jump", "SJ", "shoes"),
)
_STACKING = (
    ("ink_recovery_up", "IRU"),
    ("ink_resistance_up", "INKR"),
    ("ink_saver_main", "ISM"),
    ("ink_saver_sub", "ISS"),
    ("intensify_action", "IA"),
    ("quick_respawn", "QR"),
    ("quick_super_jump", "QSJ"),
    ("run_speed_up", "RSU"),
    ("special_charge_up", "SCU"),
    ("special_power_up", "SPU"),
    ("special_saver", "SS"),
    ("sub_power_up", "SubPU"),
    ("sub_resistance_up", "SRU"),
    ("swim_speed_up", "SSU"),
)

MAIN_ONLY = tuple(Family(i, name, short, piece, i) for i, (name, short, piece) in enumerate(_MAIN_ONLY))
STACKING = tuple(Family(len(_MAIN_ONLY) + i, name, short, None, i) for i, (name, short) in enumerate(_STACKING))
FAMILIES = MAIN_ONLY + STACKING
BY_NAME = {family.name: family for family in FAMILIES}
BY_SHORT = {family.short: family for family in FAMILIES}
DOUBLER = BY_NAME["ability_doubler"]


def find_family(name: object) -> Family | None:
    """Return the family of a full name or an abbreviation (``swim_speed_up`` or ``SSU``); None if there is none.

    Example:
        >>> find_family("SSU").name, find_family("SSU_3")
        ('swim_speed_up', None)
    """
    return BY_NAME.get(str(name)) or BY_SHORT.get(str(name))


def family_named(name: str) -> Family:
    """Return the family of a full name or an abbreviation (``swim_speed_up`` or ``SSU``).

    Raises:
        ConfigError: If there is no such family.

    Example:
        >>> family_named("swim_speed_up").main_only
        False
    """
    found = find_family(name)
    if found is None:
        raise ConfigError(f"no ability family {name!r}; {nearest(str(name), BY_NAME, show=26)}")
    return found
