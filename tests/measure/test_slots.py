"""Donors of values that are given to other contexts."""

from __future__ import annotations

import numpy as np

from paribus.measure.slots import donors_of_group, others_within


def test_a_donor_is_of_the_group_and_has_in_common_what_it_must():
    rng = np.random.default_rng(3)
    groups, alike = rng.integers(0, 3, 60), rng.integers(0, 5, 60)
    alike[:2], groups[:2] = 9, (0, 2)  # kinds that the group has none of, or alone
    donors = donors_of_group(groups, 1, alike, rng)
    given = donors >= 0
    assert (groups[donors[given]] == 1).all() and (alike[donors[given]] == alike[given]).all()
    there = np.array([bool(((groups == 1) & (alike == kind)).any()) for kind in alike])
    np.testing.assert_array_equal(given, (groups != 1) & there)
    assert len(set(donors[given])) > 3


def test_others_of_a_group_are_permuted_without_fixed_points():
    groups = np.array([4, 0, 4, 4, 0, 7])
    donors = others_within(groups, np.random.default_rng(0))
    assert donors[5] == -1 and sorted(donors[:5]) == [0, 1, 2, 3, 4]
    assert (groups[donors[:5]] == groups[:5]).all() and (donors != np.arange(6)).all()
