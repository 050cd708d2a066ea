"""A shortcut with exactly known answers: what ablation, steering and the swap must give, by formula."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from paribus.experiments.shortcut.activation_steering import ActivationSteering
from paribus.experiments.shortcut.neuron_ablation import NeuronAblation
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.subspace.erasers import fit_eraser
from paribus.subspace.moments import balance_weights

_SPEC = importlib.util.spec_from_file_location("toy_shortcut", Path(__file__).with_name("toy_shortcut.py"))
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run

METHODS = ["mean_difference", "between_domain_pc", "lda", "leace", "splince"]


@pytest.fixture(scope="module")
def toy():
    return Toy(n=10_000, d=16, seed=1)


@pytest.fixture(scope="module")
def ablation(toy):
    return run(SubspaceAblation(methods=METHODS, refit_probes=False), toy.setup())


def erasers(toy):
    domains, labels = (part[toy.data.splits["train"]] for part in (toy.data.domains, toy.data.labels))
    h, weights = toy.features("train"), balance_weights(domains, labels)
    return {
        method: fit_eraser(
            method, h, domains, labels, clusters=np.arange(len(h)), rng=np.random.default_rng(0), weights=weights
        )
        for method in METHODS
    }


def test_with_isotropic_noise_the_mean_difference_lies_within_five_degrees_of_the_planted_axis(toy):
    basis = erasers(toy)["mean_difference"].basis
    assert basis.shape == (16, 1)
    assert np.degrees(np.arccos(abs(basis[:, 0] @ toy.domain_axis))) < 5


@pytest.mark.parametrize("split", ["id_val", "val", "ood"])
def test_ablation_equals_the_analytic_answer(toy, ablation, split):
    table = ablation[1].tables["ablation"].frame
    h, labels = toy.features(split), toy.labels(split)
    raw = toy.margins(h)
    for method, eraser in erasers(toy).items():
        removed = eraser.matrix if eraser.matrix is not None else eraser.basis @ eraser.basis.T
        edited = toy.margins(h - (h - eraser.center) @ removed.T)
        row = table[(table["method"] == method) & (table["split"] == split)].iloc[0]
        assert row["margin_shift"] == pytest.approx((edited - raw).mean(), abs=1e-5)
        assert row["head_acc_raw"] == pytest.approx(((raw > 0) == labels).mean(), abs=1e-9)
        assert row["head_acc_ablated"] == pytest.approx(((edited > 0) == labels).mean(), abs=1e-5)
        assert row["delta"] == pytest.approx(row["head_acc_ablated"] - row["head_acc_raw"], abs=1e-9)
        assert row["auroc_ablated"] == pytest.approx(roc_auc_score(labels, edited), abs=1e-5)
        # The head reads a displacement along the domain axis with weight 1: the swap moves the margin by gap / 2.
        assert row["swap_effect_raw"] == pytest.approx(toy.gap / 2, abs=1e-5)
        left = toy.domain_axis @ (np.eye(16) - removed).T @ (toy.weight[1] - toy.weight[0])
        assert row["swap_remaining"] == pytest.approx(left, abs=1e-5)


def test_removing_the_subspace_removes_the_shortcut_and_random_subspaces_do_not(ablation):
    table = ablation[1].tables["ablation"].frame
    ood = table[table["split"] == "ood"]
    assert (ood["swap_remaining"].abs() < 0.1).all()
    assert (ood["delta"] > 0.1).all()
    assert (ood["ci_low"] > ood["null_high"]).all()
    assert (ood["p_adj"] <= 0.05).all()
    assert ablation[1].diagnostics.engine.parity_max_abs_diff < 1e-9


def test_the_kept_label_covariance_keeps_the_label(toy):
    eraser = erasers(toy)["splince"]
    h, domains, labels = (
        toy.features("train"),
        *(part[toy.data.splits["train"]] for part in (toy.data.domains, toy.data.labels)),
    )
    weights = balance_weights(domains, labels)

    def covariance(x):
        return np.cov(np.column_stack([x, labels]).T, aweights=weights)[:-1, -1]

    assert np.allclose(covariance(eraser.apply(h)), covariance(h), atol=1e-9)


def test_steering_equals_the_analytic_answer(toy):
    aggregates, recorder = run(ActivationSteering(alphas=[-2.0, -0.5, 1.0, 3.0]), toy.setup())
    table = recorder.tables["sweep"].frame
    basis = erasers(toy)["mean_difference"].basis[:, 0]
    direction = basis * np.sign(basis @ (toy.weight[1] - toy.weight[0]))
    sigma = (toy.features("train") @ direction).std()
    shift = sigma * direction @ (toy.weight[1] - toy.weight[0])
    for _, row in table.iterrows():
        moved = toy.margins(toy.features("ood")) + row["alpha"] * shift
        assert row["sigma"] == pytest.approx(sigma, abs=1e-9)
        assert row["mean_margin"] == pytest.approx(moved.mean(), abs=1e-5)
        assert row["head_ood_acc"] == pytest.approx(((moved > 0) == toy.labels("ood")).mean(), abs=1e-5)
        assert row["auroc"] == pytest.approx(table["auroc"].iloc[0], abs=1e-12)
    assert sorted(table["alpha"].unique()) == [-2.0, -0.5, 0.0, 1.0, 3.0]
    custom = aggregates.custom
    assert custom["threshold_only"] is True
    assert custom["margin_shift_per_alpha"] == pytest.approx(shift, abs=1e-5)
    read = toy.weight[1] - toy.weight[0]
    assert custom["cos_head"] == pytest.approx(direction @ read / np.linalg.norm(read), abs=1e-9)


def test_ablating_units_equals_the_analytic_answer_and_finds_the_planted_unit():
    toy = Toy(n=2000, d=8, aligned=True, seed=2)
    experiment = NeuronAblation(ks=[1, 2], ablations=["zero", "mean"], rankings=["shortcut", "label"])
    aggregates, recorder = run(experiment, toy.setup())
    units = recorder.tables["units"].frame
    assert int(units["shortcut_score"].idxmax()) == 0
    assert int(units["label_score"].idxmax()) == 1
    assert aggregates.custom["first_k"] == 1
    table, means = recorder.tables["k_sweep"].frame, toy.features("train").mean(axis=0)
    for _, row in table[table["k"] == 1].iterrows():
        unit = {"shortcut": 0, "label": 1}[row["ranking"]]
        h = toy.features(row["split"])
        edited = h.copy()
        edited[:, unit] = means[unit] if row["ablation"] == "mean" else 0.0
        moved = toy.margins(edited)
        assert row["margin_shift"] == pytest.approx((moved - toy.margins(h)).mean(), abs=1e-5)
        assert row["head_acc"] == pytest.approx(((moved > 0) == toy.labels(row["split"])).mean(), abs=1e-5)


def test_a_head_that_does_not_read_the_domain_shows_no_effect():
    toy = Toy(n=2000, d=12, reads_domain=0.0, strength=0.0, seed=4)
    _, recorder = run(SubspaceAblation(methods=["mean_difference", "leace"]), toy.setup())
    ood = recorder.tables["ablation"].frame.query("split == 'ood'")
    assert (ood["delta"].abs() < 0.02).all()
    assert ood["swap_effect_raw"].abs().max() < 1e-9
    assert ood["swap_remaining"].isna().all()
