"""Rungs of the older format: those that exist, or the nearest one where the spec asks for that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from paribus.errors import ConfigError
from paribus.subjects.builds.families import MAIN_AP, find_family

LISTS: Mapping[str, tuple[str, ...]] = {
    "rungs": ("family", "primary_family"),
    "rungs_x": ("family_x",),
    "rungs_y": ("family_y",),
}
"""Variables that hold rungs, and the variables that hold their family."""
SINGLE: Mapping[str, tuple[str, ...]] = {"rung": (), "condition_rung": ("condition_family",)}
TOKENS = ("stable_tokens", "candidates", "modulator")
_TOKEN = re.compile(r"(.+)_([0-9]{1,4})")


class Rungs:
    """Checks and maps the rungs of one spec.

    Attributes:
        notes: What was mapped, one sentence each.
    """

    def __init__(self, known: Sequence[int], *, map_to_nearest: bool) -> None:
        """Take the rungs that exist, and whether others are mapped."""
        self.known, self.map_to_nearest = tuple(known), map_to_nearest
        self.notes: list[str] = []

    def apply(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the variables with rungs that exist; 0 in a list stands for the absent family.

        Raises:
            ConfigError: If a rung does not exist and none is to be mapped; the message names those that do.
        """
        out = dict(variables)
        for name, families in LISTS.items():
            if isinstance(out.get(name), list):
                out |= self._list(name, out[name], _valid(out, families, self.known), out)
        for name, families in SINGLE.items():
            value = out.get(name)
            if value is not None and _whole(value) and not (name == "condition_rung" and value == 0):
                out[name] = self._one(f"variables.{name}", value, _valid(out, families, self.known))
        for name in TOKENS:
            value = out.get(name)
            if isinstance(value, str):
                out[name] = self._token(name, value)
            elif isinstance(value, list):
                out[name] = [self._token(name, each) if isinstance(each, str) else each for each in value]
        return out

    def _list(self, name: str, values: list[Any], known: tuple[int, ...], variables: dict[str, Any]) -> dict[str, Any]:
        kept = [value for value in values if not (_whole(value) and value == 0)]
        changed: dict[str, Any] = {}
        if len(kept) < len(values):
            if variables.get("include_absent") is False:
                raise ConfigError(f"variables.{name}: holds 0, the absent family, but include_absent is false")
            if "family" in variables and name == "rungs":
                changed["include_absent"] = True
            self.notes.append(f"variables.{name}: 0 is the absent family, which is always measured")
        mapped = [self._one(f"variables.{name}", v, known) if _whole(v) else v for v in kept]
        return {**changed, name: list(dict.fromkeys(mapped)) if all(map(_whole, mapped)) else mapped}

    def _one(self, where: str, rung: int, known: tuple[int, ...]) -> int:
        if rung in known:
            return rung
        if not self.map_to_nearest:
            raise ConfigError(
                f"{where}: there is no rung {rung}; the rungs are {', '.join(map(str, known))} "
                '(or say "rungs": "nearest" to map others)'
            )
        found = min(known, key=lambda each: (abs(each - rung), each))
        self.notes.append(f"{where}: there is no rung {rung}, {found} is taken instead")
        return found

    def _token(self, name: str, token: str) -> str:
        match = _TOKEN.fullmatch(token)
        family = match and find_family(match[1])
        if not match or not family or family.main_only:
            return token
        return f"{match[1]}_{self._one(f'variables.{name}', int(match[2]), self.known)}"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _valid(variables: Mapping[str, Any], families: tuple[str, ...], known: tuple[int, ...]) -> tuple[int, ...]:
    for name in families:
        family = find_family(variables.get(name))
        if family is not None and family.main_only:
            return (MAIN_AP,)
    return known
