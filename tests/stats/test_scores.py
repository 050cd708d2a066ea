"""Scores against scikit-learn, over columns, weights and ties."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from paribus.stats.scores import accuracy, auroc, balanced_accuracy


def sample(seed: int = 0, n: int = 120):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    return labels, draw.integers(0, 3, size=(n, 4)), draw.random((n, 5))


def test_accuracies_agree_with_scikit_learn_for_every_column_and_weighting():
    labels, predictions, weights = sample()
    a, b = accuracy(predictions, labels, weights=weights), balanced_accuracy(predictions, labels, weights=weights)
    assert a.shape == b.shape == (4, 5)
    for i in range(4):
        for j in range(5):
            w, column = weights[:, j], predictions[:, i]
            assert a[i, j] == pytest.approx(metrics.accuracy_score(labels, column, sample_weight=w))
            assert b[i, j] == pytest.approx(metrics.balanced_accuracy_score(labels, column, sample_weight=w))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n_values=st.integers(1, 30))
def test_auroc_agrees_with_scikit_learn_under_ties_and_weights(seed, n_values):
    draw = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1], draw.integers(0, 2, 40)])
    scores, weights = draw.integers(0, n_values, size=(42, 3)).astype(float), draw.random((42, 2)) + 0.01
    found = auroc(scores, labels, weights=weights)
    for i in range(3):
        for j in range(2):
            expected = metrics.roc_auc_score(labels, scores[:, i], sample_weight=weights[:, j])
            assert found[i, j] == pytest.approx(expected)


def test_shapes_follow_the_request():
    labels, predictions, weights = sample()
    binary = labels > 0
    assert isinstance(accuracy(predictions[:, 0], labels), float)
    assert isinstance(auroc(weights[:, 0], binary), float)
    assert auroc(weights, binary).shape == (5,)
    assert auroc(weights[:, 0], binary, weights=weights).shape == (5,)
    assert balanced_accuracy(predictions, labels, weights=weights[:, 0]).shape == (4,)


def test_whole_weights_repeat_rows():
    labels, predictions, scores = sample()
    counts = np.random.default_rng(1).integers(0, 3, 120)
    rows = np.repeat(np.arange(120), counts)
    assert accuracy(predictions, labels, weights=counts) == pytest.approx(accuracy(predictions[rows], labels[rows]))
    assert auroc(scores, labels > 0, weights=counts) == pytest.approx(auroc(scores[rows], labels[rows] > 0))


def test_a_class_without_weight_leaves_the_score_undefined_or_out():
    assert np.isnan(auroc([0.1, 0.2], [1, 1]))
    assert np.isnan(accuracy([1], [1], weights=[0.0]))
    assert balanced_accuracy([0, 1, 2], [0, 1, 1], weights=[1.0, 1.0, 0.0]) == 1.0
    assert np.isnan(auroc([0.1, np.nan, 0.3], [0, 1, 1]))


def test_auroc_does_not_move_with_a_rising_transformation():
    labels, _, scores = sample()
    assert auroc(np.exp(5 * scores), labels > 0) == pytest.approx(auroc(scores, labels > 0))
    assert auroc(-scores, labels > 0) == pytest.approx(1 - auroc(scores, labels > 0))


def test_many_columns_take_no_time():
    draw = np.random.default_rng(0)
    labels, scores = draw.integers(0, 2, 1000), draw.normal(size=(1000, 2000))
    start = time.perf_counter()
    auroc(scores, labels)
    assert time.perf_counter() - start < 3


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"3 labels .*\(2,\)"):
        accuracy([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="0 and 1"):
        auroc([0.1, 0.2, 0.3], [0, 1, 2])
