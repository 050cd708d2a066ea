"""Sign flips and level permutations: brute force, scipy, and false-positive rates."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.permutation import draws_for, sign_flip_rows


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Flipped(NamedTuple):
    p: float
    method: str


def sign_flip(values, clusters, **how) -> Flipped:
    p, method = sign_flip_rows(reduce_to_clusters(values, clusters).sums, **how)
    return Flipped(p[0], method[0])


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_exact_p_counts_all_sign_patterns(values):
    data = np.array(values, dtype=float)
    sums = [np.dot(signs, data) for signs in itertools.product((1, -1), repeat=len(data))]
    found = sign_flip(data, np.arange(len(data)), rng=rng())
    assert found.method == "exact"
    assert found.p == pytest.approx(np.mean(np.abs(sums) >= abs(data.sum()) - 1e-9))


def test_exact_p_agrees_with_scipy():
    values = rng().normal(size=11) + 0.4
    theirs = scipy_stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(values, np.arange(11), rng=rng()).p == pytest.approx(theirs.pvalue)


def test_monte_carlo_p_approaches_the_exact_one_and_is_never_zero():
    values = rng(1).normal(size=20) + 0.3
    found = sign_flip(values, np.arange(20), rng=rng(), n_permutations=9999)
    totals = np.zeros(1)
    for value in values:
        totals = np.concatenate([totals + value, totals - value])
    assert found.method == "monte_carlo"
    assert found.p == pytest.approx(np.mean(np.abs(totals) >= abs(totals[0]) - 1e-9), abs=0.02)
    assert sign_flip(np.ones(100), np.arange(100), rng=rng(), n_permutations=999).p == 1 / 1000


def test_clusters_flip_whole():
    values = np.array([1.0, 1, 1, 1, 1, 1])
    assert sign_flip(values, [0, 0, 1, 1, 2, 2], rng=rng()).p == 2 / 8


def test_clusters_without_effect_change_nothing():
    values = np.array([1.0, 2, 3, 4, 5, 6])
    padded = np.concatenate([values, np.zeros(500)])
    a, b = sign_flip(values, np.arange(6), rng=rng()), sign_flip(padded, np.arange(506), rng=rng())
    assert a.p == b.p == 2 / 64
    assert b.method == "exact"
    assert sign_flip(np.zeros(30), np.arange(30), rng=rng()).p == 1


def test_many_clusters_are_tested_in_blocks_without_losing_the_effect():
    values = rng().normal(size=(2, 30_000))
    values[0] += 0.03
    p, _ = sign_flip_rows(values, rng=rng(1), n_permutations=999)
    assert p[0] < 0.01
    assert p[1] > 0.05


def test_false_positive_rate_is_nominal_by_cluster_and_not_by_row():
    draw = rng(5)
    values = (draw.normal(size=(1000, 12, 1)) + draw.normal(size=(1000, 12, 5))).reshape(1000, 60)
    by_cluster, _ = sign_flip_rows(values.reshape(1000, 12, 5).sum(axis=2), rng=draw, n_permutations=499)
    by_row, _ = sign_flip_rows(values, rng=draw, n_permutations=499)
    assert 0.03 <= np.mean(by_cluster <= 0.05) <= 0.07
    assert np.mean(by_row <= 0.05) > 0.2


def test_a_family_gets_forty_draws_a_row():
    assert draws_for(60, 9999) == 9999
    assert draws_for(1000, 9999) == 40_000


def test_everything_is_enumerated_up_to_the_limit_and_drawn_above_it():
    values = rng(3).normal(size=(1, 15)) + 0.2
    _, method = sign_flip_rows(values[:, :14], rng=rng(), n_permutations=99)
    assert method.tolist() == ["exact"]
    p, method = sign_flip_rows(values, rng=rng(), n_permutations=99)
    assert method.tolist() == ["monte_carlo"] and p[0] * 100 == pytest.approx(round(p[0] * 100))
