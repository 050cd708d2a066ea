"""Two arms of runs: the design follows from the seeds, intervals cover, adjustment counts only what was tested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.compare.arms import compare_arms, holm, one_arm
from paribus.stats.spec import StatsSpec

STATS = StatsSpec(n_bootstrap=200, n_permutations=99)
VALUES = st.lists(st.floats(-5, 5).map(lambda v: round(v, 3)), min_size=3, max_size=6)


def arms(a, b):
    return compare_arms(a, b, spec=STATS, rng=np.random.default_rng(0))


@given(VALUES, st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_exchanging_the_arms_turns_the_sign_and_keeps_p(values, shift):
    a = dict(enumerate(values))
    b = {seed: value + shift + 0.1 * seed for seed, value in a.items()}
    there, back = arms(a, b), arms(b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p)
    assert there.smallest_p <= there.p + 1e-12
    assert there.ci_low <= there.difference + 1e-9 and there.difference <= there.ci_high + 1e-9


def test_values_that_are_not_finite_are_missing_runs():
    found = arms({0: 1.0, 1: 2.0, 2: float("nan")}, {0: 1.0, 1: 1.0, 2: 1.0})
    assert (found.n, found.n_reference, found.missing) == (2, 3, "missing: 2")


def test_one_run_against_one_is_not_tested():
    found = arms({0: 1.0}, {0: 2.0})
    assert found.design == "none" and np.isnan(found.p) and found.difference == -1.0


@pytest.mark.parametrize(("n", "method"), [(3, "student_t"), (8, "bootstrap_t")])
def test_paired_intervals_cover(n, method):
    rng, hits, total = np.random.default_rng(5), 0, 150
    for _ in range(total):
        base = rng.normal(0, 3, n)
        found = arms(dict(enumerate(base + rng.normal(1, 0.5, n))), dict(enumerate(base)))
        assert found.ci_method == method
        hits += found.ci_low <= 1 <= found.ci_high
    assert hits / total >= 0.89


def test_one_arm_needs_two_runs_for_an_interval():
    assert one_arm([0.5], spec=STATS, rng=np.random.default_rng(0))[3] == "none"
    mean, low, high, method = one_arm([0.4, 0.6, 0.5], spec=STATS, rng=np.random.default_rng(0))
    assert (mean, method) == (pytest.approx(0.5), "student_t")
    assert (low, high) == (pytest.approx(0.5 - 0.2484, abs=1e-3), pytest.approx(0.5 + 0.2484, abs=1e-3))


def test_holm_counts_only_what_was_tested():
    table = holm(pd.DataFrame({"smallest_p": [0.01, 0.01, np.nan], "p": [0.01, 0.04, np.nan]}))
    assert table["p_adj"].tolist()[:2] == pytest.approx([0.02, 0.04])
    assert table["smallest_p_adj"].tolist()[:2] == pytest.approx([0.02, 0.02])
    assert list(holm(pd.DataFrame(columns=["smallest_p", "p"])).columns) == [
        "smallest_p",
        "smallest_p_adj",
        "p",
        "p_adj",
    ]
