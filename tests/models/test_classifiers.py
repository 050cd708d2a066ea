from __future__ import annotations

import pytest
import torch
from torch import fx

from paribus import seeds
from paribus.errors import ConfigError
from paribus.models.mlp import MLP
from paribus.models.resnet18 import ResNet18
from paribus.models.small_cnn import SmallCNN

SPECS = [
    SmallCNN(width=4),
    SmallCNN(width=4, norm="batch"),
    SmallCNN(width=4, norm="group"),
    MLP(widths=[12, 8]),
    ResNet18(width=4),
    ResNet18(width=4, stem="small"),
]


def build(spec, seed=0, in_channels=3, n_classes=3, image_size=32):
    generator = seeds.torch_rng(seed, "model")
    if isinstance(spec, MLP):
        return spec.build(n_features=in_channels * image_size**2, n_classes=n_classes, generator=generator)
    return spec.build(in_channels=in_channels, n_classes=n_classes, image_size=image_size, generator=generator)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_logits_have_the_shape_asked_for(spec, in_channels):
    model = build(spec, in_channels=in_channels).eval()
    assert model(torch.randn(2, in_channels, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_weights_come_from_the_generator_alone(spec):
    before = torch.random.get_rng_state()
    a, b, c = build(spec, 1), build(spec, 1), build(spec, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert any(not torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_no_weight_is_left_as_the_global_generator_made_it(spec):
    torch.manual_seed(1)
    a = build(spec)
    torch.manual_seed(2)
    b = build(spec)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_models_can_be_traced(spec):
    model = build(spec).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(fx.symbolic_trace(model)(images), model(images))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_probe_sites_are_modules(spec):
    model = build(spec)
    assert all(model.get_submodule(name) is not None for name in model.probe_sites)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_starting_activations_keep_their_size(spec):
    """A He start neither blows up nor dies out: the logits of standardised images are of order one."""
    logits = build(spec).train()(torch.randn(64, 3, 32, 32)).detach()
    assert 0.01 < float(logits.std()) < 10


def test_resnet18_has_the_parameters_of_torchvision():
    model = ResNet18().build(in_channels=3, n_classes=1000, image_size=224, generator=seeds.torch_rng(0, "model"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_689_512
    state = model.state_dict()
    assert len(state) == 122
    expected = {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer1.1.bn2.num_batches_tracked": (),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer3.1.conv2.weight": (256, 256, 3, 3),
        "layer4.0.bn1.bias": (512,),
        "fc.weight": (1000, 512),
        "fc.bias": (1000,),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected


def test_resnet18_halves_the_image_as_in_the_paper():
    model, seen = build(ResNet18(width=4)), {}
    for name in ("maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"):
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: tuple(output.shape[1:])}))
    model.eval()(torch.randn(1, 3, 96, 96))
    assert seen == {
        "maxpool": (4, 24, 24),
        "layer1": (4, 24, 24),
        "layer2": (8, 12, 12),
        "layer3": (16, 6, 6),
        "layer4": (32, 3, 3),
        "avgpool": (32, 1, 1),
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmallCNN(width=0), "width: must be at least 1"),
        (lambda: SmallCNN(norm="bach"), "did you mean 'batch'"),
        (lambda: MLP(widths=[]), "at least one hidden layer"),
        (lambda: MLP(widths=[8, 0]), "widths: must be at least 1"),
        (lambda: ResNet18(stem="tiny"), "no such choice 'tiny'"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
