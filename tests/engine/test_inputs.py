"""Equal rows are found exactly and fast."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paribus.engine import inputs
from paribus.engine.inputs import row_keys, unique_rows
from paribus.errors import DataError

ROWS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-3, 3))


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_unique_rows_are_exact(rows):
    first, codes = unique_rows(rows)
    np.testing.assert_array_equal(rows[first][codes], rows)
    assert len(first) == len(np.unique(rows, axis=0))
    assert list(first) == sorted(first)
    assert all(codes[place] == number for number, place in enumerate(first))


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_rows_that_share_a_key_are_told_apart(rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "row_keys", lambda rows: np.zeros(len(rows), np.uint64))
        first, codes = unique_rows(rows)
    np.testing.assert_array_equal(rows[first][codes], rows)
    assert len(first) == len(np.unique(rows, axis=0))


def test_rows_of_different_length_have_different_keys():
    assert row_keys(np.zeros((1, 3), int))[0] != row_keys(np.zeros((1, 4), int))[0]
    assert row_keys(np.zeros((1, 3), int))[0] != row_keys(np.ones((1, 3), int))[0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, bool])
def test_all_whole_number_formats(dtype):
    rows = np.array([[1, 0], [0, 1], [1, 0]]).astype(dtype)
    first, codes = unique_rows(rows)
    assert first.tolist() == [0, 1]
    assert codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize("rows", [np.zeros((2, 2)), np.zeros(3, int), np.zeros((2, 2, 2), int)])
def test_what_is_not_rows_of_ids_is_refused(rows):
    with pytest.raises(DataError, match="whole numbers"):
        unique_rows(rows)


def test_200_000_rows_cost_a_fraction_of_sorting_them():
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 140, (60_000, 20))[generator.integers(0, 60_000, 200_000)]
    unique_rows(rows[:10])

    def took(work) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    # About a twentieth; half leaves room for a busy machine.
    sorting = took(lambda: np.unique(rows, axis=0, return_inverse=True))
    assert min(took(lambda: unique_rows(rows)) for _ in range(3)) < 0.5 * sorting
