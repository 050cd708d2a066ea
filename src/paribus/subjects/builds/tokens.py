"""From ability points to cumulative tokens and back, and from state codes to the id arrays a model reads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Ints
from paribus.errors import DataError
from paribus.subjects.builds.families import MAIN_AP, MAIN_ONLY, STACKING, Family, family_named
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, N_COLUMNS, N_STACKING, WEAPON_COLUMN, Codes
from paribus.subjects.builds.vocabulary import Vocabulary


def closed_mask(vocabulary: Vocabulary, family: Family, rung: int) -> int:
    """Return the bit mask of all tokens of a stacking family up to the rung at place ``rung`` (-1: none)."""
    there = vocabulary.stacking_ids[family.slot] >= 0
    return sum(1 << i for i in range(rung + 1) if there[i])


def encode_build(points: Mapping[str, float | bool], vocabulary: Vocabulary, weapon: int) -> Codes:
    """Tokenise one build: family -> AP (main-only: any positive number or true) to codes ``[16]``.

    A family reaches every rung that is not above its AP; below the lowest rung nothing is emitted.

    Raises:
        ConfigError: If a family is unknown.
    """
    codes = np.zeros(N_COLUMNS, np.uint16)
    codes[WEAPON_COLUMN] = weapon
    for name, ap in points.items():
        family = family_named(name)
        if family.main_only:
            if ap and vocabulary.has(family):
                codes[MAIN_ONLY_COLUMN] |= np.uint16(1 << family.slot)
            continue
        codes[family.slot] = closed_mask(vocabulary, family, bisect_right(vocabulary.rungs, float(ap) + 1e-6) - 1)
    return codes


def decode_build(codes: Codes, vocabulary: Vocabulary) -> dict[str, int]:
    """Return family -> AP of the highest token shown, in canonical order (main-only: 10)."""
    points = {f.name: MAIN_AP for f in MAIN_ONLY if int(codes[MAIN_ONLY_COLUMN]) >> f.slot & 1}
    for family in STACKING:
        mask = int(codes[family.slot])
        if mask:
            points[family.name] = vocabulary.rungs[mask.bit_length() - 1]
    return points


def token_names(codes: Codes, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the names of the tokens of one state, in canonical order."""
    names = [f.name for f in MAIN_ONLY if int(codes[MAIN_ONLY_COLUMN]) >> f.slot & 1]
    for family in STACKING:
        mask = int(codes[family.slot])
        names += [f"{family.name}_{rung}" for i, rung in enumerate(vocabulary.rungs) if mask >> i & 1]
    return tuple(names)


def encode_tokens(names: Iterable[str], vocabulary: Vocabulary, weapon: int) -> Codes:
    """Return the codes ``[16]`` of a token set given by names, as it is (not closed).

    Raises:
        ConfigError: If the vocabulary has no such token.
    """
    codes = np.zeros(N_COLUMNS, np.uint16)
    codes[WEAPON_COLUMN] = weapon
    for name in names:
        ref = vocabulary.token(name)
        column = MAIN_ONLY_COLUMN if ref.family.main_only else ref.family.slot
        bit = ref.family.slot if ref.family.main_only else ref.rung
        codes[column] |= np.uint16(1 << bit)
    return codes


def encode_ids(rows: Ints, offsets: Ints, weapons: Ints, vocabulary: Vocabulary) -> Codes:
    """Return the codes ``[n, 16]`` of many token sets given by ids.

    Args:
        rows: All ids, one set after the other.
        offsets: ``[n + 1]``: where each set begins; ``<PAD>`` and ``<NULL>`` are skipped.
        weapons: Weapon index of each set.
        vocabulary: The vocabulary the ids belong to.

    Raises:
        DataError: If an id is not an ability token of the vocabulary.
    """
    column, bit = _places(vocabulary)
    if len(rows) and (rows.min() < 0 or rows.max() >= vocabulary.size):
        bad = int(rows[(rows < 0) | (rows >= vocabulary.size)][0])
        raise DataError(f"token id {bad} lies outside the vocabulary of {vocabulary.size} tokens")
    codes = np.zeros((len(offsets) - 1, N_COLUMNS), np.uint16)
    codes[:, WEAPON_COLUMN] = weapons
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    real = column[rows] >= 0
    np.bitwise_or.at(codes, (row[real], column[rows[real]]), (1 << bit[rows[real]]).astype(np.uint16))
    return codes


@lru_cache(maxsize=16)
def _places(vocabulary: Vocabulary) -> tuple[Ints, Ints]:
    """Column and bit of every token id; column -1 for special tokens."""
    column = np.full(vocabulary.size, -1, np.int64)
    bit = np.zeros(vocabulary.size, np.int64)
    for slot in range(N_STACKING):
        for place, token in enumerate(vocabulary.stacking_ids[slot]):
            if token >= 0:
                column[token], bit[token] = slot, place
    for slot, token in enumerate(vocabulary.main_only_ids):
        if token >= 0:
            column[token], bit[token] = MAIN_ONLY_COLUMN, slot
    return column, bit


@lru_cache(maxsize=16)
def _canonical(vocabulary: Vocabulary) -> tuple[Ints, Ints, Ints]:
    """Ids, columns and bits of all ability tokens in canonical order."""
    ids = vocabulary.ability_ids
    column, bit = _places(vocabulary)
    return ids, column[ids], bit[ids]


def presence(codes: Codes, vocabulary: Vocabulary) -> Bools:
    """Return which ability tokens are there, ``[n, n_ability_tokens]`` in ``vocabulary.ability_tokens`` order."""
    _, column, bit = _canonical(vocabulary)
    return np.asarray((codes[..., column] & (1 << bit).astype(np.uint16)) != 0)


def capstones(codes: Codes) -> npt.NDArray[np.int8]:
    """Return the place of the highest shown rung of every stacking family, ``[..., 14]``; -1 where absent.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> places = capstones(encode_build({"swim_speed_up": 12}, Vocabulary.default(), 0))
        >>> places[places >= 0].tolist()
        [2]
    """
    return _highest_bit()[codes[..., :N_STACKING]]


@lru_cache(maxsize=1)
def _highest_bit() -> npt.NDArray[np.int8]:
    table = np.full(1 << 16, -1, np.int8)
    for bit in range(16):
        table[1 << bit : 1 << (bit + 1)] = bit
    return table


def n_tokens(codes: Codes) -> Ints:
    """Return the number of ability tokens of each state, ``[...]``.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> int(n_tokens(encode_build({"swim_speed_up": 12}, Vocabulary.default(), 0)))
        3
    """
    return np.asarray(np.bitwise_count(codes[..., :WEAPON_COLUMN]).sum(-1, dtype=np.int64))


def padded_ids(codes: Codes, vocabulary: Vocabulary) -> tuple[Ints, Bools]:
    """Return what a set model reads: token ids ``[n, L]`` in canonical order and the padding mask (True = pad).

    An empty state is ``[<NULL>]`` where the vocabulary has that token, else all padding.
    """
    ids, _, _ = _canonical(vocabulary)
    lengths = n_tokens(codes)
    row = np.repeat(np.arange(len(codes)), lengths)
    token = np.flatnonzero(presence(codes, vocabulary)) - row * len(ids)
    longest = max(1, int(lengths.max(initial=0)))
    out = np.full((len(codes), longest), vocabulary.pad_id, np.int64)
    starts = np.cumsum(lengths) - lengths
    out[row, np.arange(len(row)) - starts[row]] = ids[token]
    pad = np.arange(longest)[None, :] >= lengths[:, None]
    if vocabulary.null_id is not None:
        empty = lengths == 0
        out[empty, 0] = vocabulary.null_id
        pad[empty, 0] = False
    return out, pad
