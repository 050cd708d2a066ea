"""The search for closed itemsets against plain counting."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError
from paribus.experiments.builds import _eclat
from paribus.experiments.builds._eclat import frequent_itemsets


def counted(present, families, min_count, max_size):
    """Every set with at most one item of each family, counted row by row."""
    found = {}
    for size in range(1, max_size + 1):
        for items in combinations(range(present.shape[1]), size):
            if len({families[i] for i in items}) == size:
                count = sum(all(row[i] for i in items) for row in present.tolist())
                if count >= min_count:
                    found[items] = count
    return found


def closed(found, families, max_size):
    """Leave out what can be extended (up to the size allowed), or raised within a family, with no row lost."""

    def kept(items, count):
        for other, other_count in found.items():
            if other_count != count or other == items:
                continue
            higher = {families[i]: i for i in other}
            if all(higher.get(families[i], -1) >= i for i in items):
                return False
        return True

    return {items: count for items, count in found.items() if kept(items, count)}


@st.composite
def nested(draw):
    """Rows over families whose items are nested, as rungs reached are."""
    rungs = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    columns, families = [], []
    for family, k in enumerate(rungs):
        top = rng.integers(0, k + 1, size=n)
        columns += [top > rung for rung in range(k)]
        families += [family] * k
    return np.stack(columns, axis=1), families


@settings(deadline=None, max_examples=60)
@given(nested(), st.integers(1, 6), st.integers(1, 4))
def test_closed_sets_are_those_of_brute_force(data, min_count, max_size):
    present, families = data
    found = frequent_itemsets(present, families, min_count=min_count, max_size=max_size)
    assert [s.count for s in found] == sorted((s.count for s in found), reverse=True)
    got = {s.items: s.count for s in found}
    assert got == closed(counted(present, families, min_count, max_size), families, max_size)


def test_every_frequent_set_has_a_closed_one_that_says_as_much():
    rng = np.random.default_rng(3)
    present = rng.random((200, 9)) < 0.5
    present[:, 3] = present[:, 1] & present[:, 2]
    kept = frequent_itemsets(present, range(9), min_count=5, max_size=9)
    for items, count in counted(present, list(range(9)), 5, 3).items():
        assert any(s.count == count and set(items) <= set(s.items) for s in kept)


def test_too_wide_a_search_is_refused(monkeypatch):
    monkeypatch.setattr(_eclat, "MOST_VISITED", 100)
    with pytest.raises(ConfigError, match="min_support"):
        frequent_itemsets(np.ones((4, 20), bool), range(20), min_count=1, max_size=5)


def test_nothing_frequent_gives_nothing():
    assert frequent_itemsets(np.zeros((5, 3), bool), range(3), min_count=1, max_size=2) == []
