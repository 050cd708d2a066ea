"""Few runs: exact tests against scipy and brute force, floors, effect sizes and intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from paribus.stats import few


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("design", "n_a", "n_b", "floor"),
    [
        ("paired_sign_flip", 6, None, 2 / 64),
        ("paired_sign_flip", 5, None, 0.0625),
        ("mann_whitney", 5, 3, 1 / 28),
        ("fisher", 5, 3, 1 / 56),
        ("label_permutation", 5, 3, 1 / 56),
        ("label_permutation", 4, 4, 2 / 70),
        ("paired_sign_flip", 0, None, 1.0),
    ],
)
def test_the_smallest_reachable_p(design, n_a, n_b, floor):
    assert few.smallest_p(design, n_a, n_b) == pytest.approx(floor)


@pytest.mark.parametrize(("n_a", "n_b"), [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (2, 4), (4, 5)])
def test_no_data_reach_a_smaller_p_than_the_floor_and_some_reach_it(n_a, n_b):
    """Over all arrangements of well separated values, and over all tables of a yes/no outcome."""
    values = 3.0 ** np.arange(n_a + n_b)
    arrangements = [np.isin(np.arange(n_a + n_b), chosen) for chosen in itertools.combinations(range(n_a + n_b), n_a)]
    for name, test in (("label_permutation", few.label_permutation), ("mann_whitney", few.mann_whitney)):
        found = [test(values[mask], values[~mask]) for mask in arrangements]
        smallest = few.smallest_p(name, n_a, n_b)
        assert min(each.p for each in found) == pytest.approx(smallest), name
        assert {each.smallest_p for each in found} == {smallest}
    tables = [few.fisher(a, n_a, b, n_b) for a in range(n_a + 1) for b in range(n_b + 1)]
    assert min(each.p for each in tables) == pytest.approx(few.smallest_p("fisher", n_a, n_b))


@pytest.mark.parametrize("n", range(1, 7))
def test_no_pairs_reach_a_smaller_p_than_the_floor_and_some_reach_it(n):
    sizes = 3.0 ** np.arange(n)
    found = [few.paired_sign_flip(sizes * signs) for signs in itertools.product((1, -1), repeat=n)]
    smallest = few.smallest_p("paired_sign_flip", n)
    assert min(each.p for each in found) == pytest.approx(smallest)
    assert {each.smallest_p for each in found} == {smallest}


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 3), (4, 4), (3, 6)])
def test_the_most_extreme_data_reach_the_floor(n_a, n_b):
    high, low = 100 + np.arange(n_a) ** 2.0, np.arange(n_b) / 7
    for test in (few.label_permutation, few.mann_whitney):
        found = test(high, low)
        assert found.p == pytest.approx(found.smallest_p)
    found = few.fisher(n_a, n_a, 0, n_b)
    assert found.p == pytest.approx(found.smallest_p)


def test_the_floor_comes_first():
    assert next(iter(few.paired_sign_flip([1.0] * 6).__dataclass_fields__)) == "smallest_p"


def test_six_agreeing_pairs_reach_five_percent_and_five_do_not():
    assert few.paired_sign_flip([0.1, 0.2, 0.3, 0.1, 0.4, 0.2]).p == 2 / 64
    assert few.paired_sign_flip([0.1, 0.2, 0.3, 0.1, 0.4]).p == 0.0625
    assert few.paired_sign_flip([0.0, 0.0]).p == 1


def test_paired_flips_agree_with_scipy():
    values = rng().normal(size=9) + 0.5
    theirs = scipy_stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert few.paired_sign_flip(values).p == pytest.approx(theirs.pvalue)


def test_mann_whitney_agrees_with_scipy_without_ties():
    a, b = rng(1).normal(size=6) + 1, rng(2).normal(size=5)
    theirs = scipy_stats.mannwhitneyu(a, b, method="exact")
    ours = few.mann_whitney(a, b)
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_label_permutation_agrees_with_scipy():
    a, b = rng(1).normal(size=5) + 1, rng(2).normal(size=5)
    theirs = scipy_stats.permutation_test(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=np.inf
    )
    assert few.label_permutation(a, b).p == pytest.approx(theirs.pvalue)


def test_tied_ranks_are_permuted_exactly():
    a, b = [1, 1, 1, 0], [0, 0, 0, 0]
    assert few.mann_whitney(a, b).p == pytest.approx(few.fisher(3, 4, 0, 4).p)


def test_large_arms_are_drawn_and_need_a_generator():
    a, b = rng().normal(size=30) + 2, rng(1).normal(size=30)
    found = few.label_permutation(a, b, rng=rng(2), n_permutations=499)
    assert (found.method, found.p) == ("monte_carlo", 1 / 500)
    with pytest.raises(ValueError, match="pass a generator"):
        few.label_permutation(a, b)
    with pytest.raises(ValueError, match="pass a generator"):
        few.paired_sign_flip(a)


@pytest.mark.parametrize("test", [few.label_permutation, few.mann_whitney])
def test_false_positives_stay_below_the_level(test):
    draw = rng(9)
    p = np.array([test(draw.exponential(size=5), draw.exponential(size=4)).p for _ in range(400)])
    assert 0.015 <= np.mean(p <= 0.05) <= 0.075


def test_hedges_g_is_unbiased_where_cohens_d_is_not():
    draw = rng(4)
    samples = [(draw.normal(1, 1, 4), draw.normal(0, 1, 4)) for _ in range(4000)]
    g = np.mean([few.hedges_g(a, b) for a, b in samples])
    d = np.mean([(a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2) for a, b in samples])
    assert g == pytest.approx(1, abs=0.06)
    assert d > 1.08
    assert np.isnan(few.hedges_g([1, 1], [1, 1]))


@pytest.mark.parametrize(("n", "interval"), [(3, False), (4, True), (5, True), (9, True)])
def test_t_intervals_are_scipys_and_need_four_runs(n, interval):
    draw = rng(n)
    a, b = draw.normal(size=n) + 1, 3 * draw.normal(size=n + 2)
    found = few.student_interval(a, 0.9), few.welch_interval(a, b, 0.9)
    if not interval:
        assert [each.method for each in found] == ["none: 3 runs", "none: 3 runs"]
        return
    theirs = (
        scipy_stats.ttest_1samp(a, 0).confidence_interval(0.9),
        scipy_stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9),
    )
    for ours, other, name in zip(found, theirs, ("student_t", "welch_t"), strict=True):
        assert (ours.low, ours.high, ours.method) == (pytest.approx(other.low), pytest.approx(other.high), name)


def test_there_is_no_interval_without_width():
    assert few.student_interval([0.3] * 5, 0.95).method == "none: units are equal"
    assert few.welch_interval([0.1 + 0.2] * 4, [0.3] * 6, 0.95).method == "none: units are equal"
    assert few.welch_interval([0.1] * 4, [0.3, 0.3, 0.3, 0.4], 0.95).method == "welch_t"


def test_shares_of_runs_keep_their_interval_within_what_is_possible():
    found = few.newcombe_interval(6, 6, 1, 6, 0.95)
    assert found.method == "newcombe" and 0 < found.low < 5 / 6 < found.high <= 1
    assert few.newcombe_interval(3, 3, 0, 6, 0.95).method == "none: 3 runs"


def test_the_smallest_p_of_drawn_arrangements_is_that_of_the_draws():
    draw = rng(3)
    a, b = draw.normal(size=30), draw.normal(size=30)
    for found in (
        few.label_permutation(a, b, rng=draw, n_permutations=199),
        few.mann_whitney(a, b, rng=draw, n_permutations=199),
        few.paired_sign_flip(a, rng=draw, n_permutations=199),
    ):
        assert found.smallest_p == 1 / 200


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="finite numbers"):
        few.paired_sign_flip([1.0, np.nan])
    with pytest.raises(ValueError, match="within their arms"):
        few.fisher(4, 3, 0, 3)
    with pytest.raises(ValueError, match="design must be"):
        few.smallest_p("t_test", 3)
    with pytest.raises(ValueError, match="n_b is missing"):
        few.smallest_p("fisher", 3)


def test_flips_of_many_pairs_are_drawn():
    values = rng(6).normal(size=30) + 0.25
    found = few.paired_sign_flip(values, rng=rng(7), n_permutations=9999)
    flipped = rng(8).choice([-1.0, 1.0], size=(100_000, 30)) @ values
    assert found.method == "monte_carlo"
    assert found.p == pytest.approx(np.mean(np.abs(flipped) >= abs(values.sum())), abs=0.02)


@pytest.mark.parametrize("size", [0.1, 0.3, 0.7, 1e6 + 0.1])
@pytest.mark.parametrize(("n_a", "n_b"), [(3, 7), (5, 8), (6, 6)])
def test_equal_runs_have_neither_spread_nor_effect_size_nor_interval(size, n_a, n_b):
    for other in (size, size + 0.2):
        a, b = np.full(n_a, size), np.full(n_b, other)
        assert math.isnan(few.hedges_g(a, b)) and few.spread(b) == 0.0
    found = few.label_permutation(a, np.full(n_b, size)).interval(0.95)
    assert found.method.startswith("none") and math.isnan(found.low)
