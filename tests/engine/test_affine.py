"""Which suffixes count as affine."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from paribus.engine.affine import is_affine


class Function(nn.Module):
    def __init__(self, fn, parameter=None):
        super().__init__()
        self.fn = fn
        if parameter is not None:
            self.weight = nn.Parameter(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self, x)


def traced(module: nn.Module) -> fx.GraphModule:
    return fx.symbolic_trace(nn.Sequential(module).eval())


AFFINE = {
    "linear": nn.Linear(4, 2),
    "head": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 2)),
    "batch norm": nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3), nn.Flatten()),
    "identity": nn.Identity(),
    "flatten": Function(lambda m, x: torch.flatten(x, 1)),
    "view by size": Function(lambda m, x: x.view(x.size(0), -1)),
    "reshape by shape": Function(lambda m, x: x.reshape(x.shape[0], -1)),
    "mean of positions": Function(lambda m, x: x.mean([2, 3])),
    "mean by keyword": Function(lambda m, x: x.mean(dim=(2, 3))),
    "sum, scale, shift": Function(lambda m, x: 2 * x.sum(-1) / 3 + 1 - 0.5 * x.mean(-1)),
    "first token": Function(lambda m, x: x[:, 0]),
    "matmul": Function(lambda m, x: x @ m.weight, torch.ones(4, 2)),
    "functional": Function(lambda m, x: F.dropout(F.adaptive_avg_pool2d(x, 1), training=False)),
}
NOT_AFFINE = {
    "relu": nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
    "max pool": nn.MaxPool2d(2),
    "layer norm": nn.LayerNorm(4),
    "softmax": Function(lambda m, x: x.softmax(-1)),
    "square": Function(lambda m, x: x * x),
    "own product": Function(lambda m, x: (x + 1) * (x - 1)),
    "inverse": Function(lambda m, x: 1 / x),
    "abs": Function(lambda m, x: x.abs()),
    "mean of rows": Function(lambda m, x: x - x.mean(0)),
    "mean of all": Function(lambda m, x: x * 0 + x.mean()),
    "flatten with rows": Function(lambda m, x: torch.flatten(x)),
    "one row": Function(lambda m, x: x[0]),
    "batch statistics": nn.BatchNorm2d(4, track_running_stats=False),
    "dropout on": Function(lambda m, x: F.dropout(x, training=True)),
    "not read": Function(lambda m, x: m.weight * 1, torch.ones(4)),
    "lookup": Function(lambda m, x: m.weight[x.long()], torch.ones(4)),
}


@pytest.mark.parametrize("module", list(AFFINE.values()), ids=list(AFFINE))
def test_affine_is_recognised(module):
    assert is_affine(traced(module))


@pytest.mark.parametrize("module", list(NOT_AFFINE.values()), ids=list(NOT_AFFINE))
def test_anything_else_is_not(module):
    assert not is_affine(traced(module))


def test_a_subclass_of_an_affine_module_is_not_trusted():
    class Bent(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).relu()

    graph = fx.Graph()
    out = graph.call_module("bent", (graph.placeholder("x"),))
    graph.output(out)
    assert not is_affine(fx.GraphModule(nn.ModuleDict({"bent": Bent(4, 2)}), graph))


def test_a_second_value_is_refused():
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    assert not is_affine(fx.symbolic_trace(Two()))
