"""Edits as bit masks, so that hundreds of combinations of a few edits are made at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import N_COLUMNS, Codes, States


@dataclass(frozen=True)
class Move:
    """An edit that works bit by bit: ``codes & keep | put``.

    Attributes:
        keep: Bits that stay as they are ``[16]``.
        put: Bits that are set ``[16]``.
    """

    keep: Codes
    put: Codes

    @classmethod
    def of(cls, edit: Callable[[States], States]) -> Move:
        """Return an edit of states as a move: what it makes of nothing, and of everything."""
        nothing, everything = np.zeros((1, N_COLUMNS), np.uint16), np.full((1, N_COLUMNS), 0xFFFF, np.uint16)
        source = np.zeros(1, np.int64)
        put, both = (edit(States.of(codes, source)).codes[0] for codes in (nothing, everything))
        return cls(both & ~put, put)

    def then(self, other: Move) -> Move:
        """Return this move followed by another one."""
        return Move(self.keep & other.keep, (self.put & other.keep) | other.put)


def setting(edits: Edits, family: Family, level: int | None) -> Move:
    """Return the move that sets a family to a level in AP; None takes it away."""
    return Move.of(lambda states: edits.set_rung(states, family, level))


def carrying(edits: Edits, weapon: int) -> Move:
    """Return the move that gives the weapon of an index."""
    return Move.of(lambda states: edits.swap_weapon(states, weapon))


def unmoved() -> Move:
    """Return the move that changes nothing."""
    return Move(np.full(N_COLUMNS, 0xFFFF, np.uint16), np.zeros(N_COLUMNS, np.uint16))


def combine(moves: Sequence[Move]) -> Move:
    """Return moves one after the other as one."""
    out = unmoved()
    for move in moves:
        out = out.then(move)
    return out


def apply_moves(states: States, moves: Sequence[Move]) -> States:
    """Return states ``[b]`` after each of the moves, ``[moves, b]``."""
    keep = np.stack([move.keep for move in moves])[:, None]
    put = np.stack([move.put for move in moves])[:, None]
    codes: npt.NDArray[np.uint16] = (states.codes[None] & keep) | put
    return states.with_codes(codes)
