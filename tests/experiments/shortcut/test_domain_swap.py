from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, DataError
from paribus.experiments.base import perform
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.figures.draw import draw
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.images.subject import ImageSubject

STATS = StatsSpec(n_bootstrap=200, n_permutations=199, n_null=0)


@pytest.fixture(scope="module")
def data():
    return DigitsScanners(seed=1, n_train=96, n_eval=48, eval_renderings=2).load()


class Colours(nn.Module):
    """A known function: the margin is a weighted sum of the image's mean colours."""

    def __init__(self, weights=(1.0, -0.5, 0.25)):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], list(weights)]))
            self.fc.bias.zero_()

    def forward(self, images):
        return self.fc(self.avgpool(images).flatten(1))


def setup(data, model=None, **fields):
    return NetworkSetup(seed=0, stats=STATS, contexts=ImageSubject(data), network=model or Colours(), **fields)


def run(data, experiment=None, model=None, **fields):
    return perform(experiment or DomainSwap(), setup(data, model, **fields), MemoryRecorder())


def known_margins(data, rows, style):
    means = data.rerender(rows, style).double().mean(dim=(2, 3)).numpy()
    return means @ np.array([1.0, -0.5, 0.25])


def test_the_effects_are_those_of_the_known_function(data):
    result = run(data)
    styles, signed = (result.tables[name].frame for name in ("styles", "signed_swap"))
    for split in ("id_val", "val", "ood"):
        rows = data.rows(split)
        margins = np.stack([known_margins(data, rows, k) for k in range(5)])
        shifts = margins - margins[:3].mean(axis=0)
        for k in range(5):
            row = styles[(styles["split"] == split) & (styles["style"] == data.domain_names[k])].iloc[0]
            assert row["delta"] == pytest.approx(shifts[k].mean(), abs=1e-4)
            assert row["mean_margin"] == pytest.approx(margins[k].mean(), abs=1e-4)
            assert row["head_acc"] == pytest.approx(np.mean((margins[k] > 0) == data.labels[rows]), abs=0.011)
            assert 0 <= row["head_acc_ci_low"] <= row["head_acc"] <= row["head_acc_ci_high"] <= 1
            assert row["head_acc_ci_method"] == "wilson"
        up = next(k for k, paired in data.paired_class.items() if paired == 1)
        down = next(k for k, paired in data.paired_class.items() if paired == 0)
        expected = (shifts[up].mean() - shifts[down].mean()) / 2
        row = signed[signed["split"] == split].iloc[0]
        assert row["delta"] == pytest.approx(expected, abs=1e-4)
        assert row["in_sd"] == pytest.approx(expected / margins[:3].std(), rel=1e-3)
        assert row["ci_low"] <= row["delta"] <= row["ci_high"]


def test_reversing_the_function_reverses_the_sign(data):
    one = run(data).aggregates.custom["signed_swap_effect"]
    other = run(data, model=Colours((-1.0, 0.5, -0.25))).aggregates.custom["signed_swap_effect"]
    assert one == pytest.approx(-other, rel=1e-5)
    assert abs(one) > 0.01


def test_a_model_blind_to_the_image_has_no_effect_at_all(data):
    result = run(data, model=Colours((0.0, 0.0, 0.0)))
    for name in ("styles", "signed_swap"):
        frame = result.tables[name].frame
        assert (frame["delta"] == 0).all()
        assert (frame["p"] == 1).all()
        assert (frame["ci_low"] == 0).all()
        assert (frame["ci_high"] == 0).all()


def test_without_a_style_gap_there_is_nothing_to_see():
    alike = DigitsScanners(seed=1, style_gap=0.0, n_train=96, n_eval=48).load()
    frame = run(alike).tables["styles"].frame
    assert frame["delta"].abs().max() < 1e-6
    assert (frame["flipped"] == 0).all()


def test_the_headline_pools_the_splits(data):
    result = run(data)
    signed = result.tables["signed_swap"].frame.set_index("split")
    assert result.aggregates.mean_delta == signed.loc["all", "delta"]
    assert result.aggregates.n_samples == signed.loc["all", "n"] == 3 * 96
    assert signed.loc["all", "n_clusters"] == 3 * 48
    alone = run(data, DomainSwap(splits=["ood"]))
    assert alone.aggregates.mean_delta == pytest.approx(signed.loc["ood", "delta"])
    assert alone.tables["signed_swap"].frame["split"].tolist() == ["ood"]


def test_accuracy_is_compared_between_styles_of_the_same_contents_alone(data):
    result = run(data, model=Colours((-1.0, 1.0, 0.5)))
    styles = result.tables["styles"].frame
    ranges = [rows["head_acc"].max() - rows["head_acc"].min() for _, rows in styles.groupby("split")]
    assert result.aggregates.custom["accuracy_range_over_styles"] == pytest.approx(max(ranges))
    over_all = styles["delta_acc"].max() - styles["delta_acc"].min()
    assert over_all > max(ranges) + 0.01  # so that a range over other contents would be seen here


def test_evidence_and_diagnostics(data):
    result = run(data)
    assert result.evidence is Evidence.INTERVENTIONAL
    assert all(table.evidence is Evidence.INTERVENTIONAL for table in result.tables.values())
    assert result.diagnostics.engine.strategy == "inputs"
    assert result.diagnostics.engine.n_requested == 5 * 3 * 96
    assert result.diagnostics.n_contexts_tested == 3 * 96


def trajectory(scales):
    def load(epoch):
        model = Colours(tuple(scales[epoch] * w for w in (1.0, -0.5, 0.25)))
        return model.state_dict()

    return Checkpoints(loader=load, epochs=tuple(scales), key="toy")


def test_every_checkpoint_has_its_rows(data):
    result = run(data, checkpoints=trajectory({1: 0.0, 5: 1.0, 9: 2.0}), checkpoint="all")
    signed = result.tables["signed_swap"].frame
    pooled = signed[signed["split"] == "all"].set_index("epoch")["delta"]
    assert pooled[1] == 0
    assert pooled[9] == pytest.approx(2 * pooled[5], rel=1e-4)
    assert result.aggregates.mean_delta == pooled[9]
    assert result.aggregates.custom["headline_epoch"] == 9
    (curve,) = result.curves
    assert curve.levels == (1.0, 5.0, 9.0)


@pytest.mark.parametrize("choice", ["final", "all"])
def test_figures_can_be_drawn(data, choice):
    result = run(data, checkpoints=trajectory({1: 0.5, 5: 1.0}), checkpoint=choice)
    assert len(result.figures) == 2
    for figure in result.figures:
        draw(figure, {name: table.frame for name, table in result.tables.items()})


def test_a_model_without_a_linear_layer_is_run_all_the_same(data):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, images):
            return self.conv(images).mean(dim=(2, 3))

    assert np.isfinite(run(data, model=Bare()).aggregates.mean_delta)


def test_data_that_cannot_be_rendered_anew_are_refused(data):
    with pytest.raises(DataError, match="data=digits_scanners"):
        run(replace(data, rerender=None))


def test_styles_paired_with_nothing_give_no_sign_and_say_so(data):
    result = run(replace(data, paired_class={}))
    assert np.isnan(result.aggregates.mean_delta)
    assert any("no sign" in warning for warning in result.diagnostics.warnings)
    assert np.isfinite(result.tables["styles"].frame["delta"]).all()


def test_wrong_settings_are_refused(data):
    with pytest.raises(ConfigError, match="splits"):
        DomainSwap(splits=[])
    with pytest.raises(ConfigError, match="splits"):
        DomainSwap(splits=["ood", "ood"])
    with pytest.raises(ConfigError, match="did you mean 'ood'"):
        DomainSwap(splits=["odd"])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        run(data, DomainSwap(positive=2))
