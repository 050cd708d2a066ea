"""Observed levels: tests by cluster, exact where levels are exchangeable, and where only their means agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paribus.stats.level_sums import LevelSums
from paribus.stats.levels import level_permutation


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_planted_level_is_found_by_name():
    draw = rng()
    levels = draw.choice(["a", "b", "c"], size=400)
    values = draw.normal(size=400) + (levels == "b")
    found = level_permutation(values, levels, np.arange(400) // 4, rng=draw, n_permutations=499)
    assert found.levels.tolist() == ["a", "b", "c"]
    assert found.unit == "block"
    assert found.n_exchangeable == 100
    assert found.p[1] == found.p_any == 1 / 500
    rest = values[levels != "b"].mean()
    assert found.effects[1] == pytest.approx(values[levels == "b"].mean() - rest)


def test_effects_are_relative_to_the_baseline_where_one_is_named():
    values, levels = np.array([1.0, 2, 4, np.nan]), np.array([0, 3, 6, 0])
    found = level_permutation(values, levels, np.arange(4), rng=rng(), n_permutations=99, baseline=0)
    assert found.effects[1:].tolist() == [1, 3]
    assert np.isnan(found.p[0])
    with pytest.raises(ValueError, match="baseline level 9"):
        level_permutation(values, levels, np.arange(4), rng=rng(), n_permutations=99, baseline=9)


def test_constant_levels_move_over_clusters_of_any_size():
    draw = rng()
    clusters = np.sort(draw.integers(0, 40, 300))
    found = level_permutation(
        draw.normal(size=300) + 2 * (clusters % 2), clusters % 2, clusters, rng=draw, n_permutations=199
    )
    assert found.unit == "cluster"
    assert found.p[0] == found.p[1] == 1 / 200


@pytest.mark.parametrize("constant", [True, False])
def test_level_tests_by_cluster_hold_their_level_where_row_tests_do_not(constant):
    draw, clusters = rng(2), np.repeat(np.arange(40), 5)
    hits = {"cluster": 0, "row": 0}
    for _ in range(150):
        values = draw.normal(size=40)[clusters] + 0.5 * draw.normal(size=200)
        preferred = draw.integers(0, 2, size=40)[clusters]
        stray = draw.random(200) < 0.1
        levels = preferred if constant else np.where(stray, 1 - preferred, preferred)
        for unit, ids in (("cluster", clusters), ("row", np.arange(200))):
            hits[unit] += level_permutation(values, levels, ids, rng=draw, n_permutations=99).p[0] <= 0.05
    assert hits["cluster"] / 150 <= 0.11
    assert hits["row"] / 150 > 0.2


def test_a_single_level_cannot_be_tested():
    found = level_permutation(np.arange(5.0), np.zeros(5), np.arange(5), rng=rng(), n_permutations=19)
    assert np.isnan(found.p_any)
    assert np.isnan(found.p).all()


@pytest.mark.parametrize("baseline", [0, None])
@pytest.mark.parametrize("constant", [True, False])
def test_levels_of_unlike_spread_and_size_are_no_finding(baseline, constant):
    draw, clusters = rng(3), np.repeat(np.arange(160), 2)
    hits = 0
    for _ in range(200):
        small = draw.random(160) < 0.2
        levels = small[clusters] if constant else np.where(draw.random(320) < 0.1, ~small[clusters], small[clusters])
        values = (draw.normal(size=160)[clusters] + 0.5 * draw.normal(size=320)) * np.where(levels, 3.0, 1.0)
        found = level_permutation(values, levels.astype(int), clusters, rng=draw, n_permutations=99, baseline=baseline)
        hits += found.p[1] <= 0.05
    assert hits / 200 <= 0.1  # a plain difference of means rejects about a fifth of these


def test_a_small_permutation_test_equals_all_arrangements():
    values, levels = np.array([0.3, 1.9, 0.1, 1.1, 2.4, 0.6, 1.5]), np.array([0, 1, 0, 0, 1, 0, 1])

    def welch(group):
        a, b = values[group == 1], values[group == 0]
        own = [x.var(ddof=1) / len(x) * (len(x) - 1) for x in (a, b)]
        common = sum(v * len(x) for v, x in zip(own, (a, b), strict=True)) / (len(values) - 2)
        moderated = [(2 * common / len(x) + v) / (2 + len(x) - 1) for v, x in zip(own, (a, b), strict=True)]
        return (a.mean() - b.mean()) / np.sqrt(sum(moderated))

    observed = abs(welch(levels))
    arrangements = [np.isin(np.arange(7), chosen).astype(int) for chosen in itertools.combinations(range(7), 3)]
    exact = np.mean([abs(welch(each)) >= observed - 1e-9 for each in arrangements])
    found = level_permutation(values, levels, np.arange(7), rng=rng(), n_permutations=20_000, baseline=0)
    assert found.p[1] == pytest.approx(exact, abs=0.02)


def test_silent_levels_are_no_finding_because_another_one_responds_like_clockwork():
    levels = np.repeat(np.arange(10), 6)
    found = level_permutation(2.0 * (levels == 3), levels, np.arange(60), rng=rng(), n_permutations=999)
    assert found.p[3] == 1 / 1000
    assert (np.delete(found.p, 3) > 0.3).all()


def test_a_feature_without_spread_within_levels_is_the_clearest_finding():
    levels = np.repeat([0, 1], 30)
    found = level_permutation(2.0 * levels, levels, np.arange(60), rng=rng(), n_permutations=199, baseline=0)
    assert found.p[1] == 1 / 200
    constant = level_permutation(np.full(60, 0.3), levels, np.arange(60), rng=rng(), n_permutations=199, baseline=0)
    assert constant.p[1] == 1.0
    assert constant.effects[1] == 0.0


@pytest.mark.parametrize("constant", [True, False])
def test_many_clusters_shifted_in_groups_give_the_p_of_free_permutations(constant, monkeypatch):
    draw, clusters = rng(4), np.repeat(np.arange(700), 2)
    preferred = draw.integers(0, 3, 700)[clusters]
    levels = preferred if constant else np.where(draw.random(1400) < 0.3, draw.integers(0, 3, 1400), preferred)
    values = draw.normal(size=700)[clusters] + draw.normal(size=1400) + 0.12 * (levels == 1)
    shifted = level_permutation(values, levels, clusters, rng=rng(5), n_permutations=4000, baseline=0)
    monkeypatch.setattr("paribus.stats.exchange.TABLES_FROM", 10**9)
    free = level_permutation(values, levels, clusters, rng=rng(6), n_permutations=4000, baseline=0)
    assert shifted.p[1:] == pytest.approx(free.p[1:], abs=0.06)
    assert shifted.effects.tolist()[1:] == free.effects.tolist()[1:]


def by_hand(values, levels, clusters, level, base):
    """A level's difference and its t, from the scores of whole clusters."""
    here = levels == level
    there = ~here if base is None else levels == base
    ids = np.unique(clusters)

    def side(rows):
        sizes = np.array([(rows & (clusters == c)).sum() for c in ids])
        mean = values[rows].mean()
        scores = np.array([(values[rows & (clusters == c)] - mean).sum() for c in ids])
        k = np.count_nonzero(sizes)
        df, spread = max(k - 1, 0), (sizes**2).sum() / rows.sum() ** 2
        return mean, scores, df, spread, (scores**2).sum() / (sizes**2).sum() * k / df if df else 0.0

    (a, u, df_a, spread_a, unit_a), (b, v, df_b, spread_b, unit_b) = side(here), side(there)
    common = (df_a * unit_a + df_b * unit_b) / (df_a + df_b)
    apart = spread_a * (2 * common + df_a * unit_a) / (2 + df_a) + spread_b * (2 * common + df_b * unit_b) / (2 + df_b)
    shared = (u * v).sum() / (here.sum() * there.sum())
    return a - b, (a - b) / np.sqrt(max(apart - 2 * shared, 0.01 * apart))


@pytest.mark.parametrize("base", [None, 1])
def test_differences_and_their_t_are_those_of_whole_clusters(base):
    draw = rng(11)
    clusters = np.repeat(np.arange(14), draw.integers(1, 6, 14))
    levels = np.where(draw.random(len(clusters)) < 0.3, clusters % 3, draw.integers(0, 3, len(clusters)))
    levels[clusters < 2] = 2  # some clusters have rows of one level only
    values = draw.normal(size=14)[clusters] + draw.normal(size=len(clusters)) + 0.4 * levels
    values -= values.mean()
    sums = LevelSums.of(values, np.ones(len(values)), clusters, levels, 3, base)
    effects, t = sums.effects(sums.in_place())
    for level in range(3):
        if level == base:
            assert np.isnan(effects[0, level])
        else:
            expected = by_hand(values, levels, clusters, level, base)
            assert (effects[0, level], t[0, level]) == pytest.approx(expected)
