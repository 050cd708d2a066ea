"""Which states are legal: the exact test of feasibility, for whole arrays of states.

A state asks for at least its rungs. With ``m_f`` mains on family ``f`` (mains that main-only abilities leave free),
``s_f = max(0, ceil((ap_f - 10 m_f) / 3))`` subs are needed; the state is feasible if some choice of mains needs at most
nine. Ability Doubler makes the three clothes subs count 6 AP each; with it, a double sub may stand for two units.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Ints
from paribus.subjects.builds.families import DOUBLER, MAIN_AP, MAIN_ONLY, N_SUBS, PIECES, SUB_AP
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, Codes
from paribus.subjects.builds.tokens import capstones
from paribus.subjects.builds.vocabulary import Vocabulary

N_MAINS = len(PIECES)
N_DOUBLE_SUBS = 3


def _units(ap: int) -> int:
    return max(0, -(-ap // SUB_AP))


@lru_cache(maxsize=1)
def _piece_table() -> tuple[Bools, npt.NDArray[np.int8]]:
    """For each mask of main-only abilities: whether it is legal, and the mains it leaves free."""
    masks = np.arange(1 << len(MAIN_ONLY))
    counts = [
        np.bitwise_count(masks & sum(1 << family.slot for family in MAIN_ONLY if family.piece == piece))
        for piece in PIECES
    ]
    legal = np.logical_and.reduce([count <= 1 for count in counts])
    return legal, np.maximum(0, N_MAINS - np.bitwise_count(masks).astype(np.int8)).astype(np.int8)


def total_points(codes: Codes, vocabulary: Vocabulary) -> Ints:
    """Return the AP a state asks for at least: its capstones plus 10 for each main-only ability, ``[...]``."""
    ap = np.array([*vocabulary.rungs, 0], np.int64)  # place -1 is absent
    mains = np.bitwise_count(codes[..., MAIN_ONLY_COLUMN]).astype(np.int64)
    return np.asarray(ap[capstones(codes)].sum(-1) + MAIN_AP * mains)


def legal(codes: Codes, vocabulary: Vocabulary) -> Bools:
    """Return which states ``[..., 16]`` are legal: one main-only ability per piece, and feasible."""
    shape = codes.shape[:-1]
    flat = codes.reshape(-1, codes.shape[-1])
    pieces, free = _piece_table()
    result = pieces[flat[:, MAIN_ONLY_COLUMN]].copy()
    if not len(flat):
        return result.reshape(shape)
    mains = free[flat[:, MAIN_ONLY_COLUMN]]
    doubled = (flat[:, MAIN_ONLY_COLUMN] >> DOUBLER.slot & 1).astype(bool)
    places = capstones(flat)
    units = _unit_table(vocabulary.rungs)
    for rows, n_doubles in ((~doubled, 0), (doubled, N_DOUBLE_SUBS)):
        if rows.any():
            result[rows] &= _least_singles(places[rows], mains[rows], units, n_doubles) <= N_SUBS - n_doubles
    return result.reshape(shape)


@lru_cache(maxsize=16)
def _unit_table(rungs: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Subs that a rung still needs after 0 to 3 mains, ``[n_rungs + 1, 4]``; the last row is absent."""
    table = [[_units(ap - MAIN_AP * m) for m in range(N_MAINS + 1)] for ap in (*rungs, 0)]
    return np.array(table, np.int8)


def _least_singles(
    places: npt.NDArray[np.int8], mains: npt.NDArray[np.int8], units: npt.NDArray[np.int8], n_doubles: int
) -> npt.NDArray[np.int8]:
    """Fewest single subs per row, beside ``n_doubles`` double ones, by dynamic programming over the families.

    ``best[m][d]`` uses at most ``m`` mains and ``d`` doubles.
    """
    doubles = range(n_doubles + 1)
    best = [[np.zeros(len(places), np.int8) for _ in doubles] for _ in range(N_MAINS + 1)]
    for slot in range(places.shape[1]):
        present = np.flatnonzero(places[:, slot] >= 0)
        if not len(present):
            continue
        need = units[places[present, slot]].T
        left = [[np.maximum(0, of_mains - 2 * d) if d else of_mains for d in doubles] for of_mains in need]
        old = [[b[present] for b in row] for row in best]
        for m in range(N_MAINS + 1):
            for d in doubles:
                choices = [old[m - k][d - e] + left[k][e] for k in range(m + 1) for e in range(d + 1)]
                best[m][d][present] = np.minimum(np.minimum.reduce(choices), 100)
    return np.choose(mains.astype(np.intp), [row[n_doubles] for row in best])
