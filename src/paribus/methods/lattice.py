"""All subsets of a few players at once: minimal sets, robust sets, Moebius transform, Shapley interactions.

A set function is an array whose first axis runs over all ``2 ** k`` subsets; subset ``s`` holds player ``i`` where bit
``i`` of ``s`` is set. Every transform goes over the bits one after the other, on whole halves of the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Floats

AnyArray = TypeVar("AnyArray", bound=npt.NDArray[Any])


def n_players(values: npt.NDArray[Any]) -> int:
    """Return ``k`` of an array whose first axis has ``2 ** k`` entries.

    Raises:
        ValueError: If it has another length.

    Example:
        >>> n_players(np.zeros((8, 2)))
        3
    """
    k = len(values).bit_length() - 1
    if len(values) != 1 << k:
        raise ValueError(f"a set function has 2 ** k entries, got {len(values)}")
    return k


def halves(values: AnyArray, player: int) -> tuple[AnyArray, AnyArray]:
    """Return views of the entries without and with a player, in matching order.

    Example:
        >>> without, with_it = halves(np.arange(4.0), 0)
        >>> without.tolist(), with_it.tolist()
        ([[0.0], [2.0]], [[1.0], [3.0]])
    """
    split = values.reshape(len(values) >> (player + 1), 2, 1 << player, *values.shape[1:])
    return split[:, 0], split[:, 1]  # type: ignore[return-value]


def minimal_sets(qualifies: Bools) -> Bools:
    """Return which sets qualify while none of their proper subsets does, ``[2 ** k, ...]``.

    Args:
        qualifies: ``[2 ** k, ...]``, C-contiguous; sets that were not measured count as not qualifying.

    Example:
        >>> minimal_sets(np.array([False, True, False, True])).tolist()
        [False, True, False, False]
    """
    reached = qualifies.copy()
    for player in range(n_players(qualifies)):
        without, with_it = halves(reached, player)
        with_it |= without
    below = np.zeros_like(qualifies)
    for player in range(n_players(qualifies)):
        _, with_it = halves(below, player)
        with_it |= halves(reached, player)[0]
    return qualifies & ~below


def robust_sets(qualifies: Bools, known: Bools) -> Bools:
    """Return which sets qualify together with all of their supersets, ``[2 ** k, ...]``.

    Args:
        qualifies: ``[2 ** k, ...]``.
        known: Which sets were measured; the others neither help nor hinder.
    """
    holds = qualifies | ~known
    for player in range(n_players(holds)):
        without, with_it = halves(holds, player)
        without &= with_it
    return holds & qualifies


def moebius(values: Floats) -> Floats:
    """Return the Moebius transform ``m(S) = sum over T in S of (-1)^(|S|-|T|) v(T)``, ``[2 ** k, ...]``.

    Example:
        >>> moebius(np.array([0.0, 1.0, 1.0, 3.0])).tolist()
        [0.0, 1.0, 1.0, 1.0]
    """
    out = np.array(values, dtype=np.float64, order="C")
    for player in range(n_players(out)):
        without, with_it = halves(out, player)
        with_it -= without
    return out


def interaction_weights(k: int, sets: Sequence[Sequence[int]], *, absent: Sequence[int] | None = None) -> Floats:
    """Return weights ``[sets, 2 ** k]`` that make Shapley interaction indices of a set function's values.

    The index of a set ``T`` is ``sum over S containing T of m(S) / (|S| - |T| + 1)``, with ``m`` the Moebius transform
    of the values (Grabisch and Roubens 1999, Int. J. of Game Theory 28, the interaction index in terms of the Moebius
    representation); the transform is applied to the weights instead, so that they act on the values themselves.

    Args:
        k: Number of players.
        sets: The players of each index: one for a Shapley value, two for a pair, three for a triple.
        absent: For each set a player that is held absent (-1: none).

    Example:
        >>> interaction_weights(2, [[0, 1]]).tolist()
        [[1.0, -1.0, -1.0, 1.0]]
    """
    subsets = np.arange(1 << k)
    sizes = np.bitwise_count(subsets.astype(np.uint32)).astype(np.int64)
    out = np.zeros((1 << k, len(sets)))
    for row, members in enumerate(sets):
        mask = sum(1 << member for member in members)
        holds = (subsets & mask) == mask
        if absent is not None and absent[row] >= 0:
            holds &= (subsets >> absent[row] & 1) == 0
        out[holds, row] = 1.0 / (sizes[holds] - len(members) + 1)
    for player in range(k):
        without, with_it = halves(out, player)
        without -= with_it
    return np.ascontiguousarray(out.T)
