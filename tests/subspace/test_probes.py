"""Linear probes against scikit-learn, and the choice of their penalty."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from paribus.errors import ExperimentError
from paribus.subspace._logistic import _two_loops
from paribus.subspace.probes import LinearProbe, balance_weights, fit_one_vs_rest, fit_probe, grouped_folds


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn_at_a_given_penalty(n_classes, weighted):
    n, d, l2 = 400, 10, 0.02
    r = rng(n_classes)
    y = r.integers(0, n_classes, n)
    h = r.standard_normal((n, d)) * np.linspace(0.1, 5, d) + r.standard_normal((n_classes, d))[y] * 0.5 + 2
    weights = r.random(n) + 0.1 if weighted else np.ones(n)
    probe = fit_probe(h, y, clusters=np.arange(n), rng=rng(), weights=weights, l2=l2, tolerance=1e-8)

    share = weights / weights.sum()
    mean = share @ h
    x = (h - mean) / np.sqrt(share @ (h - mean) ** 2)
    oracle = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(x, y, sample_weight=share)
    assert np.allclose(probe.coef, oracle.coef_, atol=1e-4)
    shift = probe.intercept.mean() if n_classes > 2 else 0.0
    assert np.allclose(probe.intercept - shift, oracle.intercept_, atol=1e-4)
    assert (probe.predict(h) == oracle.predict(x)).all()
    assert probe.coef.shape == ((1 if n_classes == 2 else n_classes), d)


def test_rows_are_the_coefficients_of_the_raw_features(plant):
    made = plant(n_domains=3)
    probe = fit_probe(made.h, made.domains, clusters=made.clusters, rng=rng(), l2=0.01)
    step = rng(5).standard_normal(made.h.shape[1])
    moved = probe.scores(made.h + step) - probe.scores(made.h)
    assert np.allclose(moved, probe.rows() @ step)


def test_a_softmax_probe_of_three_domains_has_three_rows_of_rank_two(plant):
    made = plant(n_domains=3)
    rows = fit_probe(made.h, made.domains, clusters=made.clusters, rng=rng()).rows()
    assert rows.shape[0] == 3
    assert np.linalg.matrix_rank(rows, tol=1e-6) == 2
    assert np.linalg.cond(rows @ rows.T) > 1e8


def test_noise_gets_a_stronger_penalty_than_signal(plant):
    noise = plant(domain_gap=0.0, n=300, d=40)
    signal = plant(domain_gap=4.0, n=300, d=40)
    strong = fit_probe(noise.h, noise.domains, clusters=noise.clusters, rng=rng())
    weak = fit_probe(signal.h, signal.domains, clusters=signal.clusters, rng=rng())
    assert strong.l2 >= 0.1 > weak.l2
    held = plant(seed=1, domain_gap=4.0, n=300, d=40)
    assert weak.classes.tolist() == [0, 1]
    assert weak.coef.shape == (1, 40)
    assert held.h.shape == (300, 40)


def test_penalty_is_chosen_across_clusters_not_rows():
    # Every cluster has its own fingerprint and one class: row-wise folds would see it, cluster-wise folds cannot.
    r = rng(3)
    cluster = np.repeat(np.arange(40), 10)
    y = r.integers(0, 2, 40)[cluster]
    h = (r.standard_normal((40, 30)) * 3)[cluster] + r.standard_normal((400, 30)) * 0.1
    by_cluster = fit_probe(h, y, clusters=cluster, rng=rng())
    by_row = fit_probe(h, y, clusters=np.arange(400), rng=rng())
    assert by_cluster.l2 > by_row.l2


def test_a_dead_feature_gets_no_weight():
    r = rng(1)
    y = r.integers(0, 2, 200)
    h = np.column_stack([np.full(200, 0.3), r.standard_normal(200) + y])
    probe = fit_probe(h, y, clusters=np.arange(200), rng=rng())
    assert abs(probe.coef[0, 0]) < 1e-12
    assert np.isfinite(probe.rows()).all()


def test_balanced_rows_get_equal_cells(plant):
    made = plant(confounding=0.9)
    weights = balance_weights(made.domains, made.labels)
    totals = [weights[(made.domains == a) & (made.labels == b)].sum() for a in (0, 1) for b in (0, 1)]
    assert np.allclose(totals, len(weights) / 4)
    assert np.isclose(weights.mean(), 1)


def test_one_vs_rest_has_a_row_per_class_and_one_for_two(plant):
    made = plant(n_domains=3)
    coef = fit_one_vs_rest(made.h, made.domains, clusters=made.clusters, rng=rng())
    assert coef.shape == (3, made.h.shape[1])
    # The outer domains lie at the ends of one axis, so their probes look in opposite directions.
    assert np.dot(coef[0], coef[2]) < 0
    two = plant(n_domains=2)
    assert fit_one_vs_rest(two.h, two.domains, clusters=two.clusters, rng=rng()).shape == (1, two.h.shape[1])


def test_class_names_may_be_strings(plant):
    made = plant(n=400, domain_gap=8.0)
    names = np.array(["left", "right"])[made.domains]
    probe = fit_probe(made.h, names, clusters=made.clusters, rng=rng())
    assert (probe.predict(made.h) == names).mean() > 0.97
    assert isinstance(probe, LinearProbe)


@pytest.mark.parametrize(
    ("h", "y", "words"),
    [
        (np.ones((4, 2)), [1, 1, 1, 1], "at least two classes"),
        (np.full((4, 2), np.nan), [0, 1, 0, 1], "NaN"),
        (np.ones(4), [0, 1, 0, 1], "matrix"),
        (np.ones((4, 2)), [0, 1], "one class per row"),
    ],
)
def test_what_cannot_be_fitted_is_refused(h, y, words):
    with pytest.raises(ExperimentError, match=words):
        fit_probe(h, y, clusters=np.arange(4), rng=rng())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 30))
def test_folds_keep_clusters_whole_and_classes_spread(seed, n_folds, n_clusters):
    r = rng(seed)
    cluster = r.integers(0, n_clusters, 120)
    y = r.integers(0, 3, n_clusters)[cluster]
    folds = grouped_folds(y, cluster, n_folds, r)
    assert all(len(set(folds[cluster == name])) == 1 for name in set(cluster))
    for label in set(y):
        names = {name: folds[cluster == name][0] for name in set(cluster[y == label])}
        per_fold = np.bincount(list(names.values()), minlength=n_folds)
        assert per_fold.max() - per_fold.min() <= 1


def test_directions_are_those_of_the_inverse_hessian_that_bfgs_keeps():
    r = rng(3)
    root = r.standard_normal((5, 5))
    hessian = root @ root.T + np.eye(5)
    kept: deque[tuple[np.ndarray, np.ndarray, float]] = deque()
    for _ in range(4):
        step = r.standard_normal(5)
        kept.append((step, hessian @ step, 1.0 / float(step @ hessian @ step)))
    step, change, inverse = kept[-1]
    dense = np.eye(5) / (inverse * float(change @ change))
    for step, change, inverse in kept:  # Nocedal and Wright (2006), equation 6.17
        left = np.eye(5) - inverse * np.outer(step, change)
        dense = left @ dense @ left.T + inverse * np.outer(step, step)
    gradient = r.standard_normal(5)
    assert np.allclose(_two_loops(gradient, kept), -dense @ gradient)
