"""Bounded batches that shrink when memory runs out."""

from __future__ import annotations

import pytest
import torch

from paribus.engine.batches import Batches, is_out_of_memory, number_format, to_device


def out_of_memory() -> RuntimeError:
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_ranges_cover_everything_once():
    seen: list[int] = []
    sizes: list[int] = []
    Batches(4).run(
        3, 17, lambda rows: (seen.extend(range(rows.start, rows.stop)), sizes.append(rows.stop - rows.start))
    )
    assert seen == list(range(3, 17))
    assert max(sizes) == 4


def test_at_most_bounds_further_without_being_remembered():
    sizes: list[int] = []
    batches = Batches(8)
    batches.run(0, 9, lambda rows: sizes.append(rows.stop - rows.start), at_most=3)
    assert sizes == [3, 3, 3]
    assert batches.limit == 8


def test_out_of_memory_halves_and_goes_on_and_is_remembered():
    done: list[int] = []
    tried: list[int] = []

    def step(rows: slice) -> None:
        tried.append(rows.stop - rows.start)
        if rows.stop - rows.start > 3:
            raise out_of_memory()
        done.extend(range(rows.start, rows.stop))

    batches = Batches(16)
    batches.run(0, 20, step)
    assert done == list(range(20))
    assert batches.limit == 2
    assert tried[:4] == [16, 8, 4, 2]
    assert max(tried[3:]) == 2


def test_a_row_that_does_not_fit_is_an_error():
    def step(rows: slice) -> None:
        raise out_of_memory()

    with pytest.raises(RuntimeError, match="out of memory"):
        Batches(4).run(0, 4, step)


def test_other_errors_pass_at_once():
    calls: list[slice] = []

    def step(rows: slice) -> None:
        calls.append(rows)
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Batches(4).run(0, 4, step)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (out_of_memory(), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_errors_are_told_from_others(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_nothing_is_copied_on_the_same_device():
    x = torch.zeros(3)
    assert to_device(x, torch.device("cpu")) is x


def test_half_formats_switch_autocast_on_and_off_again():
    with number_format(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with number_format(torch.device("cpu"), torch.float32):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
