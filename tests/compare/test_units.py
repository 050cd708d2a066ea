"""Seeds as units: sizes averaged within, the same sizes everywhere, nothing left out in silence."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.compare.units import Pooled, arms_of, unit_table

NAMES = Pooled("seeds", "n_train", "sizes")


def effects(values):
    """Return one row per (condition, size, seed): value."""
    rows = [
        {"metric": "e", "group": c, "setting": n, "unit": s, "value": v, "auroc_change": v / 10}
        for (c, n, s), v in values.items()
    ]
    return pd.DataFrame(rows)


def units(values):
    return unit_table(values, ("value", "auroc_change"), NAMES)


def test_sizes_are_averaged_within_a_seed():
    found, notes = units(effects({("a", n, s): n / 100 + s for n in (100, 300) for s in (0, 1)}))
    assert found["value"].tolist() == [2.0, 3.0] and found["n_settings"].tolist() == [2, 2]
    assert found["auroc_change"].tolist() == pytest.approx([0.2, 0.3])
    assert not notes


def test_one_run_is_a_unit():
    found, notes = units(effects({("a", 100, 0): 1.5}))
    assert found[["metric", "group", "value"]].to_numpy().tolist() == [["e", "a", 1.5]] and not notes


def test_a_seed_without_a_size_leaves_that_size_out_for_all_and_says_so():
    found, notes = units(effects({("a", 100, 0): 1.0, ("a", 300, 0): 9.0, ("a", 100, 1): 2.0}))
    assert found["value"].tolist() == [1.0, 2.0]
    assert notes == ["e, a: not all seeds have n_train=300; only n_train=100 enters."]


def test_pairs_are_over_the_sizes_that_both_arms_have_of_the_seed():
    values = {(c, n, s): 1.0 + (c == "a") for c in "ab" for n in (100, 300) for s in (0, 1)}
    values["a", 300, 1] = 99.0
    del values["b", 300, 1]
    arms = arms_of(effects(values), "a", "b", names=NAMES)
    assert (arms.a, arms.b) == ({0: 2.0, 1: 2.0}, {0: 1.0, 1: 1.0})
    assert "300" in arms.left_out


def test_different_seeds_are_compared_over_sizes_that_all_have():
    values = {("a", 100, 0): 1.0, ("a", 300, 0): 5.0, ("b", 100, 1): 2.0, ("b", 100, 2): 3.0}
    arms = arms_of(effects(values), "a", "b", names=NAMES)
    assert (arms.a, arms.b) == ({0: 1.0}, {1: 2.0, 2: 3.0}) and "300" in arms.left_out
    assert arms_of(effects(values), "a", "c").b == {}


def test_units_without_a_common_setting_are_the_means_over_their_own_and_this_is_said():
    values = {("a", 100, 0): 1.0, ("a", 300, 0): 3.0, ("a", 500, 1): 2.0, ("b", 700, 0): 5.0, ("b", 700, 1): 6.0}
    found, notes = units(effects(values))
    assert found["value"].tolist() == [2.0, 2.0, 5.0, 6.0] and found["n_runs"].tolist() == [2, 1, 1, 1]
    assert notes == ["e, a: not all seeds have n_train=100, 300, 500; each one's mean is over its own."]
    arms = arms_of(effects(values), "a", "b", names=NAMES)
    assert (arms.a, arms.b) == ({0: 2.0, 1: 2.0}, {0: 5.0, 1: 6.0})
    assert arms.left_out == "no n_train in common: the means of seeds are each arm's by itself"


def test_arms_without_a_common_setting_have_the_means_that_their_groups_have():
    """One seed with a second size would enter its group's mean at one size, and the difference at two."""
    values = {("a", 100, 0): 1.0, ("a", 300, 0): 9.0, ("a", 100, 1): 2.0, ("b", 700, 0): 5.0, ("b", 700, 1): 6.0}
    found, _ = units(effects(values))
    arms = arms_of(effects(values), "a", "b", names=NAMES)
    assert [*arms.a.values(), *arms.b.values()] == found["value"].tolist() == [1.0, 2.0, 5.0, 6.0]
