"""The steering sweep: orientation, nulls, trend, and a site where it is more than a threshold."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.present import present
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.shortcut._edited_site import EditedSite
from paribus.experiments.shortcut.activation_steering.spec import DIRECTIONS, ActivationSteering
from paribus.figures.draw import draw

_PLACE = Path(__file__).parents[2] / "planted" / "toy_shortcut.py"
_SPEC = importlib.util.spec_from_file_location("toy_shortcut", _PLACE)
toy_shortcut = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy_shortcut)
Toy, run = toy_shortcut.Toy, toy_shortcut.run

NAMED_COLUMNS = {
    "epoch",
    "direction",
    "alpha",
    "head_ood_acc",
    "ci_low",
    "ci_high",
    "head_id_acc",
    "head_id_ci_low",
    "head_id_ci_high",
    "head_val_acc",
    "auroc",
    "mean_margin",
    "flipped_to_positive",
    "flipped_to_negative",
    "domain_probe_frozen",
    "label_probe_frozen",
    "relative_norm",
    "null_low",
    "null_median",
    "null_high",
    "null_percentile",
    "null_covariance_percentile",
    "delta",
    "p",
    "p_adj",
}


class Bend(nn.Module):
    """Flatten, a known square layer, ReLU, a head: steering before the ReLU is more than a threshold."""

    def __init__(self, d, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.hidden = nn.Linear(d, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x.flatten(1))))


def bent(toy, **changes):
    setup = toy.setup(**changes)
    setup.network = Bend(toy.d).double()
    setup.checkpoints = present(setup.network, key="random")
    return setup


@pytest.fixture(scope="module")
def toy():
    return Toy(n=600, seed=1)


@pytest.fixture(scope="module")
def found(toy):
    return run(ActivationSteering(directions=list(DIRECTIONS)), toy.setup())


def test_one_row_per_direction_and_alpha_with_the_named_columns(found):
    table = found[1].tables["sweep"].frame
    assert not NAMED_COLUMNS - set(table.columns)
    assert len(table) == 5 * 7
    assert not table.duplicated(["epoch", "direction", "alpha"]).any()


def test_accuracies_have_the_interval_of_wilson_by_cluster_within_0_and_1(found):
    """On between as many rows as there are clusters and as there are contexts."""
    from scipy.stats import t

    table = found[1].tables["sweep"].frame
    n, k = int(table["n"].iloc[0]), int(table["n_clusters"].iloc[0])
    for prefix, value in (("", "head_ood_acc"), ("head_id_", "head_id_acc"), ("head_val_", "head_val_acc")):
        assert (table[f"{prefix}ci_method"] == "wilson").all()
        low, high, share = table[f"{prefix}ci_low"], table[f"{prefix}ci_high"], table[value]
        assert ((low >= 0) & (low <= share) & (share <= high) & (high <= 1)).all()
    for rows, holds in ((n, np.less_equal), (k, np.greater_equal)):
        share, squared = table["head_ood_acc"], t.ppf(0.975, k - 1) ** 2 / rows
        half = np.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
        assert holds(2 * half, table["ci_high"] - table["ci_low"] + 1e-9 * (1 if rows == n else -1)).all()


def test_the_margin_rises_with_alpha_along_every_direction(found):
    table = found[1].tables["sweep"].frame
    for _, rows in table.groupby("direction"):
        assert (np.diff(rows.sort_values("alpha")["mean_margin"]) > 0).all()
    assert found[0].custom["gradient_along_direction"] >= 0


def test_nothing_changes_at_alpha_zero(found):
    table = found[1].tables["sweep"].frame.query("alpha == 0")
    assert (table[["delta", "flipped_to_positive", "flipped_to_negative", "relative_norm"]] == 0).all(axis=None)
    assert (table["p"] == 1).all()
    assert (table["null_low"] == table["head_ood_acc"]).all()


def test_contexts_flip_only_to_the_side_that_is_steered_to(found):
    table = found[1].tables["sweep"].frame
    assert (table.loc[table["alpha"] > 0, "flipped_to_negative"] == 0).all()
    assert (table.loc[table["alpha"] < 0, "flipped_to_positive"] == 0).all()


def test_an_affine_head_is_told_to_be_a_threshold_only(found):
    assert found[0].custom["threshold_only"] is True
    assert any("threshold curve" in warning for warning in found[1].diagnostics.warnings)


def test_random_directions_are_moved_as_far(found):
    table = found[1].tables["sweep"].frame
    planted = table.query("direction == 'between_domain_pc' and alpha == 3").iloc[0]
    # The head reads the planted axis, so nothing random of that length moves predictions as far.
    assert planted["head_ood_acc"] <= planted["null_low"]


def test_the_curve_is_the_headline_directions_accuracy(found):
    table = found[1].tables["sweep"].frame
    curve = next(curve for curve in found[1].curves if curve.name == "head_ood_acc")
    assert curve.level_name == "alpha"
    assert curve.values == tuple(table.query("direction == 'between_domain_pc'")["head_ood_acc"])


def test_a_rising_curve_is_monotonic_and_a_peaked_one_is_not():
    toy = Toy(n=600, seed=3)
    toy.bias = toy.bias - np.array([0.0, 8.0])  # the head says no to everything: up is right
    toy.data.labels[toy.data.splits["ood"]] = 1
    rising = run(ActivationSteering(alphas=[0.0, 2.0, 4.0, 8.0]), toy.setup())[0].custom
    assert rising["monotonic"] is True
    assert rising["delta_acc"] > 0.5
    assert rising["trend_p"] <= 0.05
    peaked = run(ActivationSteering(alphas=[-6.0, 0.0, 6.0]), Toy(n=600, seed=3).setup())[0].custom
    assert peaked["monotonic"] is False


def test_steering_at_an_earlier_site_bends_the_curve(toy):
    aggregates, recorder = run(ActivationSteering(site="hidden"), bent(toy))
    assert aggregates.custom["threshold_only"] is False
    assert not any("threshold curve" in warning for warning in recorder.diagnostics.warnings)
    table = recorder.tables["sweep"].frame.query("direction == 'between_domain_pc'")
    assert table["auroc"].round(6).nunique() > 1
    assert recorder.diagnostics.engine.strategy == "suffix"


def test_the_gradient_of_the_margin_equals_finite_differences(toy):
    setup = bent(toy)
    experiment = ActivationSteering(site="hidden")
    site = EditedSite(setup, setup.selected()[0], experiment, MemoryRecorder())
    images = toy.data.take(toy.data.splits["train"])[np.sort(setup.rng("margin_gradient").permutation(600)[:512])]
    with torch.no_grad():
        hidden = setup.network.hidden(images.flatten(1))
        for unit in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[unit] = 1e-6
            up, down = (setup.network.head(torch.relu(hidden + sign * step)) for sign in (1, -1))
            slope = ((up - down)[:, 1] - (up - down)[:, 0]).mean() / 2e-6
            assert site.gradient[unit] == pytest.approx(float(slope), abs=1e-5)
    assert not any(parameter.grad is not None for parameter in setup.network.parameters())


def test_the_gradient_sums_over_positions():
    torch.manual_seed(0)
    toy = Toy(n=200, d=16)
    setup = toy.setup()
    layers = [nn.Flatten(), nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1)]
    setup.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(3, 2)).double()
    setup.checkpoints = present(setup.network, key="random")
    experiment = ActivationSteering(site="2", alphas=[-1e-4, 1e-4], directions=["mean_difference"])
    aggregates, recorder = run(experiment, setup)
    table = recorder.tables["sweep"].frame
    measured = np.polyfit(table["alpha"], table["mean_margin"], 1)[0] / aggregates.custom["sigma"]
    # On other images than the gradient's, so only nearly the same.
    assert measured == pytest.approx(aggregates.custom["gradient_along_direction"], rel=0.2)


def test_checkpoints_get_panels_and_many_a_heatmap(toy):
    for n_epochs, kind in ((2, "curve"), (10, "heatmap")):
        setup = toy.setup(checkpoint="all", weights=dict.fromkeys(range(1, n_epochs + 1)))
        aggregates, recorder = run(ActivationSteering(alphas=[-1.0, 1.0]), setup)
        assert recorder.figures[0].kind == kind
        assert draw(recorder.figures[0], {name: t.frame for name, t in recorder.tables.items()}).axes
        assert [point["epoch"] for point in aggregates.custom["trajectory"]] == list(range(1, n_epochs + 1))


def test_the_same_seed_gives_the_same_table(toy):
    first, second = (run(ActivationSteering(), toy.setup())[1].tables["sweep"].frame for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"directions": ["pca"]}, "no such choice"),
        ({"directions": []}, "at least one"),
        ({"alphas": [1.0]}, "at least two"),
        ({"alphas": [1.0, 1.0]}, "each once"),
        ({"alphas": [1.0, 1e6]}, "at most 100"),
        ({"site": "hidden"}, "no module 'hidden'"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(toy, changes, words):
    with pytest.raises(ConfigError) as caught:
        run(ActivationSteering(**changes), toy.setup())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
