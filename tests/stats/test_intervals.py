"""Which intervals may be shown: enough clusters, a width, the range of the quantity, and a name for what is missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paribus.stats.bootstrap import cluster_interval
from paribus.stats.intervals import SHARE, SHARE_GAP, is_none, settle, too_few
from paribus.stats.shares import shares
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=100, n_permutations=99)


def test_the_reason_counts_in_words():
    assert [too_few(0), too_few(1), too_few(5), too_few(20, "context")] == [
        "none: nothing measured", "none: 1 cluster", "none: 5 clusters", "none: 20 contexts",
    ]  # fmt: skip


def test_an_end_that_is_missing_says_so():
    low, high, method = settle([np.nan, 0.1], [0.5, 0.5], "percentile", 50)
    assert np.isnan([low[0], high[0]]).all() and method.tolist() == ["none: nothing measured", "percentile"]


def test_a_zero_that_is_exact_needs_no_clusters():
    low, high, method = settle([0.0], [0.0], "exact_zero", 3)
    assert (low[0], high[0], method[0]) == (0, 0, "exact_zero")


@given(
    values=arrays(np.float64, (12, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")])),
    clusters=arrays(np.int64, 12, elements=st.integers(0, 11)),
    seed=st.integers(0, 99),
)
def test_no_interval_of_few_clusters_without_width_or_out_of_range(values, clusters, seed):
    found = cluster_interval(values, clusters, spec=SPEC, rng=np.random.default_rng(seed), bounds=SHARE)
    for low, high, method, column in zip(found.low, found.high, found.method, values.T, strict=True):
        known = ~np.isnan(column)
        if method == "exact_zero":
            assert (column[known] == 0).all() and low == high == 0
            continue
        assert is_none(method) == np.isnan(low) == np.isnan(high)
        assert is_none(method) or 0 <= low < high <= 1
        assert is_none(method) or low <= column[known].mean() + 1e-12 and column[known].mean() - 1e-12 <= high
        assert is_none(method) or len(np.unique(clusters[known])) >= 6


@given(
    holds=arrays(np.float64, (12, 3), elements=st.sampled_from([0.0, 1.0, float("nan")])),
    clusters=arrays(np.int64, 12, elements=st.integers(0, 11)),
)
def test_shares_have_a_width_and_a_range_wherever_they_have_an_interval(holds, clusters):
    found = shares(holds, clusters, spec=SPEC)
    for share, low, high, method, k in zip(
        found.share, found.low, found.high, found.method, found.n_clusters, strict=True
    ):
        assert is_none(method) == np.isnan(low) == (k < 6)
        assert is_none(method) or 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1 and high - low > 0.01


def test_a_gap_of_shares_lies_between_minus_one_and_one():
    low, high, _ = settle([-1.5, 0.2], [0.1, 1.7], "newcombe", 50, bounds=SHARE_GAP)
    assert low.tolist() == [-1, 0.2] and high.tolist() == [0.1, 1]
