"""Deduplicated evaluation of rows."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paribus.engine import inputs
from paribus.engine.inputs import RowEvaluator, evaluate_blocks, evaluate_unique, row_keys, sort_sets, unique_rows
from paribus.errors import DataError

ROWS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-3, 3))


def score(rows: np.ndarray) -> np.ndarray:
    return (rows * np.arange(1, rows.shape[1] + 1)).sum(1) ** 2 + 0.5


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_unique_rows_are_exact(rows):
    first, codes = unique_rows(rows)
    np.testing.assert_array_equal(rows[first][codes], rows)
    assert len(first) == len(np.unique(rows, axis=0))
    assert list(first) == sorted(first)
    assert all(codes[place] == number for number, place in enumerate(first))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(1, 5))
def test_values_are_those_of_a_plain_evaluation(rows, limit):
    found = evaluate_unique(rows, score, batch_limit=limit)
    np.testing.assert_array_equal(found.values, score(rows))
    assert found.n_requested == len(rows)
    assert found.n_unique == len(np.unique(rows, axis=0))


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_rows_that_share_a_key_are_told_apart(rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "row_keys", lambda rows: np.zeros(len(rows), np.uint64))
        found = evaluate_unique(rows, score)
    np.testing.assert_array_equal(found.values, score(rows))
    assert found.n_unique == len(np.unique(rows, axis=0))


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(1, 5), st.sampled_from([1, 3, 1000]))
def test_blocks_give_what_all_rows_give(rows, size, remember):
    evaluator = RowEvaluator(score, batch_limit=3, remember=remember)
    blocks = (rows[start : start + size] for start in range(0, len(rows), size))
    np.testing.assert_array_equal(np.concatenate(list(evaluate_blocks(blocks, evaluator))), score(rows))
    assert evaluator.n_requested == len(rows)
    assert evaluator._keys.shape[1] <= remember
    if remember == 1000:
        assert evaluator.n_unique == len(np.unique(rows, axis=0))


@settings(deadline=None, max_examples=30)
@given(ROWS, st.integers(1, 5))
def test_blocks_tell_rows_apart_that_share_half_a_key(rows, size):
    plain = inputs.row_keys
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "row_keys", lambda some, stream=0: plain(some, stream) // (1 << 63 if stream == 1 else 1))
        evaluator = RowEvaluator(score)
        found = [evaluator(rows[start : start + size]) for start in range(0, len(rows), size)]
    np.testing.assert_array_equal(np.concatenate(found), score(rows))


def test_only_distinct_rows_are_evaluated_in_bounded_batches():
    rows = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [3, 4], [7, 8]])
    seen: list[np.ndarray] = []

    def evaluate(part: np.ndarray) -> np.ndarray:
        seen.append(part)
        return np.stack([part.sum(1), part.prod(1)], 1)

    found = evaluate_unique(rows, evaluate, batch_limit=3)
    assert [len(part) for part in seen] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(seen), [[1, 2], [3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(found.values, np.stack([rows.sum(1), rows.prod(1)], 1))


def test_out_of_memory_halves_the_batch():
    def evaluate(part: np.ndarray) -> np.ndarray:
        if len(part) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return score(part)

    rows = np.arange(24).reshape(12, 2)
    np.testing.assert_array_equal(evaluate_unique(rows, evaluate, batch_limit=8).values, score(rows))


def test_rows_of_different_length_have_different_keys():
    assert row_keys(np.zeros((1, 3), int))[0] != row_keys(np.zeros((1, 4), int))[0]
    assert row_keys(np.zeros((1, 3), int), 1)[0] != row_keys(np.ones((1, 3), int), 1)[0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, bool])
def test_all_whole_number_formats(dtype):
    rows = np.array([[1, 0], [0, 1], [1, 0]]).astype(dtype)
    first, codes = unique_rows(rows)
    assert first.tolist() == [0, 1]
    assert codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_sets_are_sorted_with_padding_last(dtype):
    rows = np.array([[5, 0, 2], [2, 5, 0], [0, 0, 1]], dtype)
    found = sort_sets(rows, pad=0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [[2, 5, 0], [2, 5, 0], [1, 0, 0]])
    np.testing.assert_array_equal(sort_sets(rows), np.sort(rows, 1))
    np.testing.assert_array_equal(rows[0], [5, 0, 2])


def test_sets_of_large_ids_are_sorted_too():
    big = np.array([[1 << 40, -1, 7]])
    np.testing.assert_array_equal(sort_sets(big, pad=-1), [[7, 1 << 40, -1]])
    assert sort_sets(np.zeros((0, 3), int), pad=0).shape == (0, 3)


@pytest.mark.parametrize("rows", [np.zeros((2, 2)), np.zeros(3, int), np.zeros((2, 2, 2), int)])
def test_what_is_not_rows_of_ids_is_refused(rows):
    with pytest.raises(DataError, match="whole numbers"):
        unique_rows(rows)


def test_no_rows_and_wrong_counts_are_refused():
    with pytest.raises(DataError, match="no rows"):
        evaluate_unique(np.zeros((0, 3), int), score)
    with pytest.raises(DataError, match="no rows"):
        RowEvaluator(score)(np.zeros((0, 3), int))
    with pytest.raises(DataError, match="returned values of shape"):
        evaluate_unique(np.zeros((4, 3), int), lambda rows: np.zeros(7))


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
