"""Cluster bootstrap: agreement with scipy and brute force, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from paribus.stats.bootstrap import Interval, cluster_interval, mean_intervals, tails, weighted_intervals, widened
from paribus.stats.clusters import ClusterSums, reduce_to_clusters
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
        return mean, 15 / 14 * np.sqrt(((sums - mean * sizes) ** 2).sum()) / sizes.sum()

    mean, se = estimate(groups)
    draw, t = rng(2), []
    for _ in range(8000):
        m, s = estimate([groups[i] for i in draw.integers(0, 15, 15)])
        t.append((m - mean) / s)
    tail = scipy_stats.norm.cdf(scipy_stats.t.ppf(0.025, 14) * np.sqrt(15 / 14))
    low, high = mean - np.quantile(t, 1 - tail) * se, mean - np.quantile(t, tail) * se
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=0.06)


@pytest.mark.parametrize(("k", "least"), [(6, 0.96), (12, 0.95), (30, 0.935), (60, 0.925)])
def test_intervals_cover_with_few_and_with_many_clusters(k, least):
    values, clusters = clustered(1200, k, 3, seed=k)
    sums = reduce_to_clusters(values, clusters)
    low, high, _ = mean_intervals(sums, spec=StatsSpec(n_bootstrap=600), rng=rng(1))
    assert least <= np.mean((low <= 0) & (high >= 0)) <= 0.99


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


def of_rows(statistic, clusters, spec=SPEC):
    """The interval of a statistic of weighted rows."""
    found = weighted_intervals(
        lambda weights: np.array([[statistic(row)] for row in weights[:, clusters]]),
        np.bincount(clusters).astype(float),
        spec=spec,
        rng=rng(1),
    )
    return Interval(*(each[0] for each in found))


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
    general = of_rows(lambda w: float(w @ values / w.sum()), clusters, StatsSpec(n_bootstrap=500))
    direct = cluster_interval(values, clusters, spec=StatsSpec(n_bootstrap=500), rng=rng(1))
    assert (general.low, general.high) == pytest.approx((direct.low, direct.high))


def test_a_general_statistic_is_studentised_below_forty_clusters_and_refused_below_six():
    values = rng().normal(size=24)

    def mean(weights):
        return float(weights @ values / weights.sum())

    few = of_rows(mean, np.arange(24) % 8)
    direct = cluster_interval(values, np.arange(24) % 8, spec=SPEC, rng=rng(1))
    assert few.method == "bootstrap_t"
    assert (few.low, few.high) == pytest.approx((direct.low, direct.high), abs=0.15 * (direct.high - direct.low))
    none = of_rows(mean, np.arange(24) % 5)
    assert none.method == "none: 5 clusters"
    assert np.isnan(none.low)


def test_undefined_resamples_are_left_out():
    positive = np.arange(50) < 2

    def share(weights):
        seen = weights[positive].sum()
        return float(weights[0] / seen) if seen else float("nan")

    found = of_rows(share, np.arange(50))
    assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_tails_of_an_interval_are_equal_and_leave_the_confidence(confidence):
    low, high = tails(StatsSpec(confidence=confidence))
    assert (low, high - low) == pytest.approx((1 - high, confidence))


def test_the_tails_of_few_clusters_are_widened_within_bounds():
    effective = np.array([1.0, 4.0, 6.0, 9.5, 30.0, 1000.0])
    found = widened(0.025, effective)
    assert (np.diff(found) >= 0).all() and found[0] == found[1] == pytest.approx(0.01)
    quantile = scipy_stats.t.ppf(0.025, 29) * np.sqrt(30 / 29)
    assert found[4] == pytest.approx(scipy_stats.norm.cdf(quantile))
    assert found[5] == pytest.approx(0.025, rel=0.01)


def sampled(effects: str, sizes: list[int] | np.ndarray, n_sets: int, *, within: float = 0.5) -> ClusterSums:
    """Sets of contexts in clusters of these sizes whose mean effect is 0, as sums."""
    draw, k, counts = rng(len(sizes)), len(sizes), np.array(sizes, dtype=float)
    of_clusters = {
        "normal": lambda: draw.normal(size=(n_sets, k)),
        "lognormal": lambda: (draw.lognormal(size=(n_sets, k)) - np.exp(0.5)) / 2.1612,
        "exponential": lambda: draw.exponential(size=(n_sets, k)) - 1,
        "a fifth respond": lambda: np.where(draw.random((n_sets, k)) < 0.2, draw.normal(3, 1, (n_sets, k)), 0) - 0.6,
    }[effects]()
    means = of_clusters + within * draw.normal(size=(n_sets, k)) / np.sqrt(counts)
    return ClusterSums(means * counts, np.broadcast_to(counts, means.shape).copy(), np.ones(n_sets))


def covered(sums: ClusterSums, n_bootstrap: int) -> float:
    low, high, _ = mean_intervals(sums, spec=StatsSpec(n_bootstrap=n_bootstrap), rng=rng(1))
    return float(np.mean((low <= 0) & (high >= 0)))


def half(k: int) -> list[int]:
    """Sizes of k clusters of which the first has half of the contexts."""
    return [4 * (k - 1), *[4] * (k - 1)]


@pytest.mark.parametrize(
    ("effects", "sizes", "least"),
    [("normal", half(12), 0.965), ("lognormal", half(12), 0.925), ("lognormal", [6] * 8, 0.915)],
    ids=["one is half, normal", "one is half, skewed", "equal, skewed"],
)
def test_one_large_cluster_and_skewed_effects_leave_the_coverage(effects, sizes, least):
    assert covered(sampled(effects, sizes, 1500), 400) >= least  # before: .88, .84, .88


def test_many_clusters_of_which_one_has_half_of_the_contexts_are_as_few():
    sums = sampled("normal", half(300), 3)
    _, _, method = mean_intervals(sums, spec=StatsSpec(n_bootstrap=100), rng=rng(1))
    even = mean_intervals(sampled("normal", [4] * 300, 3), spec=StatsSpec(n_bootstrap=100), rng=rng(1))[2]
    assert set(method) == {"bootstrap_t"} and set(even) == {"percentile"}


def test_a_statistic_that_one_cluster_decides_has_no_interval():
    positive, ones = np.arange(24) < 3, np.ones(24)

    def share(weights):
        seen = (weights * positive).sum()
        return float((weights * positive * np.arange(24)).sum() / seen) if seen else float("nan")

    assert share(ones) == 1
    found = of_rows(share, np.repeat(np.arange(8), 3))
    assert np.isnan(found.low) and found.method == "none: undefined without one of the clusters"


def test_an_interval_does_not_change_what_is_drawn_after_it():
    drawn = []
    for n_bootstrap in (100, 100):
        draw = rng(4)
        mean_intervals(sampled("normal", [4] * 20, 2), spec=StatsSpec(n_bootstrap=n_bootstrap), rng=draw)
        drawn.append(draw.random())
    plain = rng(4)
    plain.integers(0, 20, size=(100, 20))
    assert drawn[0] == drawn[1] == plain.random()


COVERED = {
    ("normal", "equal"): (0.981, 0.98, 0.977, 0.97, 0.958),
    ("normal", "one is half"): (0.987, 0.984, 0.978, 0.982, 0.985),
    ("normal", "1 to 8"): (0.986, 0.98, 0.972, 0.968, 0.96),
    ("lognormal", "equal"): (0.94, 0.932, 0.938, 0.938, 0.944),
    ("lognormal", "one is half"): (0.959, 0.944, 0.946, 0.953, 0.965),
    ("lognormal", "1 to 8"): (0.97, 0.948, 0.936, 0.936, 0.936),
    ("a fifth respond", "equal"): (0.777, 0.827, 0.922, 0.972, 0.987),
    ("a fifth respond", "one is half"): (0.8, 0.836, 0.911, 0.959, 0.99),
}
"""How often the 95 % interval of 6, 8, 12, 20 and 40 clusters holds the mean: what docs/calibration.md says of few."""
UNEVEN = [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 8]


@pytest.mark.soak
@pytest.mark.parametrize(("effects", "shape"), list(COVERED), ids=str)
def test_what_is_said_of_few_clusters_of_uneven_size_and_skewed_effects(effects, shape):
    for k, expected in zip((6, 8, 12, 20, 40), COVERED[effects, shape], strict=True):
        sizes = {"equal": [6] * k, "one is half": half(k), "1 to 8": np.resize(UNEVEN, k)}[shape]
        assert covered(sampled(effects, sizes, 3000), 1000) == pytest.approx(expected, abs=0.02)
