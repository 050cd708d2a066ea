"""Odds ratios and lifts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import Table2x2

from paribus.stats.intervals import ONE_DECIDES
from paribus.stats.odds import association_table
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec()


def test_independent_rows_give_nearly_the_textbook_interval():
    draw = np.random.default_rng(0)
    high = draw.random(800) < 0.3
    present = np.stack([draw.random(800) < 0.2 + 0.2 * high, np.zeros(800, bool)], axis=1)
    table = association_table(present, high, np.arange(800), spec=SPEC)
    a, b = (present[:, 0] & high).sum(), (~present[:, 0] & high).sum()
    c, d = (present[:, 0] & ~high).sum(), (~present[:, 0] & ~high).sum()
    expected = Table2x2(np.array([[a, b], [c, d]]) + 0.5)
    assert table.odds_ratio[0] == pytest.approx(expected.oddsratio)
    assert (table.odds_low[0], table.odds_high[0]) == pytest.approx(expected.oddsratio_confint(), rel=0.01)
    assert table.support_high[0] == pytest.approx(a / high.sum())
    assert table.support_rest[0] == pytest.approx(c / (~high).sum())
    assert table.support[0] == pytest.approx((a + c) / 800)
    assert (table.n_present[0], table.n_high_present[0]) == (a + c, a)
    assert table.lift[0] == pytest.approx((a / high.sum()) / present[:, 0].mean(), rel=0.02)
    assert table.odds_low[1] < 1 < table.odds_high[1]
    assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
    assert (table.odds_method == "linearised_t").all()


def test_intervals_cover_by_cluster_and_would_not_by_row():
    draw, covered = np.random.default_rng(3), {"cluster": [], "row": []}
    clusters = np.repeat(np.arange(40), 8)
    for _ in range(40):
        high = (draw.random(40) < 0.4)[clusters] ^ (draw.random(320) < 0.05)
        present = (draw.random((40, 10)) < 0.4)[clusters] ^ (draw.random((320, 10)) < 0.05)
        for unit, ids in (("cluster", clusters), ("row", np.arange(320))):
            table = association_table(present, high, ids, spec=SPEC)
            covered[unit].append([(table[f"{n}_low"] <= 1) & (table[f"{n}_high"] >= 1) for n in ("odds", "lift")])
    assert (np.mean(covered["cluster"], axis=(0, 2)) > 0.92).all()
    assert (np.mean(covered["row"], axis=(0, 2)) < 0.75).all()


def covered_of_no_difference(sizes, rate, *, apart=1.0, n_sets=12):
    """Return in what share of items the intervals of odds ratio and lift hold 1; ``apart``: how far clusters differ."""
    draw, k, held = np.random.default_rng(1), len(sizes), []
    clusters = np.repeat(np.arange(k), sizes)
    for _ in range(n_sets):
        high = draw.random(len(clusters)) < (1 / (1 + np.exp(1 - apart * draw.normal(size=k))))[clusters]
        if high.all() or not high.any():
            continue
        by_cluster = 1 / (1 + np.exp(-np.log(rate / (1 - rate)) - draw.normal(size=(k, 100))))
        table = association_table(draw.random((len(clusters), 100)) < by_cluster[clusters], high, clusters, spec=SPEC)
        there = table["odds_low"].notna()
        held.append([((table[f"{n}_low"] <= 1) & (table[f"{n}_high"] >= 1))[there] for n in ("odds", "lift")])
    return np.concatenate(held, axis=1).mean(axis=1)


@pytest.mark.parametrize("rate", [0.4, 0.05])
def test_intervals_cover_where_one_cluster_has_half_of_the_rows(rate):
    assert (covered_of_no_difference([6 * 39] + [6] * 39, rate) > 0.93).all()


@pytest.mark.soak
@pytest.mark.parametrize("k", [6, 8, 12, 20, 40])
@pytest.mark.parametrize("apart", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("sizes", ["equal", "one is half", "1 to 8"])
def test_intervals_cover_in_few_and_uneven_clusters(sizes, apart, k):
    of = {"equal": [6] * k, "one is half": [6 * (k - 1)] + [6] * (k - 1), "1 to 8": np.resize(np.arange(1, 9), k)}
    assert (covered_of_no_difference(of[sizes], 0.4, apart=apart, n_sets=40) > 0.93).all()


def test_a_group_of_one_cluster_has_no_interval():
    clusters = np.repeat(np.arange(9), 4)
    present = np.random.default_rng(0).random((36, 3)) < 0.5
    table = association_table(present, clusters == 4, clusters, spec=SPEC)
    assert (table.odds_method == ONE_DECIDES).all() and (table.lift_method == ONE_DECIDES).all()
    assert table[["odds_low", "odds_adj_high", "lift_low", "lift_adj_high"]].isna().all(axis=None)
    two = association_table(present, (clusters == 4) | (clusters == 5), clusters, spec=SPEC, family=10_000)
    assert np.isfinite(two[["odds_low", "odds_high"]]).all(axis=None), "of two clusters it is wide"


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="both groups"):
        association_table(np.ones((3, 1)), np.ones(3), np.arange(3), spec=SPEC)
    with pytest.raises(ValueError, match="do not fit"):
        association_table(np.ones((3, 1)), np.ones(4), np.arange(3), spec=SPEC)


def test_items_in_blocks_give_the_same_table(monkeypatch):
    draw = np.random.default_rng(4)
    present, high, clusters = draw.random((60, 7)) < 0.4, draw.random(60) < 0.3, np.arange(60) // 2
    whole = association_table(present, high, clusters, spec=SPEC)
    monkeypatch.setattr("paribus.stats.clusters.CHUNK_ELEMENTS", 2 * 60)
    pd.testing.assert_frame_equal(association_table(present, high, clusters, spec=SPEC), whole)


def test_half_counts_give_no_direction_of_their_own():
    high = np.arange(500) < 8
    never, rest_alone, equal, high_alone = np.zeros(500, bool), np.arange(500) >= 490, np.arange(500) % 2 == 0, high
    present = np.stack([never, rest_alone, equal, high_alone, high & (np.arange(500) < 1)], axis=1)
    table = association_table(present, high, np.arange(500), spec=SPEC)
    with_half_counts = 0.5 * 482.5 / (8.5 * 10.5)
    assert with_half_counts > 2, "0 of 8 against 10 of 492 is not enrichment"
    for ratio, low, up in (("odds_ratio", "odds_low", "odds_high"), ("lift", "lift_low", "lift_high")):
        assert table[ratio][:3].tolist() == [1.0, 1.0, 1.0]
        assert (table[ratio][3:] > 1).all()
        assert (table[low] < table[ratio]).all() and (table[ratio] < table[up]).all()


def test_the_direction_is_that_of_the_shares():
    draw = np.random.default_rng(5)
    high, present = draw.random(90) < 0.1, draw.random((90, 200)) < 0.04
    table = association_table(present, high, np.arange(90), spec=SPEC)
    gap = np.sign(table.support_high - table.support_rest)
    for name in ("odds_ratio", "lift"):
        assert (np.sign(np.log(table[name])) * gap >= 0).all()
