"""Intervals that invert a test of few runs: against brute force, against their own p, and by how often they cover."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.stats import few
from paribus.stats.inversion import (
    UNREACHED,
    drawn_label_shifts,
    drawn_sign_flip_shifts,
    label_shifts,
    sign_flip_shifts,
)
from paribus.stats.multiplicity import adjust, holm_confidences

TIED = st.integers(-4, 4).map(lambda v: v / 10)
LOOSE = st.floats(-5, 5).map(lambda v: round(v, 3))


def flips(values, shift):
    """The plain test: every sign pattern of the shifted values."""
    signs = np.array(list(itertools.product((1, -1), repeat=len(values))))
    moved = np.asarray(values) - shift
    return float(np.mean(np.abs(signs @ moved) >= abs(moved.sum()) - 1e-10 * np.abs(moved).sum()))


def labels(a, b, shift):
    """The plain test: every labelling of the shifted values."""
    pooled = np.concatenate([np.asarray(a) - shift, b])
    pooled = pooled - pooled.mean()
    sums = np.array([pooled[list(chosen)].sum() for chosen in itertools.combinations(range(len(pooled)), len(a))])
    return float(np.mean(np.abs(sums) >= abs(pooled[: len(a)].sum()) - 1e-10 * np.abs(pooled).sum()))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [6, 8, 10])
def test_a_shift_just_inside_the_ends_is_kept_and_one_just_outside_rejected_by_the_plain_sign_flip(n, confidence):
    values = np.random.default_rng(n).normal(size=n)
    found = few.paired_sign_flip(values).interval(confidence)
    if 2 / 2**n > 1 - confidence:
        assert found.method == UNREACHED
        return
    for end, outward in ((found.low, -1), (found.high, 1)):
        assert flips(values, end - outward * 1e-6) > 1 - confidence + 1e-12
        assert flips(values, end + outward * 1e-6) <= 1 - confidence + 1e-12


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 4), (5, 3), (3, 6), (7, 5)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_shift_just_inside_the_ends_is_kept_and_one_just_outside_rejected_by_the_plain_labels(n_a, n_b, confidence):
    draw = np.random.default_rng(n_a)
    a, b = draw.normal(size=n_a) + 1, draw.exponential(size=n_b)
    found = few.label_permutation(a, b).interval(confidence)
    for end, outward in ((found.low, -1), (found.high, 1)):
        assert labels(a, b, end - outward * 1e-6) > 1 - confidence + 1e-12
        assert labels(a, b, end + outward * 1e-6) <= 1 - confidence + 1e-12


@given(st.lists(TIED, min_size=2, max_size=9) | st.lists(LOOSE, min_size=2, max_size=9))
@settings(max_examples=80, deadline=None)
def test_zero_lies_outside_a_paired_interval_exactly_where_p_is_small(values):
    found = few.paired_sign_flip(values)
    assert found.p == pytest.approx(flips(values, 0.0))
    for confidence in (0.8, 0.95, 0.99):
        around = found.interval(confidence)
        if not around.method.startswith("none"):
            assert (found.p <= 1 - confidence + 1e-12) == (not around.low <= 0 <= around.high)
            assert min(values) - 1e-12 <= around.low < around.high <= max(values) + 1e-12
        elif found.p <= 1 - confidence:
            assert np.ptp(values) < 1e-8  # only where all pairs are alike


@given(
    st.lists(TIED, min_size=2, max_size=5) | st.lists(LOOSE, min_size=2, max_size=5),
    st.lists(TIED, min_size=2, max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_zero_lies_outside_an_unpaired_interval_exactly_where_p_is_small(a, b):
    found = few.label_permutation(a, b)
    assert found.p == pytest.approx(labels(a, b, 0.0))
    for confidence in (0.8, 0.95):
        around = found.interval(confidence)
        if not around.method.startswith("none"):
            assert (found.p <= 1 - confidence + 1e-12) == (not around.low <= 0 <= around.high)
            assert around.low <= np.mean(a) - np.mean(b) + 1e-12 and np.mean(a) - np.mean(b) <= around.high + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_drawn_arrangements_keep_p_and_interval_together(seed):
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=24) + 0.5 * seed / 3, draw.normal(size=22)
    for found in (
        few.paired_sign_flip(a, rng=draw, n_permutations=499),
        few.label_permutation(a, b, rng=draw, n_permutations=499),
    ):
        assert found.method == "monte_carlo"
        # Just inside and just outside of p itself, 0 must change sides.
        assert (
            found.shifts.interval(1 - found.p + 1e-6, "x").low
            <= 0
            <= found.shifts.interval(1 - found.p + 1e-6, "x").high
        )
        around = found.shifts.interval(1 - found.p - 1e-6, "x")
        assert not around.low <= 0 <= around.high


def test_the_other_arm_first_turns_the_interval_round():
    draw = np.random.default_rng(5)
    a, b = draw.normal(size=6), draw.exponential(size=4)
    there, back = few.label_permutation(a, b).interval(0.95), few.label_permutation(b, a).interval(0.95)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


@pytest.mark.parametrize(("paired", "n"), [(True, 6), (True, 8), (False, 4), (False, 6)])
def test_intervals_cover_what_they_say_and_not_much_more(paired, n):
    draw, hits = np.random.default_rng(n), 0
    for _ in range(400):
        a, b = draw.standard_t(3, size=n) + 1, draw.standard_t(3, size=n)
        found = few.paired_sign_flip(a - b) if paired else few.label_permutation(a, b)
        around = found.interval(0.95)
        hits += around.low <= 1 <= around.high
    assert 0.93 <= hits / 400 <= 0.99


def test_designs_that_cannot_reject_have_no_interval():
    assert few.paired_sign_flip([1.0, 2.0, 3.0, 4.0, 5.0]).interval(0.95).method == UNREACHED
    assert few.label_permutation([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]).interval(0.95).method == UNREACHED
    assert few.label_permutation([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]).interval(0.9).method == "label_permutation"
    assert (
        few.paired_sign_flip([0.7 - 0.6, 0.8 - 0.7, 0.1] * 3).interval(0.95).method == "none: units are equal"
    )  # equal but for rounding


@given(
    st.lists(
        st.one_of(st.sampled_from([0.001, 0.01, 0.0125, 0.02, 0.05, 0.2, math.nan]), st.floats(1e-4, 1)), max_size=8
    )
)
@settings(max_examples=150, deadline=None)
def test_holms_level_of_a_row_rejects_exactly_where_its_adjusted_p_does(p):
    levels, adjusted = 1 - holm_confidences(p, 0.95), adjust(p, "holm")
    for raw, level, own in zip(p, levels, adjusted, strict=True):
        if math.isnan(raw):
            assert math.isnan(level)
        else:
            assert (raw <= level + 1e-12) == (own <= 0.05 + 1e-12)
            assert 0.05 / len(p) - 1e-12 <= level <= 0.05 + 1e-12


def test_holms_levels_are_those_of_its_steps():
    # .001 <= .05/4 and .015 <= .05/3 are rejected; .04 > .05/2 stops, and what is left is judged there.
    assert 1 - holm_confidences([0.04, 0.001, 0.5, 0.015], 0.95) == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])
    assert 1 - holm_confidences([0.001, 0.001], 0.95) == pytest.approx([0.025, 0.025])


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_drawn_arrangements_give_the_interval_of_all_of_them(shift):
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=9) + shift, draw.normal(size=7)
    pairs = (sign_flip_shifts(a), drawn_sign_flip_shifts(a, 20_000, draw))
    arms = (label_shifts(a, b), drawn_label_shifts(a, b, 20_000, draw))
    for exact, drawn in (pairs, arms):
        assert drawn.p == pytest.approx(exact.p, abs=0.015)
        all_of_them, found = exact.interval(0.9, "x"), drawn.interval(0.9, "x")
        assert (found.low, found.high) == pytest.approx((all_of_them.low, all_of_them.high), abs=0.06)


def test_holm_gives_what_it_rejects_the_level_of_its_step_and_all_others_the_one_at_which_it_stopped():
    level = 1 - holm_confidences([0.5, 0.01, np.nan, 0.02, 0.6], 0.95)
    assert level == pytest.approx([0.05 / 3, 0.05 / 4, np.nan, 0.05 / 3, 0.05 / 3], nan_ok=True)
    assert 1 - holm_confidences([0.001, 0.002], 0.9) == pytest.approx([0.05, 0.1])
    assert np.isnan(holm_confidences([np.nan], 0.95)).all()
