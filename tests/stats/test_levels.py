"""Observed levels: tests by cluster, exact where levels are exchangeable, and where only their means agree."""

from __future__ import annotations

import numpy as np
import pytest

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
