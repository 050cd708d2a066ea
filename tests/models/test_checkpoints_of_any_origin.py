"""Weights as torchvision, timm, Lightning, DataParallel and torch.compile leave them, into any model."""

from __future__ import annotations

import enum

import pytest
import torch
from torch import nn

from paribus import seeds
from paribus.config.check import build
from paribus.config.science import science
from paribus.errors import CheckpointError, ConfigError
from paribus.models.loading import fit_state, load_state, start_from
from paribus.models.resnet18 import ResNet18
from paribus.models.small_cnn import SmallCNN
from paribus.models.untrained import unasked
from paribus.running.contents import fingerprint, without_start

SHAPE = {"in_channels": 3, "n_classes": 2, "image_size": 32}


def published(classes=1000):
    """The state dict of torchvision's resnet18, which has the names of timm's, by what its paper and code say."""

    def norm(name, width):
        shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,))
        return {f"{name}.{part}": shape for part, shape in shapes.items()} | {f"{name}.num_batches_tracked": ()}

    shapes = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    before = 64
    for layer, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, before, 3, 3)
            shapes |= norm(f"{name}.bn1", width) | {f"{name}.conv2.weight": (width, width, 3, 3)}
            shapes |= norm(f"{name}.bn2", width)
            if before != width:
                shapes[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
                shapes |= norm(f"{name}.downsample.1", width)
            before = width
    shapes |= {"fc.weight": (classes, 512), "fc.bias": (classes,)}
    draw = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros((), dtype=torch.int64) if not shape else torch.rand(shape, generator=draw)
        for name, shape in shapes.items()
    }


def test_published_names_of_resnet18_load_and_a_new_head_is_asked_for(tmp_path):
    state, file = published(), str(tmp_path / "resnet18-f37072fd.pth")
    assert len(state) == 122
    torch.save(state, file)
    with pytest.raises(CheckpointError, match=r"2 of another shape \(fc.weight is 1000x512, the model has 2x512, fc.b"):
        ResNet18(weights=file).build(**SHAPE, generator=seeds.torch_rng(0, "model"))
    model = ResNet18(weights=file, leave_out=["fc"]).build(**SHAPE, generator=seeds.torch_rng(0, "model"))
    loaded = model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items() if not name.startswith("fc."))
    whole = ResNet18(weights=file).build(**{**SHAPE, "n_classes": 1000}, generator=seeds.torch_rng(0, "model"))
    assert torch.equal(whole.state_dict()["fc.weight"], state["fc.weight"])


def small(seed=0):
    return SmallCNN(width=2).build(**{**SHAPE, "image_size": 16}, generator=seeds.torch_rng(seed, "model"))


def same(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize(
    "wrapper",
    [
        "model",
        "state_dict",
        "model_state_dict",
        "state_dict_ema",
        "model_ema",
        "ema",
        "state_dict/module",
        "ema/module",
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model._orig_mod.", "backbone.", "module.backbone."])
def test_wrappers_are_seen_through(tmp_path, wrapper, prefix):
    own, other, file = small(1), small(2), tmp_path / "checkpoint.pth"
    content = {prefix + name: value for name, value in own.state_dict().items()}
    for key in reversed(wrapper.split("/")):
        content = {key: content, "epoch": 3}
    torch.save(content, file)
    start_from(other, str(file))
    assert same(own, other)


def test_averaged_weights_are_taken_only_where_there_are_no_others(tmp_path):
    own, averaged, file = small(1), small(2), tmp_path / "both.pth"
    torch.save({"state_dict_ema": averaged.state_dict(), "state_dict": own.state_dict()}, file)
    other = small(3)
    fit_state(other, load_state(file))
    assert same(own, other)


def test_what_stands_beside_a_backbone_is_named_and_can_be_left_out():
    own, other = small(1), small(2)
    state = {f"backbone.{name}": value for name, value in own.state_dict().items()}
    state |= {"projector.0.weight": torch.ones(3), "queue": torch.ones(2)}
    with pytest.raises(CheckpointError, match=r"weights 2 unexpected \(projector.0.weight, queue\)"):
        fit_state(other, state)
    fit_state(other, state, ["projector", "queue"])
    assert same(own, other)


def test_mismatches_are_listed_by_name():
    state = {name.replace("layer1", "stage1"): value for name, value in small().state_dict().items()}
    state["fc.bias"] = torch.ones(7)
    with pytest.raises(CheckpointError) as caught:
        fit_state(small(), state)
    text = str(caught.value)
    assert "missing (layer1." in text and "unexpected (stage1." in text
    assert "of another shape (fc.bias is 7, the model has 2)" in text and "\n" not in text
    many = {f"w{number:02}": torch.ones(1) for number in range(30)}
    with pytest.raises(CheckpointError, match=r"w07 and 22 more"):
        fit_state(small(), {**small().state_dict(), **many})
    with pytest.raises(CheckpointError, match="holds both fc.bias and module.fc.bias"):
        fit_state(small(), {**{f"module.{k}": v for k, v in small().state_dict().items()}, "fc.bias": torch.ones(2)})


def test_what_is_left_out_must_be_somewhere_and_needs_a_file():
    with pytest.raises(CheckpointError, match="no weights in 'fcc'; did you mean 'fc'"):
        fit_state(small(), small().state_dict(), ["fcc"])
    with pytest.raises(ConfigError, match="names modules of a file, and there is none"):
        SmallCNN(leave_out=["fc"])


def test_a_random_head_is_no_trained_model():
    assert unasked(SmallCNN(weights="any.pt")) == ()
    assert unasked(SmallCNN(weights="any.pt", leave_out=["fc"])) == ("model",)
    assert unasked(SmallCNN(weights="any.pt", leave_out=["fc"], untrained=True)) == ()
    assert without_start(SmallCNN(weights="any.pt", leave_out=["fc"])) == SmallCNN()
    assert "leave_out" not in science(SmallCNN())


class Published(enum.Enum):
    """Names of published weights, as torchvision has them."""

    V1 = "v1"


def plain(n_classes: int = 2) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, n_classes))


def like_torchvision(weights: Published | None = None, n_classes: int = 2) -> nn.Module:
    assert weights is None or isinstance(weights, Published)
    return plain(n_classes)


def like_timm(**settings) -> nn.Module:
    assert set(settings) <= {"in_channels", "n_classes", "image_size", "generator", "name"}
    return plain()


def loads_itself(weights: str = "") -> nn.Module:
    model = plain()
    with torch.no_grad():
        model[1].bias.fill_(len(weights))
    return model


def node(function, **arguments):
    return build({"_target_": f"{__name__}.{function.__name__}", **arguments}, "model")


@pytest.fixture
def here(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@pytest.mark.parametrize("function", [plain, like_torchvision, like_timm])
def test_any_callable_takes_weights_from_a_file_whose_content_counts(here, tmp_path, function):
    file, moved = tmp_path / "w.pt", tmp_path / "moved.pt"
    own = plain()
    torch.save({"state_dict": {f"module.{k}": v for k, v in own.state_dict().items()}}, file)
    spec = node(function, weights=str(file))
    assert (spec.weights, spec.leave_out, dict(spec.arguments)) == (str(file), (), {})
    model = spec.call()
    start_from(model, spec.weights, spec.leave_out)
    assert same(own, model)
    moved.write_bytes(file.read_bytes())
    assert fingerprint(node(function, weights=str(moved))) == fingerprint(spec) != fingerprint(node(function))
    torch.save(plain().state_dict(), moved)
    assert fingerprint(node(function, weights=str(moved))) != fingerprint(spec)
    without = node(function, weights=str(file), leave_out=["1"])
    assert without.leave_out == ("1",) and fingerprint(without) != fingerprint(spec)
    bare = fingerprint(node(function))
    assert fingerprint(without_start(without)) == bare
    assert function is like_torchvision or fingerprint(node(function, weights=None, leave_out=[])) == bare
    with pytest.raises(ConfigError, match="wants a list of modules"):
        node(function, weights=str(file), leave_out="fc")


def test_a_callable_that_takes_weights_itself_still_gets_them(here):
    assert node(loads_itself, weights="abc.pt").call()[1].bias.tolist() == [6.0, 6.0]
    assert node(loads_itself, weights="abc.pt").weights is None
