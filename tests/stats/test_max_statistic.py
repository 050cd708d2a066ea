"""Enrichment of many items with family-wise error control."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from paribus.stats.max_statistic import enrichment


def clustered(seed: int, *, n_items: int = 30):
    draw, clusters = np.random.default_rng(seed), np.repeat(np.arange(60), 5)
    high = (draw.random(60) < 0.3)[clusters] ^ (draw.random(300) < 0.05)
    items = (draw.random((60, n_items)) < 0.2)[clusters] ^ (draw.random((300, n_items)) < 0.05)
    return items, high, clusters, draw


def test_z_is_the_hypergeometric_one():
    items, high, clusters, draw = clustered(0)
    found = enrichment(items, high, clusters, rng=draw, n_permutations=19)
    null = hypergeom(300, items[:, 4].sum(), high.sum())
    assert found.z[4] == pytest.approx(((items[:, 4] & high).sum() - null.mean()) / null.std(), rel=1e-5)


def test_a_planted_item_is_found_among_many():
    items, high, clusters, draw = clustered(1, n_items=200)
    items[:, 17] = high & (draw.random(300) < 0.8)
    found = enrichment(items, high, clusters, rng=draw, n_permutations=999)
    assert found.p_adj[17] == pytest.approx(1 / 1000)
    assert np.sum(found.p_adj <= 0.05) <= 2
    assert found.n_exchangeable == 60


def test_family_wise_error_holds_by_cluster_and_not_by_row():
    errors = {"block": 0, "row_as_cluster": 0, "one_row": 0}
    for seed in range(80):
        items, high, clusters, draw = clustered(seed)
        for name, ids, unit in (
            ("block", clusters, "block"),
            ("row_as_cluster", np.arange(300), "block"),
            ("one_row", clusters, "row"),
        ):
            found = enrichment(items, high, ids, rng=draw, n_permutations=199, unit=unit)
            errors[name] += np.nanmin(found.p_adj) <= 0.05
    assert errors["block"] / 80 <= 0.13
    assert errors["one_row"] / 80 <= 0.13
    assert errors["row_as_cluster"] / 80 > 0.4


def test_step_down_is_monotone_and_never_below_the_single_p():
    items, high, clusters, draw = clustered(3)
    items[:, 0] |= high
    found = enrichment(items, high, clusters, rng=draw, n_permutations=199)
    order = np.argsort(-np.abs(found.z))
    assert (np.diff(found.p_adj[order]) >= 0).all()
    assert (found.p_adj >= found.p - 1e-12).all()


def test_one_sided_requests_look_at_one_side():
    items, high, clusters, draw = clustered(4)
    items[:, 0], items[:, 1] = high, ~high
    more = enrichment(items, high, clusters, rng=draw, n_permutations=199, alternative="greater")
    less = enrichment(items, high, clusters, rng=draw, n_permutations=199, alternative="less")
    assert more.p_adj[0] <= 0.01 < 0.9 < more.p_adj[1]
    assert less.p_adj[1] <= 0.01 < 0.9 < less.p_adj[0]


def test_items_in_every_or_no_row_are_left_out():
    items, high, clusters, draw = clustered(5)
    items[:, 0], items[:, 1] = True, False
    found = enrichment(items, high, clusters, rng=draw, n_permutations=19)
    assert np.isnan(found.p_adj[:2]).all()
    assert np.isfinite(found.p_adj[2:]).all()
    assert np.isnan(enrichment(items[:, :2], high, clusters, rng=draw).p).all()


def test_one_row_per_cluster_uses_as_many_rows_as_clusters():
    items, high, clusters, draw = clustered(6)
    assert enrichment(items, high, clusters, rng=draw, n_permutations=19, unit="row").n == 60


def test_wrong_requests_are_refused():
    items, high, clusters, draw = clustered(7)
    with pytest.raises(ValueError, match="'block' or 'row'"):
        enrichment(items, high, clusters, rng=draw, unit="slide")
    with pytest.raises(ValueError, match="alternative"):
        enrichment(items, high, clusters, rng=draw, alternative="both")
    with pytest.raises(ValueError, match="do not fit"):
        enrichment(items[:, 0], high, clusters, rng=draw)
