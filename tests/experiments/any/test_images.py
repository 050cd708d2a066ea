"""The generic experiments on images: styles as levels, patches and channels as units; the causes are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors.spec import Latent, Units
from paribus.features.latent import Latent as Feature
from paribus.models.nets.sae import SparseAutoencoder
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.images.factors import Patches, Style
from paribus.subjects.images.subject import ImageSubject

STATS = StatsSpec(n_bootstrap=100, n_permutations=199, n_null=10)


class Corner(nn.Module):
    """The margin is the mean of the red channel in the upper left quarter; channel 1 carries it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.body.weight.copy_(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])[:, :, None, None])
            self.body.bias.zero_()
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))

    def forward(self, images):
        quarter = self.body(images)[:, :, :4, :4]
        return self.head(quarter.mean((2, 3)))


@pytest.fixture(scope="module")
def images():
    return ImageSubject(DigitsScanners(n_train=48, n_eval=36, eval_renderings=1, image_size=8, seed=2).load())


def run(experiment, images):
    setup = NetworkSetup(seed=0, stats=STATS, contexts=images, network=Corner())
    experiment.validate(setup)
    result = perform(experiment, setup, MemoryRecorder())
    return result, result.tables["effects"].frame.set_index("level")


def red(pixels):
    return pixels[:, 0, :4, :4].mean((1, 2)).double().numpy()


def test_the_style_moves_the_margin_by_what_it_does_to_the_pixels(images):
    result, effects = run(Sweep(factor=Style(), readout="margin", split="ood"), images)
    rows = images.splits["ood"]
    for style, name in enumerate(images.domain_names):
        moved = red(images.data.rerender(rows, style)) - red(images.data.take(rows))
        assert effects.loc[name, "mean_delta"] == pytest.approx(moved.mean(), abs=1e-5)
    assert result.diagnostics.engine.strategy == "inputs"


def test_a_swap_compares_each_image_with_its_own_style(images):
    _, effects = run(Swap(factor=Style(baseline=images.domain_names[0]), readout="margin", split="id_val"), images)
    rows = images.splits["id_val"]
    for style, name in enumerate(images.domain_names):
        others = rows[images.data.domains[rows] != style]
        moved = red(images.data.rerender(others, style)) - red(images.data.take(others))
        assert effects.loc[f"any -> {name}", "mean_delta"] == pytest.approx(moved.mean(), abs=1e-5)


def test_the_patch_that_is_read_is_found_and_no_other_does_anything(images):
    _, effects = run(Ablate(factor=Patches(grid=2, fill="zero"), readout="margin", ks=[2]), images)
    rows = images.splits["ood"]
    assert effects.loc["row 0, column 0", "mean_delta"] == pytest.approx(-red(images.data.take(rows)).mean(), abs=0.2)
    others = [f"row {r}, column {c}" for r, c in ((0, 1), (1, 0), (1, 1))]
    assert (effects.loc[others, "mean_delta"] == 0).all()


def test_the_channel_that_is_read_is_found(images):
    result, effects = run(Ablate(factor=Units(ablation="zero"), place="body", readout="margin", ks=[2]), images)
    assert effects.loc["unit 0", "mean_delta"] == pytest.approx(0, abs=1e-6)
    assert abs(effects.loc["unit 1", "mean_delta"]) > 0.05
    assert result.diagnostics.engine.parity_max_abs_diff < 1e-5


def test_the_core_is_the_patch_that_is_read(images):
    result, _ = run(Cores(factor=Patches(grid=2, fill="zero"), readout="margin", n_units=3), images)
    found = result.tables["cores"].frame
    assert found["core"].tolist() == ["row 0, column 0"] and found["named"].astype(bool).all()


def autoencoder():
    """Latents that are the positive parts of the two channels, and one that is never active."""
    sae = SparseAutoencoder(2, 3, clamp=None)
    with torch.no_grad():
        sae.encoder.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        sae.encoder.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
        sae.decoder.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        sae.decoder.bias.zero_()
    return sae.eval()


def test_a_latent_of_a_layer_is_a_factor_at_every_position(images):
    factor = Latent(id=1, site="body", values=[0.0, 1.0])
    setup = NetworkSetup(seed=0, stats=STATS, contexts=images, network=Corner(), parts={"body": autoencoder()})
    experiment = Sweep(factor=factor, readout="margin", place="body", split="ood", fit_split="id_val")
    experiment.validate(setup)
    effects = perform(experiment, setup, MemoryRecorder()).tables["effects"].frame.set_index("level")
    rows, fitted = images.splits["ood"], images.splits["id_val"]
    fitted = fitted[~np.isin(images.cluster[fitted], images.cluster[rows])]
    means = images.data.take(fitted)[:, 0].mean((1, 2)).clamp_min(0)
    quarter = images.data.take(rows)[:, 0, :4, :4].double()
    for value, level in ((0.0, "0 of its largest"), (1.0, "1 of its largest")):
        moved = (quarter.clamp_max(0) + value * float(means.max())).mean((1, 2)) - quarter.mean((1, 2))
        assert effects.loc[level, "mean_delta"] == pytest.approx(float(moved.mean()), abs=1e-5)


def test_a_latent_of_a_layer_is_what_is_read_under_another_style(images):
    setup = NetworkSetup(
        seed=0,
        stats=STATS,
        contexts=images,
        network=Corner(),
        parts={"body": autoencoder()},
        feature=Feature(id=1, site="body"),
    )
    experiment = Sweep(factor=Style(), readout="feature", split="ood")
    effects = perform(experiment, setup, MemoryRecorder()).tables["effects"].frame.set_index("level")
    rows = images.splits["ood"]
    own = images.data.take(rows)[:, 0].mean((1, 2)).clamp_min(0)
    for style, name in enumerate(images.domain_names):
        moved = images.data.rerender(rows, style)[:, 0].mean((1, 2)).clamp_min(0) - own
        assert effects.loc[name, "mean_delta"] == pytest.approx(float(moved.mean()), abs=1e-5)
