"""Cluster bootstrap: agreement with scipy and brute force, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from paribus.stats.bootstrap import cluster_interval, cluster_statistic_interval, mean_intervals, tails
from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=2000)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clustered(n_sets: int, k: int, per: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = rng(seed)
    values = draw.normal(size=(n_sets, k, 1)) + draw.normal(size=(n_sets, k, per))
    return values.reshape(n_sets, -1), np.repeat(np.arange(k), per)


def test_percentile_agrees_with_scipy():
    values = rng().exponential(size=250)
    ours = cluster_interval(values, np.arange(250), spec=SPEC, rng=rng(1))
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=rng(2)
    ).confidence_interval
    assert ours.method == "percentile"
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_bootstrap_t_agrees_with_a_loop():
    values, clusters = rng().normal(size=45) ** 2, np.repeat(np.arange(15), 3)
    ours = cluster_interval(values, clusters, spec=StatsSpec(n_bootstrap=8000), rng=rng(1))
    groups = [values[clusters == k] for k in range(15)]

    def estimate(chosen):
        sums, sizes = np.array([g.sum() for g in chosen]), np.array([len(g) for g in chosen])
        mean = sums.sum() / sizes.sum()
        return mean, np.sqrt(15 / 14 * ((sums - mean * sizes) ** 2).sum()) / sizes.sum()

    mean, se = estimate(groups)
    draw, t = rng(2), []
    for _ in range(8000):
        m, s = estimate([groups[i] for i in draw.integers(0, 15, 15)])
        t.append((m - mean) / s)
    low, high = mean - np.quantile(t, 0.975) * se, mean - np.quantile(t, 0.025) * se
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=0.06)


@pytest.mark.parametrize(("k", "least"), [(6, 0.92), (12, 0.925), (30, 0.925), (60, 0.915)])
def test_intervals_cover_with_few_and_with_many_clusters(k, least):
    values, clusters = clustered(1200, k, 3, seed=k)
    sums = reduce_to_clusters(values, clusters)
    low, high, _ = mean_intervals(sums, spec=StatsSpec(n_bootstrap=600), rng=rng(1))
    assert least <= np.mean((low <= 0) & (high >= 0)) <= 0.975


def test_ignoring_clusters_would_not_cover():
    values, _ = clustered(600, 50, 5, seed=1)
    rows = reduce_to_clusters(values, np.arange(250))
    low, high, _ = mean_intervals(rows, spec=StatsSpec(n_bootstrap=300), rng=rng(1))
    assert np.mean((low <= 0) & (high >= 0)) < 0.82


def test_sparse_effects_do_not_blow_intervals_up():
    draw = rng(3)
    values = (draw.random((300, 12)) < 0.2) * draw.normal(1, 1, size=(300, 12))
    sums = reduce_to_clusters(values, np.arange(12))
    low, high, _ = mean_intervals(sums, spec=StatsSpec(n_bootstrap=400), rng=rng(1))
    se = sums.standard_errors()
    assert ((high - low) / np.where(se > 0, se, 1)).max() < 25


def test_columns_give_arrays_and_vectors_give_floats():
    values = rng().normal(size=(260, 3))
    many = cluster_interval(values, np.arange(260), spec=SPEC, rng=rng(1))
    one = cluster_interval(values[:, 0], np.arange(260), spec=SPEC, rng=rng(1))
    assert many.low.shape == (3,)
    assert list(many.method) == ["percentile"] * 3
    assert isinstance(one.low, float)
    assert one.low == pytest.approx(many.low[0])


def test_a_general_statistic_agrees_with_the_mean_it_computes():
    values, clusters = rng().normal(size=500), np.arange(500) // 2
    general = cluster_statistic_interval(
        lambda w: float(w @ values / w.sum()), clusters, spec=StatsSpec(n_bootstrap=500), rng=rng(1)
    )
    direct = cluster_interval(values, clusters, spec=StatsSpec(n_bootstrap=500), rng=rng(1))
    assert (general.low, general.high) == pytest.approx((direct.low, direct.high))


def test_a_general_statistic_is_studentised_below_forty_clusters_and_refused_below_six():
    values = rng().normal(size=24)

    def mean(weights):
        return float(weights @ values / weights.sum())

    few = cluster_statistic_interval(mean, np.arange(24) % 8, spec=SPEC, rng=rng(1))
    direct = cluster_interval(values, np.arange(24) % 8, spec=SPEC, rng=rng(1))
    assert few.method == "bootstrap_t"
    assert (few.low, few.high) == pytest.approx((direct.low, direct.high), abs=0.15 * (direct.high - direct.low))
    none = cluster_statistic_interval(mean, np.arange(24) % 5, spec=SPEC, rng=rng(1))
    assert none.method == "none: 5 clusters"
    assert np.isnan(none.low)


def test_undefined_resamples_are_left_out():
    positive = np.arange(50) < 2

    def share(weights):
        seen = weights[positive].sum()
        return float(weights[0] / seen) if seen else float("nan")

    found = cluster_statistic_interval(share, np.arange(50), spec=SPEC, rng=rng(1))
    assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_tails_of_an_interval_are_equal_and_leave_the_confidence(confidence):
    low, high = tails(StatsSpec(confidence=confidence))
    assert (low, high - low) == pytest.approx((1 - high, confidence))


UNEVEN = [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 8]
COVERED = {
    ("equal", "normal"): 0.95,
    ("equal", "exponential"): 0.93,
    ("equal", "a fifth respond"): 0.91,
    ("uneven", "normal"): 0.93,
    ("uneven", "exponential"): 0.92,
    ("uneven", "a fifth respond"): 0.87,
}
"""How often the 95 % interval of 12 clusters holds the mean: what docs/calibration.md says of few clusters."""


@pytest.mark.soak
@pytest.mark.parametrize(("sizes", "effects"), list(COVERED), ids=" ".join)
def test_what_is_said_of_few_clusters_of_uneven_size_and_skewed_effects(sizes, effects):
    cluster = np.repeat(np.arange(12), UNEVEN if sizes == "uneven" else 3)
    draws = {
        "normal": lambda r: r.normal(size=12),
        "exponential": lambda r: r.exponential(size=12) - 1,
        "a fifth respond": lambda r: np.where(r.random(12) < 0.2, r.normal(3, 1, 12), 0) - 0.6,
    }
    held = []
    for seed in range(1500):
        r = np.random.default_rng(seed)
        values = draws[effects](r)[cluster] + 0.5 * r.normal(size=len(cluster))
        found = cluster_interval(values, cluster, spec=StatsSpec(n_bootstrap=400), rng=r)
        held.append(found.low <= 0 <= found.high)
    assert np.mean(held) == pytest.approx(COVERED[sizes, effects], abs=0.02)
