from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from paribus.running import stamps
from paribus.running.stamps import changed

NORMAL = np.random.default_rng(0).normal(size=(6, 4))


class Holder:
    def __init__(self, **parts):
        self.__dict__.update(parts)


def tensor(dtype=torch.float32):
    return torch.tensor(NORMAL).to(dtype)


PARTS = {
    "array": lambda: NORMAL.copy(),
    "in_columns": lambda: np.asfortranarray(NORMAL),
    "strided": lambda: NORMAL.copy()[::2, ::-1],
    "numbers": lambda: np.arange(5),
    "flags": lambda: np.array([True, False]),
    "complex": lambda: NORMAL + 1j,
    "scalar": lambda: np.array(3.0),
    "tensor": tensor,
    "half": lambda: tensor(torch.bfloat16),
    "transposed": lambda: tensor().T,
    "complex_tensor": lambda: torch.complex(tensor(), tensor()).conj(),
    "whole": lambda: torch.arange(5),
    "scalar_tensor": lambda: torch.tensor(2.0),
    "sparse": lambda: tensor().to_sparse(),
}


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
@pytest.mark.parametrize("part", PARTS)
def test_one_number_changed_in_place_is_seen_in_every_kind_of_array(part, at_once, monkeypatch):
    monkeypatch.setattr(stamps, "AT_ONCE", at_once)
    made = PARTS[part]()
    value = Holder(inner={"x": made})
    before = stamps.stamps(value)
    assert list(before) == [".inner.x"]
    assert not changed(value, before)
    places = made._values() if part == "sparse" else made
    places[(-1,) * places.ndim] = 1 - places[(-1,) * places.ndim].item()
    assert changed(value, before)


def test_an_array_in_another_order_in_memory_has_the_same_stamp(monkeypatch):
    first = stamps.stamps(NORMAL)
    monkeypatch.setattr(stamps, "AT_ONCE", 5)
    for same in (np.asfortranarray(NORMAL), np.hstack([NORMAL, NORMAL])[:, :4]):
        assert stamps.stamps(same) == first
    assert stamps.stamps(NORMAL.reshape(4, 6)) != first


def test_what_is_in_a_list_or_a_tuple_is_looked_at_too():
    contexts = Holder(inputs=(tensor(), [NORMAL.copy()]))
    before = stamps.stamps(contexts)
    assert list(before) == [".inputs.0", ".inputs.1.0"]
    contexts.inputs[1][0][2, 1] += 1
    assert changed(contexts, before)


def test_parts_may_be_added_or_left_out():
    before = stamps.stamps({"x": np.zeros(3), "y": np.ones(2)})
    assert not changed({"x": np.zeros(3), "more": np.ones(2)}, before)
    assert not changed({}, before)
    assert not changed(None, before)


@pytest.mark.parametrize("wide", [False, True])
def test_another_format_of_the_same_values_is_no_change(wide):
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.bias[0] = torch.nan
        net.bias[1] = torch.inf
    net.double() if wide else None
    before = stamps.stamps(net)
    net.float() if wide else net.double()
    assert not changed(net, before)
    net.double()
    with torch.no_grad():
        net.weight[1, 2] += 1e-14
    assert changed(net, before), "a change that the first format does not hold"


def test_a_format_that_loses_digits_is_a_change():
    net = nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight.mul_(1 / 3)
    before = stamps.stamps(net)
    assert changed(net.float(), before)


def test_a_stamp_copies_a_piece_at_a_time():
    arrays = {"x": np.zeros((2000, 2000)), "y": np.zeros((2000, 4000))[:, ::2]}
    tracemalloc.start()
    stamps.stamps(arrays)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * stamps.AT_ONCE, f"{most / 2**20:.0f} MiB of 92"
