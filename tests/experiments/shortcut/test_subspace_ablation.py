"""The ablation's table, its trajectory over checkpoints, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from paribus.errors import ConfigError, DataError, ExperimentError
from paribus.experiments.shortcut._margin import aurocs, margin, ranking
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.figures.draw import draw

_PLACE = Path(__file__).parents[2] / "planted" / "toy_shortcut.py"
_SPEC = importlib.util.spec_from_file_location("toy_shortcut", _PLACE)
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run

NAMED_COLUMNS = {
    "epoch",
    "method",
    "rank",
    "n",
    "head_acc_raw",
    "head_acc_ablated",
    "delta",
    "ci_low",
    "ci_high",
    "auroc_raw",
    "auroc_ablated",
    "balanced_acc_raw",
    "balanced_acc_ablated",
    "domain_probe_frozen_raw",
    "domain_probe_frozen_ablated",
    "domain_probe_refit_raw",
    "domain_probe_refit_ablated",
    "label_probe_frozen_raw",
    "label_probe_frozen_ablated",
    "label_probe_refit_raw",
    "label_probe_refit_ablated",
    "distortion",
    "swap_remaining",
    "null_low",
    "null_median",
    "null_high",
    "null_percentile",
    "null_covariance_low",
    "null_covariance_median",
    "null_covariance_high",
    "null_covariance_percentile",
    "p",
    "p_adj",
    "split",
}


@pytest.fixture(scope="module")
def toy():
    return Toy(n=800, seed=1)


@pytest.fixture(scope="module")
def single(toy):
    return run(SubspaceAblation(), toy.setup())


def test_one_row_per_method_and_split_with_the_named_columns(single):
    table = single[1].tables["ablation"].frame
    assert not NAMED_COLUMNS - set(table.columns)
    assert len(table) == 7 * 3
    assert not table.duplicated(["epoch", "method", "split"]).any()
    assert single[1].tables["ablation"].evidence == "interventional"


def test_domain_probes_are_read_only_where_the_domains_are_known(single):
    table = single[1].tables["ablation"].frame
    probes = [column for column in table if column.startswith("domain_probe")]
    assert table.loc[table["split"] == "id_val", probes].notna().all(axis=None)
    assert table.loc[table["split"] != "id_val", probes].isna().all(axis=None)
    assert table[[c for c in table if c.startswith("label_probe")]].notna().all(axis=None)


def test_leakage_falls_to_chance_for_erasers_and_not_for_a_random_subspace(single):
    table = single[1].tables["ablation"].frame.query("split == 'id_val'").set_index("method")
    assert table.loc["random", "domain_probe_refit_ablated"] > 0.75
    assert (table.loc[["leace", "mean_difference", "inlp"], "domain_probe_refit_ablated"] < 0.6).all()
    assert (table["label_probe_refit_ablated"] > 0.7).all()


def test_null_quantiles_are_ordered_and_beaten_by_the_planted_subspace(single):
    table = single[1].tables["ablation"].frame
    for prefix in ("null", "null_covariance"):
        assert (table[f"{prefix}_low"] <= table[f"{prefix}_median"]).all()
        assert (table[f"{prefix}_median"] <= table[f"{prefix}_high"]).all()
    planted = table.query("split == 'ood' and method == 'mean_difference'").iloc[0]
    assert planted["null_percentile"] == 100
    assert planted["null_auroc_percentile"] == 100


def test_auroc_intervals_cover_the_change_and_delta_intervals_the_delta(single):
    table = single[1].tables["ablation"].frame
    assert (table["auroc_ci_low"] <= table["auroc_delta"]).all()
    assert (table["auroc_delta"] <= table["auroc_ci_high"]).all()
    assert ((table["ci_low"] <= table["delta"]) & (table["delta"] <= table["ci_high"])).all()


def test_rows_of_equal_margins_but_for_rounding_cannot_be_ranked():
    """Removing all that the head reads leaves noise of the last bits; its AUROC is that of a coin."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 2))
    truth = np.arange(40) % 2
    nothing = 0.25 + rng.normal(0, 1e-6, (3, 40))
    real = margin(logits, 1)
    assert aurocs(np.vstack([nothing, real]), logits, truth)[:3].tolist() == [0.5] * 3
    assert aurocs(real[None], logits, truth)[0] == pytest.approx(roc_auc_score(truth, real))
    assert not np.ptp(ranking(nothing, logits), axis=1).any()
    assert (ranking(real, logits) == real).all()
    assert np.isnan(aurocs(real[None], logits, np.ones(40))).all()


def test_aggregates_hold_trajectory_and_concentration(single):
    custom = single[0].custom
    assert custom["trajectory"] == [
        {
            "epoch": 5,
            "head_ood_acc_raw": single[1].metrics["head_ood_acc_raw"],
            "head_ood_acc_ablated": single[1].metrics["head_ood_acc_ablated"],
        }
    ]
    assert custom["top_eigenvalue_share"] == pytest.approx(1)
    assert custom["participation_ratio"] == pytest.approx(1)
    assert 60 < custom["principal_angles"][0] <= 90
    assert custom["headline_method"] == "mean_difference"
    assert single[0].mean_delta == pytest.approx(single[1].metrics["ood_delta"])


def test_all_checkpoints_make_a_trajectory_of_their_own_weights(toy):
    blind, reading = toy.weight.copy(), toy.weight.copy()
    blind[1] = toy.label_axis
    reading[1] = toy.label_axis + 4 * toy.domain_axis
    experiment = SubspaceAblation(methods=["mean_difference"], refit_probes=False)
    aggregates, recorder = run(experiment, toy.setup(checkpoint="all", weights={1: blind, 4: None, 9: reading}))
    trajectory = aggregates.custom["trajectory"]
    assert [point["epoch"] for point in trajectory] == [1, 4, 9]
    table = recorder.tables["ablation"].frame.query("split == 'ood'").set_index("epoch")
    assert table["swap_effect_raw"].round(6).tolist() == [0.0, 1.0, 4.0]
    assert table["swap_remaining"].isna().tolist() == [True, False, False]
    assert {curve.name for curve in recorder.curves} == {"head_ood_acc_raw", "head_ood_acc_ablated"}
    assert recorder.curves[0].levels == (1.0, 4.0, 9.0)
    # The blind head loses no ranking, the one that reads the domain four times as strongly as the label wins much.
    assert abs(table.loc[1, "auroc_delta"]) < 0.03
    assert table.loc[9, "auroc_ci_low"] > 0.1


@pytest.mark.parametrize("checkpoint", ["final", "all"])
def test_figures_can_be_drawn(toy, checkpoint):
    weights = {1: toy.weight * 0.5, 4: None}
    experiment = SubspaceAblation(methods=["mean_difference", "random"], refit_probes=False)
    _, recorder = run(experiment, toy.setup(checkpoint=checkpoint, weights=weights))
    over_training = ["ablation_trajectory", "ablation_effect", "ablation_auroc_trajectory"]
    wanted = over_training if checkpoint == "all" else ["ablation_effect"]
    assert [figure.name for figure in recorder.figures] == wanted
    for figure in recorder.figures:
        assert draw(figure, {name: table.frame for name, table in recorder.tables.items()}).axes


def test_a_checkpoint_selected_on_the_reported_split_is_marked(toy):
    history = pd.DataFrame({"epoch": [1, 4], "val_acc": [0.5, 0.6], "ood_acc": [0.9, 0.8]})
    setup = toy.setup(checkpoint="peak_ood", weights={1: None, 4: None}, history=history)
    aggregates, recorder = run(SubspaceAblation(methods=["mean_difference"], refit_probes=False), setup)
    assert recorder.tables["ablation"].frame["selected_on_ood"].all()
    assert any("selected on the OOD split" in warning for warning in recorder.diagnostics.warnings)
    assert aggregates.custom["selected_on_reported_split"] is True
    assert aggregates.custom["headline_epoch"] == 1


def test_the_same_seed_gives_the_same_table(toy):
    experiment = SubspaceAblation(methods=["probe", "random"])
    first, second = (run(experiment, toy.setup())[1].tables["ablation"].frame for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_without_rendering_there_is_no_swap():
    fixed = Toy(n=300, rerender=False)
    _, recorder = run(SubspaceAblation(methods=["mean_difference"]), fixed.setup())
    assert recorder.tables["ablation"].frame["swap_remaining"].isna().all()
    assert "swap_remaining" not in recorder.metrics


def test_an_eraser_that_refuses_is_left_out_and_named():
    nearly = Toy(n=2000, angle=3.0, strength=0.0)
    aggregates, recorder = run(SubspaceAblation(methods=["mean_difference", "splince"]), nearly.setup())
    assert set(recorder.tables["ablation"].frame["method"]) == {"mean_difference"}
    assert "smallest eigenvalue" in aggregates.custom["refused"]["splince"]
    assert any("splince" in warning for warning in recorder.diagnostics.warnings)
    with pytest.raises(ExperimentError, match="every method refused"):
        run(SubspaceAblation(methods=["splince"]), nearly.setup())


def test_splits_and_rank_are_followed(toy):
    experiment = SubspaceAblation(methods=["mean_difference", "leace"], splits=["val"], rank=1, refit_probes=False)
    aggregates, recorder = run(experiment, toy.setup())
    table = recorder.tables["ablation"].frame
    assert set(table["split"]) == {"val"}
    assert (table["rank"] == 1).all()
    assert "head_val_acc_raw" in aggregates.custom["trajectory"][0]


def test_no_nulls_where_none_are_asked_for(toy):
    setup = toy.setup(stats=dataclasses.replace(toy_shortcut.QUICK, n_null=0))
    _, recorder = run(SubspaceAblation(methods=["mean_difference"], refit_probes=False), setup)
    assert recorder.tables["ablation"].frame[["null_low", "null_percentile"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ["lace"]}, "did you mean 'leace'"),
        ({"methods": []}, "at least one"),
        ({"methods": ["probe", "probe"]}, "each once"),
        ({"splits": ["oood"]}, "did you mean 'ood'"),
        ({"rank": 0}, "at least 1"),
        ({"site": "2.input"}, "no module '2'"),
        ({"positive": 2}, "between 0 and 1"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(toy, changes, words):
    with pytest.raises(ConfigError) as caught:
        run(SubspaceAblation(**changes), toy.setup())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_single_training_domain_is_refused(toy):
    alone = dataclasses.replace(toy.data, domains=np.zeros_like(toy.data.domains))
    with pytest.raises(DataError, match="single domain 'a'"):
        run(SubspaceAblation(), toy.setup(data=alone))


def test_the_positive_class_only_turns_the_margin(toy):
    first, second = (
        run(SubspaceAblation(methods=["mean_difference"], positive=c), toy.setup())[1].tables["ablation"].frame
        for c in (0, 1)
    )
    assert np.allclose(first["margin_shift"], -second["margin_shift"])
    assert np.allclose(first["auroc_ablated"], second["auroc_ablated"])
    assert np.allclose(first["swap_effect_raw"], second["swap_effect_raw"])
