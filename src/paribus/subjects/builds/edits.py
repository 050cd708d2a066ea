"""Edits of token sets, for whole arrays of states at once. Every edit returns new states; none changes its input.

Setting a family to a rung removes all of its tokens and adds the closed set of the new rung; all other tokens stay as
they are. Whether the result is legal is for the constraints to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError
from paribus.subjects.builds.families import MAIN_AP, MAIN_ONLY, STACKING, Family
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, N_STACKING, WEAPON_COLUMN, Codes, States, stack
from paribus.subjects.builds.tokens import capstones, closed_mask
from paribus.subjects.builds.vocabulary import TokenRef, Vocabulary
from paribus.subjects.builds.weapons import Weapons

Level = int | bool | None
"""A level of a family: None, 0 or False is absent; otherwise AP (a main-only ability: 10 or True)."""


@dataclass(frozen=True)
class Edits:
    """The edits of one vocabulary; families and tokens are given by name (or :class:`Family`).

    Attributes:
        vocabulary: Which tokens there are.
        weapons: Which weapons there are.
    """

    vocabulary: Vocabulary
    weapons: Weapons

    def levels(self, family: str | Family) -> tuple[int, ...]:
        """Return the levels of a family in this vocabulary above absent: rungs in AP, or ``(10,)``."""
        return self.vocabulary.family_rungs(self._family(family))

    def set_rung(self, states: States, family: str | Family, level: Level) -> States:
        """Set one family to a level; a main-only ability displaces another one of its piece.

        Raises:
            ConfigError: If the vocabulary has no such family or rung.
        """
        found = self._family(family)
        codes = states.codes.copy()
        if level is None or level is False or level == 0:
            if found.main_only:
                codes[..., MAIN_ONLY_COLUMN] &= _not(1 << found.slot)
            else:
                codes[..., found.slot] = 0
        elif found.main_only:
            self.vocabulary.rung_index(found, MAIN_AP if level is True else level)
            codes[..., MAIN_ONLY_COLUMN] &= _not(_piece_mask(found))
            codes[..., MAIN_ONLY_COLUMN] |= np.uint16(1 << found.slot)
        else:
            codes[..., found.slot] = closed_mask(self.vocabulary, found, self.vocabulary.rung_index(found, level))
        return replace(states, codes=codes, checked=False)

    def sweep(self, states: States, family: str | Family, levels: Sequence[Level]) -> States:
        """Return the states at every level of a family, ``[levels, ...]``."""
        return stack([self.set_rung(states, family, level) for level in levels])

    def displaces(self, states: States, ability: str | Family) -> Bools:
        """Return where adding a main-only ability takes another one of its piece away, ``[...]``."""
        found = self._family(ability)
        if not found.main_only:
            return np.zeros(states.shape, bool)
        others = np.uint16(_piece_mask(found) & ~(1 << found.slot))
        return np.asarray((states.codes[..., MAIN_ONLY_COLUMN] & others) != 0)

    def remove_units(self, states: States, families: Sequence[str | Family]) -> States:
        """Take away all tokens of the families."""
        drop = np.zeros((1,) * len(states.shape) + (len(MAIN_ONLY) + N_STACKING,), bool)
        for family in families:
            drop[..., self._family(family).index] = True
        return self.remove_where(states, drop)

    def remove_where(self, states: States, drop: Bools) -> States:
        """Take away, in each state, the families marked in ``drop`` ``[..., 26]`` (canonical order; broadcasts)."""
        shape = np.broadcast_shapes(states.shape, drop.shape[:-1])
        codes = np.broadcast_to(states.codes, (*shape, states.codes.shape[-1])).copy()
        n_main = len(MAIN_ONLY)
        codes[..., :N_STACKING] *= ~np.broadcast_to(drop[..., n_main:], (*shape, N_STACKING))
        bits = (drop[..., :n_main] * (1 << np.arange(n_main))).sum(-1).astype(np.uint16)
        codes[..., MAIN_ONLY_COLUMN] &= ~bits
        return states.with_codes(codes)

    def swap_weapon(self, states: States, weapon: int | str | Ints) -> States:
        """Give every state a weapon: a name, an index, or an array of indices that broadcasts.

        Raises:
            ConfigError: If there is no such weapon.
        """
        index = self.weapons.index(weapon) if isinstance(weapon, str) else np.asarray(weapon)
        if np.any(np.asarray(index) < 0) or np.any(np.asarray(index) >= self.weapons.size):
            raise ConfigError(f"weapon index {weapon!r} outside 0 to {self.weapons.size - 1}")
        shape = np.broadcast_shapes(states.shape, np.shape(index))
        codes = np.broadcast_to(states.codes, (*shape, states.codes.shape[-1])).copy()
        codes[..., WEAPON_COLUMN] = index
        return states.with_codes(codes)

    def insert_tokens(self, states: States, tokens: Sequence[str]) -> States:
        """Set the families of the tokens so that each token is its family's capstone (closed, displacing).

        Raises:
            ConfigError: If a token is unknown, or two of them are main-only abilities of one piece.
        """
        for family, level in self.requested(tokens):
            states = self.set_rung(states, family, level)
        return states

    def requested(self, tokens: Sequence[str]) -> list[tuple[Family, int]]:
        """Return family and highest level in AP asked of it, for tokens that are set together.

        Raises:
            ConfigError: If a token is unknown, or two of them are main-only abilities of one piece.
        """
        wanted: dict[Family, int] = {}
        pieces: dict[str, Family] = {}
        for name in tokens:
            ref = self.vocabulary.token(name)
            wanted[ref.family] = max(self.vocabulary.level(ref), wanted.get(ref.family, 0))
            if ref.family.piece is not None:
                other = pieces.setdefault(ref.family.piece, ref.family)
                if other != ref.family:
                    raise ConfigError(
                        f"{other.name} and {ref.family.name} both need the main slot of the {ref.family.piece} piece; "
                        "ask for one of them"
                    )
        return list(wanted.items())

    def add_tokens(self, states: States, tokens: Sequence[str]) -> States:
        """Add single tokens as they are, closing and displacing nothing.

        Where a family is left with another capstone than a token asked for, ``clash`` is set; the constraint
        ``one_rung_per_family`` acts on it.
        """
        codes, clash = states.codes.copy(), states.clash.copy()
        for name in tokens:
            ref = self.vocabulary.token(name)
            column, bit = _place(ref)
            if not ref.family.main_only:
                before = codes[..., column]
                clash |= (before != 0) & (before != closed_mask(self.vocabulary, ref.family, ref.rung))
            codes[..., column] |= np.uint16(1 << bit)
        return replace(states, codes=codes, clash=clash, checked=False)

    def remove_tokens(self, states: States, tokens: Sequence[str]) -> States:
        """Take single tokens away and leave the others of their families as they are."""
        codes = states.codes.copy()
        for name in tokens:
            column, bit = _place(self.vocabulary.token(name))
            codes[..., column] &= _not(1 << bit)
        return replace(states, codes=codes, checked=False)

    def close_context(self, states: States) -> States:
        """Add, for every family, all tokens below its highest shown one."""
        table = np.array(
            [[0, *(closed_mask(self.vocabulary, f, r) for r in range(len(self.vocabulary.rungs)))] for f in STACKING],
            np.uint16,
        )
        codes = states.codes.copy()
        codes[..., :N_STACKING] = table[np.arange(N_STACKING), capstones(codes).astype(np.intp) + 1]
        return replace(states, codes=codes, checked=False)

    def highest_rung(self, states: States, family: str | Family) -> Ints:
        """Return the AP of the family's highest shown token (main-only: 10), 0 where absent, ``[...]``."""
        found = self._family(family)
        if found.main_only:
            return (states.codes[..., MAIN_ONLY_COLUMN] >> found.slot & 1).astype(np.int64) * MAIN_AP
        ap = np.array([*self.vocabulary.rungs, 0], np.int64)
        return np.asarray(ap[capstones(states.codes[..., :N_STACKING])[..., found.slot]])

    def holds(self, states: States, token: str) -> Bools:
        """Return where a token is there, ``[...]``."""
        column, bit = _place(self.vocabulary.token(token))
        return np.asarray((states.codes[..., column] >> bit & 1).astype(bool))

    def families_present(self, states: States) -> Bools:
        """Return which families show a token, ``[..., 26]`` in canonical order."""
        return families_present(states.codes)

    def _family(self, family: str | Family) -> Family:
        return family if isinstance(family, Family) else self.vocabulary.family(family)


def families_present(codes: Codes) -> Bools:
    """Return which families show a token in codes ``[..., 16]``: ``[..., 26]`` in canonical order.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> from paribus.subjects.builds.tokens import encode_build
        >>> vocabulary = Vocabulary.default()
        >>> int(families_present(encode_build({"swim_speed_up": 12, "comeback": 10}, vocabulary, 0)).sum())
        2
    """
    main = (codes[..., MAIN_ONLY_COLUMN, None] >> np.arange(len(MAIN_ONLY), dtype=np.uint16) & 1).astype(bool)
    return np.concatenate([main, codes[..., :N_STACKING] != 0], axis=-1)


def _piece_mask(family: Family) -> int:
    return sum(1 << other.slot for other in MAIN_ONLY if other.piece == family.piece)


def _place(ref: TokenRef) -> tuple[int, int]:
    return (MAIN_ONLY_COLUMN, ref.family.slot) if ref.family.main_only else (ref.family.slot, ref.rung)


def _not(mask: int) -> np.uint16:
    return np.uint16(~mask & 0xFFFF)
