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
    ("activation_steering", 1): "daa5675bb01c221a69c8a542dd221c6b",
    ("activation_steering", 2): "b48c614b03d272ca007bca032bc76e1a",
    ("subspace_ablation", 1): "10161661a7122572361e420f30d6c0fd",
}


@pytest.mark.parametrize(("request_", "expected"), GOLDEN.items())
def test_golden(request_, expected):
    assert identity(*request_, SCIENCE, INPUTS) == expected, "identities of kept runs must not change"


def test_golden_of_the_smallest_and_the_oddest_request():
    assert identity("x", 1, {}) == "8fcb3bec2ef492fb217b38b3184dad32"
    odd = {"a": math.inf, "b": math.nan, "c": -0.0, "d": 1e-300, "e": 2**60, "f": "\ud7ff\n", "g": [[], {}]}
    assert identity("x", 1, odd) == "7cd25d7e2506b0648d08935b3b4a6a08"


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


def test_whole_numbers_are_whole_up_to_where_they_are_exact():
    exact, beyond = canonical(2.0**53 - 1), canonical(2.0**53)
    assert (type(exact), exact) == (int, 2**53 - 1)
    assert type(beyond) is float and type(canonical(-(2.0**53))) is float
