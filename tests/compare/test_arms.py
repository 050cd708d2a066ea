"""Two arms of runs: the design follows from the seeds, intervals invert the test, adjustment counts what was tested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from paribus.compare.arms import Unadjusted, compare_arms, holm, in_families, one_arm
from paribus.stats import few
from paribus.stats.multiplicity import adjust
from paribus.stats.spec import StatsSpec

STATS = StatsSpec(n_permutations=99)
UNREACHED = "none: too few runs for this level"
VALUES = st.lists(st.floats(-5, 5).map(lambda v: round(v, 3)), min_size=3, max_size=6)


def arms(a, b, **settings):
    return compare_arms(a, b, spec=settings.pop("spec", STATS), rng=np.random.default_rng(0), **settings)


def named(values, start=0):
    return {start + i: float(value) for i, value in enumerate(values)}


@given(VALUES, st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_exchanging_the_arms_turns_the_sign_and_keeps_p(values, shift):
    a = dict(enumerate(values))
    b = {seed: value + shift + 0.1 * seed for seed, value in a.items()}
    there, back = arms(a, b), arms(b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p)
    assert there.smallest_p <= there.p + 1e-12
    assert there.ci_method == back.ci_method
    if not there.ci_method.startswith("none"):
        assert (there.ci_low, there.ci_high) == (pytest.approx(-back.ci_high), pytest.approx(-back.ci_low))
        assert there.ci_low <= there.difference + 1e-9 and there.difference <= there.ci_high + 1e-9


def test_values_that_are_not_finite_are_missing_runs():
    found = arms({0: 1.0, 1: 2.0, 2: float("nan")}, {0: 1.0, 1: 1.0, 2: 1.0})
    assert (found.n, found.n_reference, found.missing) == (2, 3, "missing: 2")


def test_one_run_against_one_is_not_tested():
    found = arms({0: 1.0}, {0: 2.0})
    assert found.design == "none" and np.isnan(found.p) and found.difference == -1.0


def test_one_run_against_several_is_tested_and_has_no_interval_that_it_cannot_have():
    found = arms({9: 5.0}, {0: 1.0, 1: 2.0})
    assert (found.design, found.n, found.n_reference) == ("label_permutation", 1, 2)
    assert found.p == found.smallest_p == pytest.approx(1 / 3) and found.ci_method == "none: 1 run"
    assert arms({0: 1.0, 1: 2.0}, {9: 5.0}).p == pytest.approx(1 / 3)
    assert arms({}, {0: 1.0, 1: 2.0, 2: 3.0}).design == "none"


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_zero_lies_outside_the_interval_exactly_where_p_is_small(seed, paired):
    draw = np.random.default_rng(seed)
    n = int(draw.integers(6, 9))
    a, b = draw.exponential(size=n) + draw.uniform(0, 2), draw.exponential(size=n)
    found = arms(named(a), named(b, 0 if paired else 100))
    assert (found.p <= 0.05) == (not found.ci_low <= 0 <= found.ci_high)


@pytest.mark.parametrize("n", [6, 9])
def test_the_interval_of_pairs_inverts_their_sign_flip(n):
    draw = np.random.default_rng(n)
    a, b = draw.normal(size=n) + 1, draw.normal(size=n)
    found, test = arms(named(a), named(b)), few.paired_sign_flip(a - b)
    assert (found.ci_low, found.ci_high) == (test.interval(0.95).low, test.interval(0.95).high)
    assert (found.ci_method, found.p) == ("paired_sign_flip", test.p)


@pytest.mark.parametrize(
    ("n", "method"), [(2, "none: 2 runs"), (3, "none: 3 runs"), (4, "student_t"), (5, "student_t")]
)
def test_four_or_five_pairs_have_a_t_interval_that_is_called_so_and_fewer_none(n, method):
    draw = np.random.default_rng(n)
    a, b = draw.normal(size=n) + 1, draw.normal(size=n)
    found = arms(named(a), named(b))
    assert found.ci_method == method
    if method == "student_t":
        theirs = scipy_stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (found.ci_low, found.ci_high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 3), (4, 4), (6, 5)])
def test_the_interval_of_different_seeds_inverts_their_label_permutation(n_a, n_b):
    draw = np.random.default_rng(n_a)
    a, b = draw.normal(size=n_a) + 3, draw.normal(size=n_b)
    found, test = arms(named(a), named(b, 100)), few.label_permutation(a, b)
    around = test.interval(0.95)
    assert (found.ci_low, found.ci_high, found.ci_method) == (around.low, around.high, "label_permutation")
    assert found.ci_low < found.difference < found.ci_high  # a difference of the wrong sign would lie outside


def test_unpaired_arms_too_few_for_their_level_have_scipys_welch_interval():
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=4) + 3, 4 * draw.normal(size=5)
    found = arms(named(a), named(b, 100), spec=StatsSpec(confidence=0.999))
    theirs = scipy_stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.999)
    assert (found.ci_low, found.ci_high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert found.ci_method == "welch_t"
    assert arms(named(a[:3]), named(b[:3], 100)).ci_method == "none: 3 runs"


@pytest.mark.parametrize("n", [6, 8])
def test_equal_units_have_no_interval(n):
    base = np.random.default_rng(0).normal(size=n)
    assert arms(named(base + 0.1), named(base)).ci_method == "none: units are equal"
    assert arms(named([0.5] * n), named([0.4] * n, 100)).ci_method == "none: units are equal"
    assert one_arm([0.5] * n, spec=STATS, rng=np.random.default_rng(0)).ci_method == "none: units are equal"


def test_intervals_stay_within_what_the_outcome_can_be():
    found = one_arm([0.01, 0.95, 0.99, 0.98], spec=STATS, rng=np.random.default_rng(0), bounds=(0.0, 1.0))
    assert (found.ci_method, found.ci_high) == ("student_t", 1.0) and found.ci_low == 0.0 <= found.mean
    a, b = named([1.0, 1.0, 1.0, 0.1]), named([0.0, 0.0, 0.9, 0.0])
    free, bound = arms(a, b), arms(a, b, bounds=(0.0, 1.0))
    assert free.ci_high > 1.0 and bound.ci_high == 1.0 and bound.ci_low == max(-1.0, free.ci_low)


def test_yes_and_no_have_an_interval_that_does_not_contradict_their_test():
    found = arms(named([1] * 6), named([1, 0, 0, 0, 0, 0]), yes_no=True)
    assert (found.design, found.ci_method) == ("fisher", "newcombe")
    assert found.p == pytest.approx(scipy_stats.fisher_exact([[6, 0], [1, 5]]).pvalue)
    assert 0 < found.ci_low < found.difference == pytest.approx(5 / 6)
    for yes_a in range(7):
        for yes_b in range(6):
            a, b = named([1] * yes_a + [0] * (6 - yes_a)), named([1] * yes_b + [0] * (5 - yes_b), 100)
            each = arms(a, b, yes_no=True)
            if not each.ci_method.startswith("none"):
                assert (each.p <= 0.05) == (not each.ci_low <= 0 <= each.ci_high)


def test_one_arm_inverts_its_own_test_and_has_a_p_only_where_zero_means_nothing():
    values = [0.1, 0.2, 0.3, 0.15, 0.22, 0.4, 0.05]
    found = one_arm(values, spec=STATS, rng=np.random.default_rng(0), against_zero=True)
    test = few.paired_sign_flip(values)
    assert (found.p, found.smallest_p, found.ci_method) == (test.p, test.smallest_p, "sign_flip")
    assert (found.ci_low, found.ci_high) == (test.interval(0.95).low, test.interval(0.95).high)
    assert np.isnan(one_arm(values, spec=STATS, rng=np.random.default_rng(0)).p)
    few_runs = one_arm(values[:4], spec=STATS, rng=np.random.default_rng(0))
    theirs = scipy_stats.ttest_1samp(values[:4], 0).confidence_interval(0.95)
    assert (few_runs.ci_low, few_runs.ci_high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert one_arm(values[:3], spec=STATS, rng=np.random.default_rng(0)).ci_method == "none: 3 runs"


def unadjusted(arrays):
    found = [one_arm(a, spec=STATS, rng=np.random.default_rng(0), against_zero=True) for a in arrays]
    table = pd.DataFrame(
        {
            "smallest_p": [f.smallest_p for f in found],
            "ci_method": [f.ci_method for f in found],
            "p": [f.p for f in found],
        }
    )
    return Unadjusted(table, [f.intervals for f in found])


def rows(arrays):
    return holm(unadjusted(arrays), confidence=0.95)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_zero_lies_outside_the_adjusted_interval_exactly_where_the_adjusted_p_is_small(seed):
    draw = np.random.default_rng(seed)
    table = rows([draw.normal(size=9).round(1) + shift for shift in (0.0, 0.4, 1.0, 2.0)])
    for _, row in table.iterrows():
        if not row["ci_adj_method"].startswith("none"):
            outside = not row["ci_adj_low"] <= 0 <= row["ci_adj_high"]
            assert outside == (row["p_adj"] <= 0.05 + 1e-12)


def test_there_is_no_adjusted_interval_at_a_level_that_the_design_cannot_reach():
    draw = np.random.default_rng(0)
    table = rows([draw.normal(size=6) + 5 for _ in range(3)])
    assert set(table["ci_method"]) == {"sign_flip"} and set(table["ci_adj_method"]) == {UNREACHED}
    assert (table["p"] < 0.05).all() and (table["p_adj"] > 0.05).all()
    table = rows([draw.normal(size=4) + 5])
    assert table[["ci_method", "ci_adj_method"]].to_numpy().tolist() == [["student_t", UNREACHED]]


def test_holm_counts_only_what_was_tested():
    table = pd.DataFrame({"smallest_p": [0.01, 0.01, np.nan], "ci_method": ["none"] * 3, "p": [0.01, 0.04, np.nan]})
    nothing = [lambda _: few.Interval(np.nan, np.nan, "none")] * 3
    found = holm(Unadjusted(table, nothing), confidence=0.95)
    assert found["p_adj"].tolist()[:2] == pytest.approx([0.02, 0.04])
    assert found["smallest_p_adj"].tolist()[:2] == pytest.approx([0.02, 0.02])
    assert list(found.columns) == [
        "smallest_p", "smallest_p_adj", "ci_method", "ci_adj_low", "ci_adj_high", "ci_adj_method", "p", "p_adj",
    ]  # fmt: skip
    assert len(holm(Unadjusted(table.iloc[:0], []), confidence=0.95)) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_families_reach_over_tables_and_their_intervals_agree_with_their_p(seed):
    draw = np.random.default_rng(seed)
    arrays = [draw.normal(size=8).round(1) + shift for shift in (0.0, 0.5, 1.0, 2.0, 3.0, 0.2)]
    whole = unadjusted(arrays)
    parts = [Unadjusted(whole.frame.iloc[rows], whole.intervals[rows]) for rows in (slice(0, 2), slice(2, 6))]
    names = [["a", "b"], ["b", "a", "b", "b"]]
    found = pd.concat(in_families(parts, names, {"a": "holm", "b": "bh"}, confidence=0.95))
    alone = {"a": [0, 3], "b": [1, 2, 4, 5]}
    for name, method in (("a", "holm"), ("b", "bh")):
        assert found["p_adj"].iloc[alone[name]].tolist() == adjust(whole.frame["p"].iloc[alone[name]], method).tolist()
    for _, row in found.iterrows():
        if not row["ci_adj_method"].startswith("none"):
            assert (not row["ci_adj_low"] <= 0 <= row["ci_adj_high"]) == (row["p_adj"] <= 0.05 + 1e-12)
