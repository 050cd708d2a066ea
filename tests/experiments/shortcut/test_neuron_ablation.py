"""The K sweep: planted units are found, matched sets are alike, and what mean and zero do to the margin."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError
from paribus.experiments.shortcut.neuron_ablation import NeuronAblation
from paribus.experiments.shortcut.neuron_ablation.units import UnitScores, matched_sets, random_sets
from paribus.figures.draw import draw

_PLACE = Path(__file__).parents[2] / "planted" / "toy_shortcut.py"
_SPEC = importlib.util.spec_from_file_location("toy_shortcut", _PLACE)
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run

NAMED_COLUMNS = {
    "epoch",
    "k",
    "ranking",
    "ablation",
    "split",
    "head_acc",
    "auroc",
    "delta",
    "ci_low",
    "ci_high",
    "p",
    "p_adj",
    "domain_probe_frozen",
    "domain_probe_refit",
    "label_probe_frozen",
    "label_probe_refit",
    "null_low",
    "null_median",
    "null_high",
    "null_percentile",
    "null_matched_low",
    "null_matched_percentile",
}


@pytest.fixture(scope="module")
def toy():
    return Toy(n=600, d=8, aligned=True, seed=1)


@pytest.fixture(scope="module")
def found(toy):
    return run(NeuronAblation(ks=[1, 2, 4, 8, 16], ablations=["zero", "mean", "resample"]), toy.setup())


def test_one_row_per_condition_with_the_named_columns(found):
    table = found[1].tables["k_sweep"].frame
    assert not NAMED_COLUMNS - set(table.columns)
    # K = 0 is added, and 16 is more than the width.
    assert sorted(table["k"].unique()) == [0, 1, 2, 4, 8]
    assert len(table) == 3 * 3 * 5 * 3
    assert not table.duplicated(["epoch", "ranking", "ablation", "k", "split"]).any()


def test_planted_units_lead_their_rankings(found):
    units = found[1].tables["units"].frame
    assert units.loc[units["shortcut_rank"] == 0, "unit"].tolist() == [0]
    assert units.loc[units["label_rank"] == 0, "unit"].tolist() == [1]
    assert found[0].custom["first_k"] == 1


def test_only_the_planted_unit_removes_the_shortcut(found):
    table = (
        found[1].tables["k_sweep"].frame.query("split == 'ood' and ablation == 'mean' and k == 1").set_index("ranking")
    )
    assert table.loc["shortcut", "delta"] > 0.1
    assert table.loc["shortcut", "ci_low"] > 0
    assert table.loc["shortcut", "null_percentile"] > 80
    assert table.loc["label", "delta"] < 0
    leakage = found[1].tables["k_sweep"].frame.query("split == 'id_val' and ablation == 'mean' and k == 1")
    leakage = leakage.set_index("ranking")
    assert leakage.loc["shortcut", "domain_probe_refit"] < 0.6 < leakage.loc["label", "domain_probe_refit"]
    assert leakage.loc["label", "label_probe_refit"] < 0.65 < leakage.loc["shortcut", "label_probe_refit"]


def test_no_units_no_effect_and_all_units_no_ranking(found):
    table = found[1].tables["k_sweep"].frame
    assert (table.loc[table["k"] == 0, "delta"] == 0).all()
    assert np.allclose(table.loc[table["k"] == 0, "margin_shift"], 0, atol=1e-12)
    everything = table[(table["k"] == 8) & (table["ablation"] != "resample") & (table["split"] == "ood")]
    assert np.allclose(everything["auroc"], 0.5)


def test_zero_shifts_the_training_margin_and_mean_does_not(toy):
    experiment = NeuronAblation(ks=[1, 4], splits=["train"], null_splits=[])
    exact = replace(toy.setup(), dtype="float64")  # the format decides how far from 0 the mean's shift is
    table = run(experiment, exact)[1].tables["k_sweep"].frame
    assert np.allclose(table.loc[table["ablation"] == "mean", "margin_shift"], 0, atol=1e-9)
    # The units that the head reads have positive means; the random ones may be among those it does not read.
    read = table[(table["ablation"] == "zero") & (table["k"] == 4) & (table["ranking"] != "random")]
    assert read["margin_shift"].abs().min() > 0.1


def test_resampling_keeps_the_units_distribution(found):
    table = found[1].tables["k_sweep"].frame.query("ablation == 'resample' and split == 'ood' and k == 8")
    # All units from another row: another context's prediction, so the mean margin stays and the label is lost.
    assert np.allclose(table["margin_shift"], 0, atol=1e-9)
    assert (table["auroc"] - 0.5).abs().max() < 0.1


def test_nulls_stand_where_they_were_asked_for(found):
    table = found[1].tables["k_sweep"].frame
    some = table["k"].between(1, 4)
    assert table.loc[some & (table["split"] == "ood"), ["null_low", "null_high"]].notna().all(axis=None)
    assert table.loc[table["split"] != "ood", "null_low"].isna().all()
    assert table.loc[(table["ranking"] == "random"), "null_matched_low"].isna().all()


def test_p_is_adjusted_within_a_checkpoint(toy):
    experiment = NeuronAblation(ks=[1, 2], rankings=["shortcut"], ablations=["mean"], null_splits=[])
    _, alone = run(experiment, toy.setup(weights={4: None}))
    aggregates, both = run(experiment, toy.setup(checkpoint="all", weights={2: None, 4: None}))
    assert aggregates.custom["p_adj_family"] == "checkpoint"
    table = both.tables["k_sweep"].frame
    for _, rows in table.groupby("epoch"):
        assert (rows["p_adj"] >= rows["p"] - 1e-12).all()
        assert np.allclose(rows["p_adj"], alone.tables["k_sweep"].frame["p_adj"], atol=0.03)


def test_figures_can_be_drawn(found):
    tables = {name: table.frame for name, table in found[1].tables.items()}
    assert {figure.name for figure in found[1].figures} == {"k_sweep", "k_leakage", "k_accuracy_and_auroc"}
    for figure in found[1].figures:
        assert draw(figure, tables).axes


def test_the_same_seed_gives_the_same_table(toy):
    experiment = NeuronAblation(ks=[2], ablations=["zero", "resample"])
    first, second = (run(experiment, toy.setup())[1].tables["k_sweep"].frame for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_random_sets_have_k_different_units(seed, k):
    drawn = random_sets(12, k, 30, np.random.default_rng(seed))
    assert drawn.shape == (30, k)
    assert all(len(set(row)) == k for row in drawn.tolist())
    assert drawn.min() >= 0
    assert drawn.max() < 12


def test_random_sets_draw_all_units_equally_often():
    drawn = random_sets(10, 3, 20_000, np.random.default_rng(0))
    assert np.allclose(np.bincount(drawn.ravel(), minlength=10) / 20_000, 0.3, atol=0.02)


def test_matched_sets_are_like_the_units_they_match():
    r = np.random.default_rng(2)
    activation, norm = r.random(200), r.random(200)
    scores = UnitScores(r.random(200), r.random(200), activation, norm)
    large = np.argsort(-(activation + norm))[:20]
    matched = matched_sets(scores, large, 300, r)
    plain = random_sets(200, 20, 300, r)
    for value in (activation, norm):
        target = value[large].mean()
        assert abs(value[matched].mean() - target) < 0.5 * abs(value[plain].mean() - target)
    assert all(len(set(row)) == 20 for row in matched.tolist())
    # Not just the same units again.
    assert np.isin(matched, large).mean() < 0.75


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ks": []}, "at least one"),
        ({"ks": [-1]}, "at least 0"),
        ({"rankings": ["domain"]}, "no such choice"),
        ({"ablations": ["zer"]}, "did you mean 'zero'"),
        ({"ablations": ["zero", "zero"]}, "each once"),
        ({"site": "fc"}, "no module 'fc'"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(toy, changes, words):
    with pytest.raises(ConfigError) as caught:
        run(NeuronAblation(**changes), toy.setup())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
