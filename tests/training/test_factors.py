from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paribus import seeds
from paribus.models.resnet18 import ResNet18
from paribus.models.small_cnn import SmallCNN
from paribus.training.grokfast import GrokfastEMA
from paribus.training.init_scale import scale_starting_weights
from paribus.training.schedule import log_spaced, thinned
from paribus.training.spec import TrainingSpec


@settings(deadline=None, max_examples=20)
@given(
    alpha=st.floats(0, 0.999),
    lamb=st.floats(0, 10),
    gradients=st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=6),
)
def test_grokfast_follows_its_equations(alpha, lamb, gradients):
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    grokfast, average = GrokfastEMA(alpha, lamb), None
    for gradient in gradients:
        gradient = np.array(gradient)
        average = gradient if average is None else alpha * average + (1 - alpha) * gradient
        parameter.grad = torch.from_numpy(gradient.copy())
        grokfast.amplify([("w", parameter)])
        assert np.allclose(parameter.grad.numpy(), gradient + lamb * average)


def test_grokfast_at_first_sight_multiplies_the_gradient():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([1.0, -2.0])
    GrokfastEMA(0.98, 2.0).amplify([("w", parameter), ("frozen", nn.Parameter(torch.zeros(1)))])
    assert parameter.grad.tolist() == [3.0, -6.0]


def test_grokfast_with_no_weight_changes_nothing():
    parameter = nn.Parameter(torch.zeros(2))
    grokfast = GrokfastEMA(0.98, 0.0)
    for _ in range(3):
        parameter.grad = torch.tensor([1.0, -2.0])
        grokfast.amplify([("w", parameter)])
        assert parameter.grad.tolist() == [1.0, -2.0]


def test_grokfast_state_is_a_copy_and_comes_back():
    parameter = nn.Parameter(torch.zeros(2))
    grokfast, other = GrokfastEMA(0.5, 1.0), GrokfastEMA(0.5, 1.0)
    parameter.grad = torch.tensor([1.0, 2.0])
    grokfast.amplify([("w", parameter)])
    state = grokfast.state()
    parameter.grad = torch.tensor([5.0, 5.0])
    grokfast.amplify([("w", parameter)])
    assert state["w"].tolist() == [1.0, 2.0]
    other.restore(state, {"w": parameter})
    parameter.grad = torch.tensor([5.0, 5.0])
    other.amplify([("w", parameter)])
    assert torch.equal(other.state()["w"], grokfast.state()["w"])


def test_init_scale_says_what_it_touches():
    model = SmallCNN(width=4, norm="batch").build(
        in_channels=3, n_classes=2, image_size=16, generator=seeds.torch_rng(0, "model")
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    touched = scale_starting_weights(model, 3.0)
    assert [(t.name, t.shape, t.before_norm) for t in touched] == [
        ("layer1.0.weight", "4x3x3x3", True),
        ("layer2.0.weight", "8x4x3x3", True),
        ("layer3.0.weight", "16x8x3x3", True),
        ("fc.weight", "2x16", False),
    ]
    names = {t.name for t in touched}
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name] * 3.0 if name in names else before[name]), name


def test_a_scale_before_a_norm_leaves_the_function_as_it_is():
    build = {"in_channels": 3, "n_classes": 2, "image_size": 16}
    images = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    outputs = {}
    for norm in ("batch", "none"):
        for scale in (1.0, 3.0):
            model = SmallCNN(width=4, norm=norm).build(**build, generator=seeds.torch_rng(0, "model"))
            scale_starting_weights(model, scale)
            outputs[norm, scale] = model.train()(images).detach()
    assert torch.allclose(outputs["batch", 3.0], 3.0 * outputs["batch", 1.0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(outputs["none", 3.0], 3.0 * outputs["none", 1.0], rtol=0.5)


def test_every_convolution_of_a_resnet_stands_before_a_norm():
    model = ResNet18(width=2).build(in_channels=3, n_classes=2, image_size=32, generator=seeds.torch_rng(0, "model"))
    touched = scale_starting_weights(model, 1.0)
    assert len(touched) == 21
    assert [t.name for t in touched if not t.before_norm] == ["fc.weight"]


@settings(deadline=None, max_examples=50)
@given(last=st.integers(1, 5000), n=st.integers(1, 60))
def test_log_spaced_epochs(last, n):
    epochs = log_spaced(last, n)
    assert epochs[-1] == last
    assert list(epochs) == sorted(set(epochs))
    assert 1 <= epochs[0] <= last
    assert len(epochs) <= n
    if n > 1:
        assert epochs[0] == 1


@settings(deadline=None, max_examples=50)
@given(last=st.integers(1, 5000), n=st.integers(1, 60), keep=st.integers(1, 30))
def test_thinned_epochs_are_some_of_them_with_the_last(last, n, keep):
    epochs = log_spaced(last, n)
    kept = thinned(epochs, keep)
    assert set(kept) <= set(epochs)
    assert kept[-1] == last
    assert len(kept) == min(keep, len(epochs))


CONDITIONS = {
    "standard": (0, 0, 0),
    "weight_decay": (1, 0, 0),
    "init_scale": (0, 1, 0),
    "grokfast": (0, 0, 1),
    "weight_decay_init_scale": (1, 1, 0),
    "weight_decay_grokfast": (1, 0, 1),
    "init_scale_grokfast": (0, 1, 1),
    "grokking": (1, 1, 1),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_options_are_the_full_factorial(name):
    from pathlib import Path

    conf = Path(__file__).parents[2] / "conf" / "training"
    assert {file.stem for file in conf.glob("*.yaml")} >= set(CONDITIONS)
    node = yaml.safe_load((conf / f"{name}.yaml").read_text())
    assert node.pop("_target_") == "paribus.training.spec.TrainingSpec"
    assert set(node) == {declared.name for declared in dataclasses.fields(TrainingSpec)}
    spec = TrainingSpec(**node)
    assert spec.condition == name
    factors = (spec.weight_decay > 1e-4, spec.init_scale > 1.0, spec.grokfast)
    assert factors == tuple(bool(level) for level in CONDITIONS[name])
    standard = yaml.safe_load((conf / "standard.yaml").read_text())
    differing = {key for key in node if node[key] != standard[key]} - {"condition"}
    allowed = [k for k, on in zip(("weight_decay", "init_scale", "grokfast"), CONDITIONS[name], strict=True) if on]
    assert differing == set(allowed)
    assert (spec.grokfast_alpha, spec.grokfast_lamb) == (0.98, 2.0)
