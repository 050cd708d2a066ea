"""Which rows of integers are equal (exactly, by hashing), so that each distinct input is run once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paribus.errors import DataError

IntArray = NDArray[np.integer[Any]]

# Rows hashed at once; bounds the temporary copy of rows that are not 64-bit.
_HASH_ROWS = 1 << 16


def row_keys(rows: IntArray) -> NDArray[np.uint64]:
    """Return a 64-bit key per row of ``[n, L]``.

    The key is linear over the integers modulo 2^64 with fixed random odd coefficients (multiply-shift hashing,
    Dietzfelbinger et al. 1997): two different rows share one with a chance of about 2^-64.

    Example:
        >>> keys = row_keys(np.array([[1, 2], [1, 2], [2, 1]]))
        >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
        (True, False)
    """
    rows = _checked(rows)
    coefficients = np.random.default_rng((20, 0)).integers(0, 1 << 64, rows.shape[1] + 1, dtype=np.uint64) | 1
    length = np.uint64(rows.shape[1] * int(coefficients[-1]) % (1 << 64))
    keys = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _HASH_ROWS):
        part = rows[start : start + _HASH_ROWS].astype(np.int64, copy=False).view(np.uint64)
        keys[start : start + _HASH_ROWS] = part @ coefficients[:-1] + length
    return keys


def unique_rows(rows: IntArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first occurrence of each distinct row, and for every row the number of its distinct row.

    Exact: rows that share a key are compared; if two of them differ, rows are sorted instead.

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
