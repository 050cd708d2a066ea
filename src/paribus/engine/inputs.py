"""Edited inputs: canonical, each distinct row evaluated once, in bounded batches, scattered back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paribus.engine.batches import Batches
from paribus.errors import DataError

IntArray = NDArray[np.integer[Any]]
Evaluate = Callable[[Any], Any]

# Rows hashed at once; bounds the temporary copy of rows that are not 64-bit.
_HASH_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class UniqueEvaluation:
    """Values of all rows, computed once per distinct row.

    Attributes:
        values: ``[n, ...]``.
        n_requested: Rows asked for.
        n_unique: Rows evaluated.

    Example:
        >>> UniqueEvaluation(np.zeros(4), n_requested=4, n_unique=2).values.shape
        (4,)
    """

    values: np.ndarray
    n_requested: int
    n_unique: int


def sort_sets(rows: IntArray, *, pad: int | None = None) -> IntArray:
    """Return rows that hold sets, each sorted, with ``pad`` at the end: equal sets become equal rows.

    Args:
        rows: ``[n, L]`` of ids.
        pad: The id that fills up short rows; None where there is none.

    Example:
        >>> sort_sets(np.array([[3, 0, 1], [1, 3, 0]]), pad=0)
        array([[1, 3, 0],
               [1, 3, 0]])
    """
    rows = _checked(rows)
    if not rows.size:
        return rows.copy()
    # numpy sorts short 32-bit rows ten times as fast as 64-bit ones.
    narrow = rows.min() > -(1 << 31) and rows.max() < (1 << 31) - 1
    ordered = rows.astype(np.int32 if narrow else np.int64)
    last = np.iinfo(np.int32 if narrow else np.int64).max
    if pad is not None:
        ordered[ordered == pad] = last
    ordered.sort(axis=1)
    if pad is not None:
        ordered[ordered == last] = pad
    return ordered.astype(rows.dtype)


def row_keys(rows: IntArray, stream: int = 0) -> NDArray[np.uint64]:
    """Return a 64-bit key per row of ``[n, L]``; ``stream`` chooses among independent keys.

    The key is linear over the integers modulo 2^64 with fixed random odd coefficients (multiply-shift hashing,
    Dietzfelbinger et al. 1997): two different rows share one with a chance of about 2^-64.

    Example:
        >>> keys = row_keys(np.array([[1, 2], [1, 2], [2, 1]]))
        >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
        (True, False)
    """
    rows = _checked(rows)
    coefficients = np.random.default_rng((20, stream)).integers(0, 1 << 64, rows.shape[1] + 1, dtype=np.uint64) | 1
    length = np.uint64(rows.shape[1] * int(coefficients[-1]) % (1 << 64))
    keys = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _HASH_ROWS):
        part = rows[start : start + _HASH_ROWS].astype(np.int64, copy=False).view(np.uint64)
        keys[start : start + _HASH_ROWS] = part @ coefficients[:-1] + length
    return keys


def unique_rows(rows: IntArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each distinct row comes first, and for every row the number of its distinct row.

    Exact: rows that share a key are compared; should two different ones do so, rows are sorted instead.

    Returns:
        ``first [m]`` in order of appearance, ``codes [n]`` with ``rows[first[codes]] == rows``.

    Example:
        >>> first, which = unique_rows(np.array([[1, 2], [3, 4], [1, 2]]))
        >>> first.tolist(), which.tolist()
        ([0, 1], [0, 1, 0])
    """
    rows = _checked(rows)
    codes, _ = pd.factorize(row_keys(rows))
    first = _first_places(codes)
    if not _equal_rows(rows, first, codes):
        plain = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
        codes = np.unique(plain, return_inverse=True)[1]
        first = _first_places(codes)
    return first, codes


def evaluate_unique(rows: IntArray, evaluate: Evaluate, *, batch_limit: int = 512) -> UniqueEvaluation:
    """Evaluate each distinct row once.

    Args:
        rows: ``[n, L]``; sets are to be sorted first (:func:`sort_sets`).
        evaluate: Distinct rows ``[m, L]`` to values ``[m]`` or ``[m, ...]``.
        batch_limit: The most rows in one call; halved when memory runs out.

    Raises:
        DataError: If there are no rows, or ``evaluate`` returns another number of values than it got rows.

    Example:
        >>> rows = np.array([[1, 2], [3, 4], [1, 2]])
        >>> found = evaluate_unique(rows, lambda part: part.sum(axis=1).astype(float))
        >>> found.values.tolist(), found.n_unique
        ([3.0, 7.0, 3.0], 2)
    """
    rows = _checked(rows)
    if not len(rows):
        raise DataError("no rows to evaluate")
    first, codes = unique_rows(rows)
    return UniqueEvaluation(_in_batches(rows, first, evaluate, Batches(batch_limit))[codes], len(rows), len(first))


class RowEvaluator:
    """Evaluates block after block of rows, each distinct row once; memory stays flat.

    Attributes:
        n_requested: Rows asked for so far.
        n_unique: Rows evaluated so far.

    Example:
        >>> count = RowEvaluator(lambda rows: rows.sum(axis=1).astype(float), batch_limit=8)
        >>> count(np.array([[1, 2], [1, 2]])).tolist(), count.n_requested, count.n_unique
        ([3.0, 3.0], 2, 1)
    """

    def __init__(self, evaluate: Evaluate, *, batch_limit: int = 512, remember: int = 1_000_000) -> None:
        """Remember the values of at most ``remember`` distinct rows by 128-bit keys; beyond it start afresh."""
        self._evaluate, self._batches, self._remember = evaluate, Batches(batch_limit), remember
        self._keys = np.empty((2, 0), np.uint64)
        self._values: np.ndarray | None = None
        self.n_requested = self.n_unique = 0

    def __call__(self, rows: IntArray) -> np.ndarray:
        """Return the values ``[n, ...]`` of a block ``[n, L]``."""
        rows = _checked(rows)
        if not len(rows):
            raise DataError("no rows to evaluate")
        keys = np.stack([row_keys(rows, 1), row_keys(rows, 2)])
        first, codes = _unique_keys(rows, keys)
        keys = keys[:, first]
        place = np.searchsorted(self._keys[0], keys[0])
        inside = np.minimum(place, max(0, self._keys.shape[1] - 1))
        known = (self._keys[:, inside] == keys).all(0) if self._keys.shape[1] else np.zeros(len(first), bool)
        self.n_requested += len(rows)
        self.n_unique += int((~known).sum())
        fresh = None if known.all() else _in_batches(rows, first[~known], self._evaluate, self._batches)
        source = self._values if fresh is None else fresh
        assert source is not None
        values = np.empty((len(first), *source.shape[1:]), source.dtype)
        if self._values is not None:
            values[known] = self._values[inside[known]]
        if fresh is not None:
            values[~known] = fresh
            self._learn(keys[:, ~known], fresh, place[~known])
        return values[codes]

    def _learn(self, keys: NDArray[np.uint64], values: np.ndarray, place: NDArray[np.intp]) -> None:
        """Merge new keys, in ascending order, into those known, at the places ``place``."""
        if self._values is None or self._keys.shape[1] + keys.shape[1] > self._remember:
            self._keys, self._values = keys[:, : self._remember], values[: self._remember]
        else:
            self._keys = np.insert(self._keys, place, keys, 1)
            self._values = np.insert(self._values, place, values, 0)


def _unique_keys(rows: IntArray, keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return ``first`` and ``codes`` as :func:`unique_rows`, by 128-bit keys and in the order of their first half."""
    _, first, codes = np.unique(keys[0], return_index=True, return_inverse=True)
    if (keys[1, first][codes] != keys[1]).any():  # two rows with one half key: as good as never
        first, codes = unique_rows(rows)
        order = np.argsort(keys[0, first], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        first, codes = first[order], rank[codes]
    return first, codes


def evaluate_blocks(blocks: Iterable[IntArray], evaluator: RowEvaluator) -> Iterator[np.ndarray]:
    """Yield the values of each block of rows; only one block is held at a time.

    Example:
        >>> count = RowEvaluator(lambda rows: rows.sum(axis=1).astype(float), batch_limit=8)
        >>> [values.tolist() for values in evaluate_blocks([np.array([[1, 2]]), np.array([[1, 2], [3, 4]])], count)]
        [[3.0], [3.0, 7.0]]
    """
    for block in blocks:
        yield evaluator(block)


def _checked(rows: IntArray) -> IntArray:
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "iub":
        raise DataError(f"rows must be whole numbers [n, L], got {rows.dtype} of shape {rows.shape}")
    return rows


def _first_places(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    first = np.empty(int(codes.max()) + 1 if len(codes) else 0, np.intp)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def _equal_rows(rows: IntArray, first: NDArray[np.intp], codes: NDArray[np.intp]) -> bool:
    representative = first[codes]
    for start in range(0, len(rows), _HASH_ROWS):
        part = slice(start, start + _HASH_ROWS)
        repeated = np.flatnonzero(representative[part] != np.arange(start, start + len(rows[part])))
        if not np.array_equal(rows[part][repeated], rows[representative[part][repeated]]):
            return False
    return True


def _in_batches(rows: IntArray, chosen: NDArray[np.intp], evaluate: Evaluate, batches: Batches) -> np.ndarray:
    """Return ``evaluate(rows[chosen])``, computed in bounded batches."""
    kept: list[np.ndarray] = []

    def step(part: slice) -> None:
        values = np.asarray(evaluate(rows[chosen[part]]))
        size = part.stop - part.start
        if values.ndim == 0 or len(values) != size:
            raise DataError(f"the evaluation of {size} rows returned values of shape {values.shape}")
        if not kept:
            kept.append(np.empty((len(chosen), *values.shape[1:]), values.dtype))
        kept[0][part] = values

    batches.run(0, len(chosen), step)
    return kept[0]
