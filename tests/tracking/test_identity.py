"""Identities are pinned: equal requests share one, every scientific change gives another, across versions and time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paribus.tracking.identity import canonical, identity

SCIENCE = {
    "seed": 0,
    "experiment": {"alphas": [-3.0, 0.0, 0.5], "site": "avgpool", "names": {"b": 1, "a": None}},
    "stats": {"n_bootstrap": 2000, "adjust": "bh"},
}
INPUTS = {"data": "d1" * 8, "model": "ü"}

GOLDEN = {
    ("activation_steering", 1): "2d6ffe07ebf74608740f7b9f268d1110",
    ("activation_steering", 2): "e579f8ca5385c46b1c08e03d0d32f47d",
    ("subspace_ablation", 1): "4764a846321cdeb6685d6d419491c93e",
}


@pytest.mark.parametrize(("request_", "expected"), GOLDEN.items())
def test_golden(request_, expected):
    assert identity(*request_, SCIENCE, INPUTS) == expected, "identities of kept runs must not change"


def test_golden_of_the_smallest_and_the_oddest_request():
    assert identity("x", 1, {}) == "a1f01807a6cf593a31eba49064dac98e"
    odd = {"a": math.inf, "b": math.nan, "c": -0.0, "d": 1e-300, "e": 2**60, "f": "\ud7ff\n", "g": [[], {}]}
    assert identity("x", 1, odd) == "f05fd0778257bc05987e2c30ebb2a9f0"


def test_order_and_number_type_do_not_matter():
    shuffled = {
        "stats": {"adjust": "bh", "n_bootstrap": 2000.0},
        "experiment": {"names": {"a": None, "b": np.int64(1)}, "site": "avgpool", "alphas": (-3, 0, 0.5)},
        "seed": np.int32(0),
    }
    assert identity("t", 1, shuffled, dict(reversed(INPUTS.items()))) == identity("t", 1, SCIENCE, INPUTS)


def test_every_difference_matters():
    base = {"a": 1, "b": [1, 2], "c": "1", "d": None, "e": True}
    others = [
        {**base, "a": 2}, {**base, "b": [2, 1]}, {**base, "c": 1}, {**base, "d": "None"}, {**base, "e": 1},
        {**base, "a": 1.0000001}, {k: v for k, v in base.items() if k != "d"}, {**base, "a": "1"}, {**base, "b": [12]},
    ]  # fmt: skip
    found = [identity("t", 1, science) for science in (base, *others)]
    found += [identity("t", 2, base), identity("u", 1, base), identity("t", 1, base, {"data": "x"})]
    assert len(set(found)) == len(found)
    assert all(len(i) == 32 and set(i) <= set("0123456789abcdef") for i in found)


def test_what_is_no_plain_value_is_refused():
    with pytest.raises(TypeError, match="plain value"):
        identity("t", 1, {"a": object()})
    assert canonical({1: -0.0, "x": (1.0, 2.5)}) == {"1": 0, "x": [1, 2.5]}
