"""Linear probes scored: what is read of noise is nothing, however often classes occur."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from paribus.methods.probe import probe
from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.permutation import sign_flip_rows


@pytest.mark.parametrize("shares", [(0.7, 0.7), (0.3, 0.7)], ids=["one class is rare", "another one is elsewhere"])
def test_a_probe_of_noise_reads_nothing_where_classes_are_uneven(shares):
    p, gains = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        h, clusters = rng.normal(size=(192, 3)), np.arange(96) // 8
        fit, scored = (np.asarray(rng.random(96) < share, np.int64) for share in shares)
        found = probe((h[:96], fit, clusters), (h[96:], scored), n_null=0, rng=rng)
        p.append(sign_flip_rows(reduce_to_clusters(found.gain, clusters).sums, rng=rng)[0][0])
        gains.append(found.gain.mean())
    assert np.mean(np.array(p) <= 0.05) <= 0.2  # against the most frequent class 9 of 10
    assert abs(np.mean(gains)) < 4 * np.std(gains) / np.sqrt(30)


def test_what_it_gains_is_its_balanced_accuracy_above_chance():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    h = rng.normal(size=(300, 4)) + 2 * np.eye(4)[y]
    found = probe((h[:150], y[:150], np.arange(150) // 5), (h[150:], y[150:]), n_null=5, rng=rng)
    labels = y[150:]
    right = found.correct.astype(bool)
    said = np.where(right, labels, (labels + 1) % 3)
    assert found.balanced == pytest.approx(balanced_accuracy_score(labels, said))
    assert found.gain.mean() == pytest.approx(found.balanced - 1 / 3) and found.chance == pytest.approx(1 / 3)
    assert found.balanced > 0.6 and found.control.mean() < found.gain.mean() / 2
