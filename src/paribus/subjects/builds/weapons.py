"""Weapons and their kits: the reference table, and the weapon vocabulary of a model."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError, DataError, nearest
from paribus.subjects.builds.vocabulary import read_names

UNKNOWN = "unknown"
RESKINS = {
    45: 40, 46: 40, 47: 41, 215: 210, 1015: 1010, 1115: 1110, 2015: 2010, 3005: 3000, 4015: 4010, 5015: 5010,
    6005: 6000, 7015: 7010, 8005: 8000,
}  # fmt: skip
"""Game ids of weapons that differ from a reference weapon in looks only."""
RESKIN_KEYS = {
    "heroshooter_replica": 40, "order_shooter_replica": 40, "octoshooter_replica": 41, "order_blaster_replica": 210,
    "order_roller_replica": 1010, "order_brush_replica": 1110, "order_charger_replica": 2010,
    "order_slosher_replica": 3000, "order_spinner_replica": 4010, "order_maneuver_replica": 5010,
    "order_shelter_replica": 6000, "order_stringer_replica": 7010, "order_wiper_replica": 8000,
}  # fmt: skip
"""stat.ink keys of such weapons."""


@dataclass(frozen=True)
class Weapon:
    """One weapon with its kit.

    Attributes:
        id: Game id; None where the vocabulary's key holds none.
        name: Name in the game.
        sub: Sub weapon.
        special: Special weapon.
        kind: Weapon class, e.g. ``Shooter``.
        key: Key in stat.ink's exports.
    """

    id: int | None
    name: str
    sub: str
    special: str
    kind: str
    key: str


def reference_id(game_id: int) -> int:
    """Return the id of the reference weapon of a game id (reskins are merged)."""
    return RESKINS.get(game_id, game_id)


@cache
def reference_weapons() -> Mapping[int, Weapon]:
    """Return the 130 reference weapons by game id.

    Example:
        >>> len(reference_weapons()) > 100
        True
    """
    text = files("paribus.subjects.builds").joinpath("weapons.csv").read_text(encoding="utf-8")
    return _table(io.StringIO(text), "weapons.csv")


def read_kits(path: str | Path) -> Mapping[int, Weapon]:
    """Read a user's kit table: CSV with ``id, name, sub, special`` and optionally ``class, key``.

    Raises:
        DataError: If the file is missing or lacks a column.
    """
    try:
        return _table(io.StringIO(Path(path).read_text(encoding="utf-8-sig")), str(path))
    except FileNotFoundError:
        raise DataError(f"kits: no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"kits: {path} cannot be read ({error})") from None


def _table(lines: Iterable[str], where: str) -> dict[int, Weapon]:
    reader = csv.DictReader(lines)
    missing = {"id", "name", "sub", "special"} - set(reader.fieldnames or ())
    if missing:
        raise DataError(f"kits: {where} lacks the column(s) {', '.join(sorted(missing))}")
    table = {}
    for row in reader:
        if not (row["id"] or "").strip().isdigit():
            raise DataError(f"kits: {where} line {reader.line_num}: id must be a whole number, got {row['id']!r}")
        known = int(row["id"])
        table[known] = Weapon(
            known, row["name"], row["sub"], row["special"], row.get("class") or UNKNOWN, row.get("key") or ""
        )
    return table


@dataclass(frozen=True)
class Weapons:
    """The weapon vocabulary of a model: weapons by index.

    Attributes:
        names: Token of every weapon by index (``weapon_id_<game id>``).
        kits: The user's kit table, which overrides the reference one.

    Example:
        >>> Weapons(("weapon_id_0", "weapon_id_1")).size
        2
    """

    names: tuple[str, ...]
    kits: tuple[Weapon, ...] = ()

    @classmethod
    def default(cls) -> Weapons:
        """Return the 130 reference weapons in the order of their game ids."""
        return cls(tuple(f"weapon_id_{i}" for i in sorted(reference_weapons())))

    @classmethod
    def read(cls, path: str | Path, kits: str | Path | None = None) -> Weapons:
        """Read ``weapon_vocab.json``, and a kit table if there is one."""
        own = tuple(read_kits(kits).values()) if kits is not None else ()
        return cls(read_names(path, "weapon vocabulary"), own)

    @property
    def size(self) -> int:
        """Number of weapons."""
        return len(self.names)

    @cached_property
    def weapons(self) -> tuple[Weapon, ...]:
        """The weapon at every index; kit ``unknown`` where no table knows it."""
        table = {**reference_weapons(), **{kit.id: kit for kit in self.kits if kit.id is not None}}
        found = []
        for name in self.names:
            game_id = _game_id(name)
            known = table.get(reference_id(game_id)) if game_id is not None else None
            found.append(known or Weapon(game_id, name, UNKNOWN, UNKNOWN, UNKNOWN, ""))
        return tuple(found)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Tokens of the weapons whose kit no table knows."""
        return tuple(n for n, w in zip(self.names, self.weapons, strict=True) if w.sub == UNKNOWN)

    def labels(self) -> tuple[str, ...]:
        """Return the name to show for every index."""
        return tuple(weapon.name for weapon in self.weapons)

    @cached_property
    def _lookup(self) -> Mapping[str, int]:
        """Every way to name a weapon -> index; earlier indices win."""
        table: dict[str, int] = {}
        for i, (token, weapon) in enumerate(zip(self.names, self.weapons, strict=True)):
            for name in (
                token,
                weapon.name,
                weapon.name.lower(),
                weapon.key,
                "" if weapon.id is None else str(weapon.id),
            ):
                if name:
                    table.setdefault(name, i)
        for reskin, base in RESKINS.items():
            if str(base) in table:
                table.setdefault(str(reskin), table[str(base)])
                table.setdefault(f"weapon_id_{reskin}", table[str(base)])
        for key, base in RESKIN_KEYS.items():
            if str(base) in table:
                table.setdefault(key, table[str(base)])
        return table

    def find(self, name: str | int) -> int | None:
        """Return the index of a weapon by token, game name, game id or stat.ink key; None if it is not here."""
        return self._lookup.get(str(name), self._lookup.get(str(name).lower()))

    def index(self, name: str | int) -> int:
        """Return the index of a weapon by token, game name, game id or stat.ink key.

        Raises:
            ConfigError: If the vocabulary has no such weapon.
        """
        found = self.find(name)
        if found is None:
            raise ConfigError(f"no weapon {name!r} in this vocabulary; {nearest(str(name), self.labels())}")
        return found

    def codes(self, of: str) -> tuple[Ints, tuple[str, ...]]:
        """Return each weapon's group and the groups' names: ``of`` is ``sub``, ``special``, ``kind`` or ``kit``."""
        if of == "kit":
            values = [f"{weapon.sub} / {weapon.special}" for weapon in self.weapons]
        else:
            values = [str(getattr(weapon, of)) for weapon in self.weapons]
        names, inverse = np.unique(np.array(values), return_inverse=True)
        return inverse.astype(np.int64), tuple(names.tolist())


def _game_id(token: str) -> int | None:
    match = re.fullmatch(r"(?:weapon_id_)?(\d{1,6})", token)
    return int(match.group(1)) if match else None
