"""The token vocabulary of a set model: which rungs of which families have a token, and under which id."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError, DataError, nearest
from paribus.subjects.builds.families import (
    DEFAULT_RUNGS,
    FAMILIES,
    MAIN_AP,
    MAIN_ONLY,
    STACKING,
    Family,
    family_named,
    find_family,
)

PAD = "<PAD>"
NULL = "<NULL>"
MAX_RUNGS = 16


@dataclass(frozen=True)
class TokenRef:
    """What a token stands for: a family, and the place of its rung (0 for main-only)."""

    family: Family
    rung: int


@dataclass(frozen=True)
class Vocabulary:
    """Token names by id. Nothing is assumed about ids; rungs are those that are there.

    Attributes:
        tokens: Name of every token, by id.

    Example:
        >>> vocabulary = Vocabulary.default()
        >>> vocabulary.family("SSU").name, vocabulary.rungs[:3]
        ('swim_speed_up', (3, 6, 12))
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        """Parse every name.

        Raises:
            DataError: If a name is no ability token, a name comes twice, or there is no padding token.
        """
        if len(set(self.tokens)) != len(self.tokens):
            twice = sorted({name for name in self.tokens if self.tokens.count(name) > 1})
            raise DataError(f"vocabulary: {', '.join(twice[:5])} listed more than once")
        if PAD not in self.tokens:
            raise DataError(f"vocabulary: no {PAD} token among {len(self.tokens)} tokens")
        odd = [name for name in self.tokens if not _is_special(name) and _split(name) is None]
        if odd:
            raise DataError(
                f"vocabulary: {odd[0]!r} is no ability token (and {len(odd) - 1} more); "
                "expected <family>_<rung>, a main-only family, or a name in <>"
            )
        if not self.rungs or len(self.rungs) > MAX_RUNGS:
            raise DataError(f"vocabulary: {len(self.rungs)} different rungs; between 1 and {MAX_RUNGS} can be read")

    @classmethod
    def default(cls, rungs: Sequence[int] = DEFAULT_RUNGS) -> Vocabulary:
        """Return main-only abilities, then every family at every rung, then ``<NULL>`` and ``<PAD>``."""
        names = [family.name for family in MAIN_ONLY]
        names += [f"{family.name}_{rung}" for family in STACKING for rung in rungs]
        return cls((*names, NULL, PAD))

    @classmethod
    def read(cls, path: str | Path) -> Vocabulary:
        """Read ``vocab.json``: an object name -> id (or a list of names).

        Raises:
            DataError: If the file is missing, no JSON, or its ids are not 0..n-1.
        """
        return cls(read_names(path, "vocabulary"))

    @property
    def size(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.tokens)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Id of every token name."""
        return {name: i for i, name in enumerate(self.tokens)}

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return self.ids[PAD]

    @property
    def null_id(self) -> int | None:
        """Id of the token of the empty build, where there is one."""
        return self.ids.get(NULL)

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Ability points that have a token in at least one family, ascending."""
        parsed = (_split(name) for name in self.tokens)
        return tuple(sorted({ref[1] for ref in parsed if ref is not None and ref[1] is not None}))

    @cached_property
    def stacking_ids(self) -> Ints:
        """Token ids ``[14, n_rungs]`` of the stacking families; -1 where the vocabulary has none."""
        return np.array(
            [[self.ids.get(f"{family.name}_{rung}", -1) for rung in self.rungs] for family in STACKING], dtype=np.int64
        )

    @cached_property
    def main_only_ids(self) -> Ints:
        """Token ids ``[12]`` of the main-only abilities; -1 where the vocabulary has none."""
        return np.array([self.ids.get(family.name, -1) for family in MAIN_ONLY], dtype=np.int64)

    @cached_property
    def ability_tokens(self) -> tuple[str, ...]:
        """Ability token names in canonical order (special tokens left out)."""
        order = [family.name for family in MAIN_ONLY]
        order += [f"{family.name}_{rung}" for family in STACKING for rung in self.rungs]
        return tuple(name for name in order if name in self.ids)

    @cached_property
    def ability_ids(self) -> Ints:
        """Ids of the ability tokens in canonical order."""
        return np.array([self.ids[name] for name in self.ability_tokens], np.int64)

    def families(self) -> tuple[Family, ...]:
        """Return the families that have at least one token, in canonical order."""
        return tuple(family for family in FAMILIES if self.has(family))

    def has(self, family: Family) -> bool:
        """Return whether the family has a token at all."""
        if family.main_only:
            return bool(self.main_only_ids[family.slot] >= 0)
        return bool((self.stacking_ids[family.slot] >= 0).any())

    def family(self, name: str) -> Family:
        """Return a family by full name or abbreviation.

        Raises:
            ConfigError: If there is no such family, or the vocabulary has no token of it.
        """
        family = family_named(name)
        if not self.has(family):
            valid = [known.name for known in self.families()]
            raise ConfigError(f"family {family.name!r} has no token in this vocabulary; {nearest(name, valid)}")
        return family

    def family_rungs(self, family: Family) -> tuple[int, ...]:
        """Return the levels above absent: the family's rungs in AP, or ``(10,)`` for a main-only ability."""
        if family.main_only:
            return (MAIN_AP,)
        return tuple(r for r, i in zip(self.rungs, self.stacking_ids[family.slot], strict=True) if i >= 0)

    def rung_index(self, family: Family, rung: int) -> int:
        """Return the place of a rung among the vocabulary's rungs (0 for a main-only ability at 10 AP).

        Raises:
            ConfigError: If the family has no token at that rung; the message names those it has.
        """
        known = self.family_rungs(family)
        if isinstance(rung, bool) or rung not in known:
            names = ", ".join(map(str, known))
            raise ConfigError(f"{family.name} has no rung {rung!r} in this vocabulary; its rungs are {names}")
        return 0 if family.main_only else self.rungs.index(rung)

    def nearest_rung(self, family: Family, rung: int) -> int:
        """Return the family's rung closest to ``rung`` AP (the lower one of two equally close)."""
        return min(self.family_rungs(family), key=lambda known: (abs(known - rung), known))

    def token(self, name: str) -> TokenRef:
        """Return what an ability token stands for; abbreviations work as in :meth:`family` (``SSU_12``).

        Raises:
            ConfigError: If the vocabulary has no such token.
        """
        parsed = _split(name)
        if parsed is not None:
            family = self.family(parsed[0].name)
            return TokenRef(family, 0 if parsed[1] is None else self.rung_index(family, parsed[1]))
        raise ConfigError(f"no ability token {name!r} in the vocabulary; {nearest(name, self.ability_tokens)}")

    def token_name(self, ref: TokenRef) -> str:
        """Return the name of a token."""
        return ref.family.token(self.level(ref))

    def level(self, ref: TokenRef) -> int:
        """Return the AP of a token (main-only: 10)."""
        return MAIN_AP if ref.family.main_only else self.rungs[ref.rung]


def _is_special(name: str) -> bool:
    return name.startswith("<") and name.endswith(">")


def _split(name: str) -> tuple[Family, int | None] | None:
    """Split a token name into family and AP (None for main-only); None if it is no ability token."""
    found = find_family(name)
    if found is not None:
        return (found, None) if found.main_only else None
    stem, _, rung = str(name).rpartition("_")
    found = find_family(stem)
    if found is None or found.main_only or not re.fullmatch(r"[1-9]\d{0,2}", rung):
        return None
    return found, int(rung)


def read_names(path: str | Path, what: str) -> tuple[str, ...]:
    """Read names by id from a JSON object name -> id, or from a JSON list.

    Raises:
        DataError: If the file is missing, no JSON, or its ids are not 0..n-1.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{what}: no file {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{what}: {path} cannot be read as JSON ({error})") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return tuple(content)
    if not isinstance(content, dict) or not all(isinstance(i, int) for i in content.values()):
        raise DataError(f"{what}: {path} must be an object of name -> id")
    if sorted(content.values()) != list(range(len(content))):
        raise DataError(f"{what}: the ids in {path} are not 0 to {len(content) - 1}, each once")
    return tuple(sorted(content, key=lambda name: int(content[name])))
