"""Effects of rows whose contexts are those of different splits: bounds, families across splits, changes of AUROC."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paribus.experiments.base import Setup
from paribus.experiments.shortcut._effects import add_effects, auroc_change
from paribus.stats.effects import effect_table
from paribus.stats.intervals import SHARE_GAP
from paribus.stats.spec import StatsSpec

SPEC = StatsSpec(n_bootstrap=400, n_permutations=199)


class Told:
    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def rng(seed=0):
    return np.random.default_rng(seed)


class Drawn(Setup):
    def rng(self, name):
        return rng(self.seed)


def added(rows, clusters, **keywords):
    table = pd.DataFrame({"split": [split for split, _ in rows]})
    return add_effects(table, [values for _, values in rows], clusters, Drawn(seed=1, stats=SPEC), Told(), **keywords)


def test_intervals_beside_adjusted_p_hold_for_the_rows_of_all_splits():
    """They miss one row of any split no more often than asked, where the rows' own intervals do."""
    clusters = {"id_val": np.arange(60) // 2, "ood": 100 + np.arange(50) // 2}
    together, singly = [], []
    for seed in range(60):
        rows = [(split, rng([seed, i]).normal(size=len(clusters[split]))) for i in range(4) for split in clusters]
        table = added(rows, clusters)
        together.append(((table["ci_adj_low"] <= 0) & (table["ci_adj_high"] >= 0)).all())
        singly.append(((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).all())
    assert np.mean(together) >= 0.93 > 0.88 > np.mean(singly)


def test_a_family_is_a_family_for_p_and_interval_alike():
    clusters = {"ood": np.arange(40)}
    rows = [("ood", rng(i).normal(0.3, 1, 40)) for i in range(6)]
    alone = added(rows, clusters, family=range(6))
    assert (alone["ci_adj_low"] == alone["ci_low"]).all() and (alone["p_adj"] == alone["p"]).all()
    together = added(rows, clusters)
    assert (together["ci_adj_high"] - together["ci_adj_low"] > alone["ci_high"] - alone["ci_low"]).all()


def test_changes_of_correctness_stay_between_minus_one_and_one_and_say_how_their_interval_was_made():
    flips = np.array([1.0] * 7 + [0.0])
    rows = [("ood", flips), ("ood", np.zeros(8)), ("ood", np.ones(8)), ("id_val", np.ones(4))]
    table = added(rows, {"ood": np.arange(8), "id_val": np.arange(4)}, bounds=SHARE_GAP)
    assert table.loc[0, "ci_high"] == table.loc[0, "ci_adj_high"] == 1 and table.loc[0, "ci_low"] < 1
    assert effect_table(flips, np.arange(8), spec=SPEC, rng=rng(1))["ci_high"][0] > 1
    assert table["ci_method"].tolist() == ["bootstrap_t", "exact_zero", "none: units are equal", "none: 4 clusters"]
    assert table.loc[2:, ["ci_low", "ci_high", "ci_adj_low", "ci_adj_high"]].isna().all(axis=None)
    assert set(table["p_method"]) == {"exact"} and table.loc[1, "p"] == 1


def test_a_change_of_auroc_has_no_interval_without_width_and_none_beyond_one():
    truth, clusters = np.arange(40) % 2, np.arange(40)
    rising = truth + 0.01 * np.arange(40) / 40
    edited = np.stack([-rising, rising, rng().normal(size=40)])
    change, low, high, method = auroc_change(rising, edited, truth, clusters, spec=SPEC, rng=rng(1))
    assert change[0] == -1 and np.isnan([low[0], high[0]]).all() and method[0] == "none: units are equal"
    assert (change[1], low[1], high[1], method[1]) == (0, 0, 0, "exact_zero")
    assert -1 <= low[2] < change[2] < high[2] <= 0.5 and method[2] == "bootstrap_t"
    *_, method = auroc_change(rising, edited, np.ones(40), clusters, spec=SPEC, rng=rng(1))
    assert set(method) == {"none: one class only"}


@pytest.mark.parametrize("n_clusters", [3, 5])
def test_few_clusters_have_no_interval_of_any_change(n_clusters):
    truth, clusters = np.arange(30) % 2, np.arange(30) % n_clusters
    *_, low, high, method = auroc_change(
        rng().normal(size=30), rng(1).normal(size=(1, 30)), truth, clusters, spec=SPEC, rng=rng(1)
    )
    assert np.isnan([low, high]).all() and method[0] == f"none: {n_clusters} clusters"
