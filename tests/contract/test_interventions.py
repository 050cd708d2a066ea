"""What every intervention keeps to, at every kind of site: a new one is added to ``INTERVENTIONS`` in one line."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paribus.engine import interventions, parts, replacements
from paribus.engine.evaluation import Engine
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import (
    AblateUnits,
    AffineErase,
    Identity,
    ProjectOut,
    Steer,
)
from paribus.engine.parts import Chain, Together, Within
from paribus.engine.replacements import Graft, Resample, SetFeature

ROWS = 13
FLOAT32 = 2e-5  # relative to the largest output


# ------------------------------------------------------------------ networks


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out += x
        return self.relu2(out)


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.block1, self.block2 = Residual(6), Residual(6)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.block2(self.block1(self.stem(x))))
        return self.fc(self.drop(torch.flatten(x, 1)))


class Tokens(nn.Module):
    """Two inputs; padding is left out of the mean; ``halt`` makes the control flow depend on the data."""

    def __init__(self, *, dynamic: bool = False) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.embed = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Linear(6, 6)
        self.output_layer = nn.Linear(6, 3)

    def forward(self, ids: Tensor, pad: Tensor, scale: float = 1.0) -> Tensor:
        x = self.norm(self.embed(ids))
        x = x + torch.tanh(self.mix(x)) * scale
        if self.dynamic and bool((x.sum() == 12345.0).item()):
            x = -x
        keep = (~pad).to(x.dtype).unsqueeze(-1)
        return self.output_layer((x * keep).sum(1) / keep.sum(1).clamp(min=1.0))


class Twice(nn.Module):
    """A trunk of plain layers with batch norm, dropout and an affine tail."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU())
        self.tail = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.trunk(x))


@dataclass(frozen=True)
class Kind:
    build: Callable[[], nn.Module]
    site: str
    strategy: str
    inputs: Callable[[], tuple[Tensor, ...]]


def images() -> tuple[Tensor, ...]:
    return (torch.randn(ROWS, 3, 5, 5, generator=torch.Generator().manual_seed(3)),)


def rows() -> tuple[Tensor, ...]:
    return (torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(4)),)


def tokens() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 5, (ROWS, 1), generator=generator)
    return torch.randint(0, 11, (ROWS, 4), generator=generator), torch.arange(4)[None] >= lengths


KINDS = {
    "mlp": Kind(Twice, "trunk", "closed_form", rows),
    "pooled": Kind(Images, "avgpool", "closed_form", images),
    "head input": Kind(Images, "fc.input", "closed_form", images),
    "before pooling": Kind(Images, "block2", "closed_form", images),
    "block": Kind(Images, "block1", "suffix", images),
    "inside a block": Kind(Images, "block2.bn2", "suffix", images),
    "input of a conv": Kind(Images, "block2.conv1.input", "suffix", images),
    "tokens": Kind(Tokens, "norm", "suffix", tokens),
    "dynamic": Kind(lambda: Tokens(dynamic=True), "norm", "hooks", tokens),
    "dynamic, last layer": Kind(lambda: Tokens(dynamic=True), "output_layer.input", "closed_form", tokens),
}
WIDTH = 6


def network(kind: Kind) -> nn.Module:
    torch.manual_seed(0)
    model = kind.build()
    for part in model.modules():  # batch norms that do something in evaluation mode
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    return model


# ------------------------------------------------------------------ interventions


def _vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(WIDTH)


def _basis(rank: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(7).standard_normal((WIDTH, rank)))[0]


def _graft(features: Tensor) -> Intervention:
    return Graft(torch.tensor([4, 0]), features[:, [4, 0]].flip(0) + 1.0)


def _own_positions(features: Tensor) -> np.ndarray:
    size = int(np.prod(features.shape[2:]))
    return np.random.default_rng(11).integers(0, size, (len(features), 1))


INTERVENTIONS: dict[str, Callable[[Tensor], Intervention]] = {
    "identity": lambda h: Identity(),
    "project out": lambda h: ProjectOut(_basis(2), _vector(1)),
    "project out nothing": lambda h: ProjectOut(np.zeros((WIDTH, 0)), _vector(1)),
    "erase": lambda h: AffineErase(0.4 * np.random.default_rng(8).standard_normal((WIDTH, WIDTH)), _vector(2)),
    "steer": lambda h: Steer(_vector(3), -1.5),
    "zero units": lambda h: AblateUnits([1, 5]),
    "zero no unit": lambda h: AblateUnits([]),
    "mean units": lambda h: AblateUnits([5, 2], _vector(4)),
    "resample": lambda h: Resample([0, 3], np.random.default_rng(9).permutation(ROWS)),
    "graft": _graft,
    "set feature": lambda h: SetFeature(_vector(5), 0.1, _vector(6) / 2, 2.0, clamp=3.0),
    "set one of k features": lambda h: SetFeature(
        *(_vector(5), 0.1, _vector(6) / 2, 2.0),
        rivals=np.random.default_rng(10).standard_normal((8, WIDTH)),
        rival_biases=np.zeros(8),
        top_k=3,
    ),
    "set a feature of normalised inputs": lambda h: SetFeature(
        *(_vector(5), 0.1, _vector(6) / 2, 2.0), normalise="layer_norm"
    ),
    "set one of k features of rescaled inputs": lambda h: SetFeature(
        *(_vector(5), 0.1, _vector(6) / 2, 2.0),
        rivals=np.stack([_vector(5), *np.random.default_rng(10).standard_normal((8, WIDTH))]),
        rival_biases=np.full(9, 0.1),
        top_k=3,
        own=0,
        normalise="constant_norm_rescale",
    ),
    "steer some channels": lambda h: Within(Steer(_vector(3)[:4], -1.5), channels=[5, 0, 2, 3]),
    "project out of some channels": lambda h: Within(
        ProjectOut(np.linalg.qr(_vector(7)[:3, None])[0], _vector(1)[:3]), channels=[4, 1, 0]
    ),
    "zero at the last position": lambda h: Within(AblateUnits([1, 5]), positions=[-1]),
    "steer at own positions": lambda h: Within(Steer(_vector(3), 0.5), positions=_own_positions(h)),
    "resample a head at the first position": lambda h: Within(
        Resample([0, 1], np.random.default_rng(9).permutation(ROWS)), channels=[2, 3], positions=[0]
    ),
    "steer, then zero": lambda h: Chain((Steer(_vector(3), 0.5), AblateUnits([1, 5]))),
}
IDEMPOTENT = (
    *("identity", "project out", "project out nothing", "zero units", "zero no unit", "mean units", "graft"),
    "zero at the last position",
)

every_kind = pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
every_intervention = pytest.mark.parametrize("make", list(INTERVENTIONS.values()), ids=list(INTERVENTIONS))


def all_of(engine: Engine, inputs: tuple[Tensor, ...]) -> list[Intervention]:
    h = engine.features(inputs)
    return [make(h) for make in INTERVENTIONS.values()]


def close(a: np.ndarray, b: np.ndarray, allowed: float = FLOAT32) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=allowed * max(1.0, float(np.abs(b).max())))


def n_hooks(model: nn.Module) -> int:
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks) for part in model.modules()
    )


# ------------------------------------------------------------------ the contract


def test_every_intervention_stands_in_this_suite():
    offered = {
        one
        for module in (interventions, replacements, parts)
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, Intervention)
        and one not in (Intervention, Together)  # Together: tests/engine/test_course.py
    }
    h = torch.randn(ROWS, WIDTH)
    assert offered == {type(make(h)) for make in INTERVENTIONS.values()}


@every_kind
def test_the_expected_way_is_chosen_and_recorded(kind):
    model, inputs = network(kind), kind.inputs()
    engine = Engine(model, kind.site)
    report = engine.evaluate(inputs, all_of(engine, inputs)).report
    assert report.strategy == kind.strategy
    assert report.n_requested == ROWS * len(INTERVENTIONS)
    assert report.parity_max_abs_diff < 1e-4


@every_kind
def test_identity_is_a_no_op(kind):
    model, inputs = network(kind), kind.inputs()
    model.eval()
    with torch.no_grad():
        plain = model(*inputs).numpy()
    engine = Engine(model, kind.site)
    close(engine.evaluate(inputs, [Identity()]).outputs[0], plain)
    close(engine.logits(inputs), plain)


@every_kind
@every_intervention
def test_all_ways_agree(kind, make):
    model, inputs = network(kind), kind.inputs()
    cheapest, hooks = Engine(model, kind.site), Engine(model, kind.site, strategy="hooks")
    one = make(cheapest.features(inputs))
    expected = hooks.evaluate(inputs, [one])
    assert expected.report.strategy == "hooks"
    close(cheapest.evaluate(inputs, [one]).outputs, expected.outputs)
    if kind.strategy != "hooks":
        suffix = Engine(model, kind.site, strategy="suffix").evaluate(inputs, [one])
        assert suffix.report.strategy == "suffix"
        close(suffix.outputs, expected.outputs)


@every_kind
def test_batch_equals_loop_and_small_batches_equal_large(kind):
    model, inputs = network(kind), kind.inputs()
    engine = Engine(model, kind.site)
    interventions = all_of(engine, inputs)
    together = engine.evaluate(inputs, interventions).outputs
    for one, expected in zip(interventions, together, strict=True):
        close(engine.evaluate(inputs, [one]).outputs[0], expected)
    close(Engine(model, kind.site, batch_limit=4).evaluate(inputs, interventions).outputs, together)


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_no_hook_and_no_flag_is_left(kind, training):
    model, inputs = network(kind), kind.inputs()
    model.train(training)
    list(model.children())[-1].train(not training)
    flags = {name: part.training for name, part in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    engine = Engine(model, kind.site)
    engine.evaluate(inputs, all_of(engine, inputs))
    assert n_hooks(model) == 0
    assert {name: part.training for name, part in model.named_modules()} == flags
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()


class Exploding(Identity):
    def forward(self, h: Tensor) -> Tensor:
        raise RuntimeError("boom")

    @property
    def family(self):
        return None


@every_kind
def test_no_hook_and_no_flag_is_left_after_an_exception(kind):
    model, inputs = network(kind), kind.inputs()
    model.train()
    flags = {name: part.training for name, part in model.named_modules()}
    for strategy in (None, "hooks"):
        engine = Engine(model, kind.site, strategy=strategy)
        with pytest.raises(RuntimeError, match="boom"):
            engine.evaluate(inputs, [Identity(), Exploding()])
    with pytest.raises(RuntimeError):  # the model itself fails
        Engine(model, kind.site).features(tuple(torch.zeros(ROWS, 1, 1, 1, 1, 1) for _ in inputs))
    assert n_hooks(model) == 0
    assert {name: part.training for name, part in model.named_modules()} == flags
    assert torch.is_grad_enabled()


@every_kind
@every_intervention
def test_float32_agrees_with_float64(kind, make):
    model, inputs = network(kind), kind.inputs()
    single, double = Engine(model, kind.site), Engine(model, kind.site, dtype="float64")
    one = make(double.features(inputs))
    exact = double.evaluate(inputs, [one]).outputs
    assert exact.dtype == np.float64
    close(single.evaluate(inputs, [one]).outputs, exact)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@every_kind
@every_intervention
def test_forward_keeps_shape_and_leaves_its_argument(kind, make):
    h = Engine(network(kind), kind.site).features(kind.inputs())
    before = h.clone()
    edited = make(h).forward(h)
    assert edited.shape == h.shape
    assert torch.equal(h, before)
    assert edited.data_ptr() != h.data_ptr()


@every_kind
@pytest.mark.parametrize("name", IDEMPOTENT)
def test_twice_is_once(kind, name):
    h = Engine(network(kind), kind.site).features(kind.inputs())
    one = INTERVENTIONS[name](h)
    torch.testing.assert_close(one.forward(one.forward(h)), one.forward(h), atol=1e-5, rtol=1e-5)


@every_intervention
def test_the_pull_back_is_what_forward_does(make):
    h = torch.randn(ROWS, WIDTH, dtype=torch.float64)
    one = make(h).to("cpu", torch.float64)
    if one.family is None:
        assert isinstance(one, Resample | Graft | SetFeature | Within | Chain)
        return
    weight = torch.randn(3, WIDTH, dtype=torch.float64)
    pulled = type(one).pull_back([one, one], weight)
    weights = weight.expand(2, -1, -1) if pulled.weights is None else pulled.weights
    for index in range(2):
        torch.testing.assert_close(h @ weights[index].T + pulled.offsets[index], one.forward(h) @ weight.T)


# ------------------------------------------------------------------ the same on another device

DEVICE = os.environ.get("PARIBUS_TEST_DEVICE", "cuda")
"""The device of this part; ``make gpu`` sets it, and then a missing one is a failure, not a skip."""
on_cuda = pytest.mark.skipif(
    "PARIBUS_TEST_DEVICE" not in os.environ and not torch.cuda.is_available(), reason="no CUDA device"
)
FORMATS = {"float32": 1e-3, "bfloat16": 1e-1}
every_format = pytest.mark.parametrize("dtype", FORMATS)


def there(kind: Kind, dtype: str, **more) -> Engine:
    return Engine(network(kind), kind.site, device=DEVICE, dtype=dtype, **more)


@pytest.mark.gpu
@on_cuda
@every_kind
@every_format
def test_cpu_agrees_with_cuda(kind, dtype):
    inputs = kind.inputs()
    on_cpu, on_device = Engine(network(kind), kind.site), there(kind, dtype)
    interventions = all_of(on_cpu, inputs)
    expected = on_cpu.evaluate(inputs, interventions)
    found = on_device.evaluate(inputs, interventions)
    assert found.report.strategy == expected.report.strategy
    close(found.outputs, expected.outputs, FORMATS[dtype])


@pytest.mark.gpu
@on_cuda
@every_kind
@every_format
def test_on_cuda_all_ways_agree_and_batches_equal_loops(kind, dtype):
    inputs = kind.inputs()
    engine = there(kind, dtype)
    interventions = all_of(Engine(network(kind), kind.site), inputs)
    together = engine.evaluate(inputs, interventions).outputs
    hooks = there(kind, dtype, strategy="hooks").evaluate(inputs, interventions).outputs
    close(together, hooks, FORMATS[dtype])
    close(there(kind, dtype, batch_limit=4).evaluate(inputs, interventions).outputs, together, FORMATS[dtype])
    for one, expected in zip(interventions, together, strict=True):
        close(engine.evaluate(inputs, [one]).outputs[0], expected, FORMATS[dtype])


@pytest.mark.gpu
@on_cuda
@every_kind
@every_format
def test_on_cuda_identity_is_a_no_op_and_no_hook_is_left(kind, dtype):
    inputs = kind.inputs()
    engine = there(kind, dtype)
    close(engine.evaluate(inputs, [Identity()]).outputs[0], engine.logits(inputs), FORMATS[dtype])
    assert n_hooks(engine._model) == 0
