"""Seeds as units: sizes averaged within, the same sizes everywhere, nothing left out in silence."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.compare.units import arms_of, units_of


def effects(values):
    """Return one row per (condition, size, seed): value."""
    rows = [
        {"endpoint": "e", "label": "e", "unit": "accuracy", "training": c, "n_train": n, "seed": s, "value": v,
         "auroc_change": v / 10}
        for (c, n, s), v in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_sizes_are_averaged_within_a_seed():
    found, notes = units_of(effects({("a", n, s): n / 100 + s for n in (100, 300) for s in (0, 1)}))
    assert found["value"].tolist() == [2.0, 3.0] and found["n_sizes"].tolist() == [2, 2]
    assert found["auroc_change"].tolist() == pytest.approx([0.2, 0.3])
    assert not notes


def test_one_run_is_a_unit():
    found, notes = units_of(effects({("a", 100, 0): 1.5}))
    assert found[["endpoint", "training", "value"]].to_numpy().tolist() == [["e", "a", 1.5]] and not notes


def test_a_seed_without_a_size_leaves_that_size_out_for_all_and_says_so():
    found, notes = units_of(effects({("a", 100, 0): 1.0, ("a", 300, 0): 9.0, ("a", 100, 1): 2.0}))
    assert found["value"].tolist() == [1.0, 2.0]
    assert notes == ["e, a: not all seeds have n_train=300; only n_train=100 enters."]


def test_pairs_are_over_the_sizes_that_both_arms_have_of_the_seed():
    values = {(c, n, s): 1.0 + (c == "a") for c in "ab" for n in (100, 300) for s in (0, 1)}
    values["a", 300, 1] = 99.0
    del values["b", 300, 1]
    arms = arms_of(effects(values), "a", "b")
    assert (arms.a, arms.b) == ({0: 2.0, 1: 2.0}, {0: 1.0, 1: 1.0})
    assert "300" in arms.left_out


def test_different_seeds_are_compared_over_sizes_that_all_have():
    values = {("a", 100, 0): 1.0, ("a", 300, 0): 5.0, ("b", 100, 1): 2.0, ("b", 100, 2): 3.0}
    arms = arms_of(effects(values), "a", "b")
    assert (arms.a, arms.b) == ({0: 1.0}, {1: 2.0, 2: 3.0}) and "300" in arms.left_out
    assert arms_of(effects(values), "a", "c").b == {}
