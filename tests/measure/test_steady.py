"""Networks whose outputs change although nothing is edited: refused before anything is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from paribus.engine import Engine
from paribus.engine.interventions import Identity
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.setup import NetworkSetup
from paribus.measure import ArraySubject, Contexts, Executor
from paribus.measure.steady import refuse_unsteady
from paribus.stats.spec import StatsSpec


class Net(nn.Module):
    """Two linear layers with something between them."""

    def __init__(self, between):
        super().__init__()
        self.a, self.b, self.between = nn.Linear(3, 4), nn.Linear(4, 2), between
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        return self.b(self.between(self, self.a(x)))


def counts(net, h):
    net.calls += 1
    return h * net.calls


def average(net, h):
    net.calls = 0.9 * net.calls + 0.1 * h.mean()
    return h - net.calls


def seeded(net, h):
    return h + torch.randn(h.shape, generator=torch.Generator().manual_seed(0))


def rewritten(net, h):
    net.calls += 1
    return h


def replaced(net, h):
    net.calls = net.calls + 1
    return h


def cached(net, h):
    if net.calls.ndim == 0:
        net.calls = h.new_full((4,), 2.0)
    return h * net.calls


EACH_TIME = {
    "dropout": lambda net, h: functional.dropout(h),
    "noise": lambda net, h: h + 1e-2 * torch.randn_like(h),
    "counts": counts,
    "average": average,
    "rewritten": rewritten,
    "replaced": replaced,
}
BESIDE = {
    "softmax": lambda net, h: h * h.softmax(0),
    "batch norm": lambda net, h: functional.batch_norm(h, None, None, training=True),
    "centred": lambda net, h: h - h.mean(0),
    "seeded": seeded,
}
STEADY = {
    "as it is": lambda net, h: h.relu(),
    "off": lambda net, h: functional.dropout(h, training=net.training),
    "in half": lambda net, h: h.bfloat16().float(),
    "cached": cached,
}
CONTEXTS = Contexts(inputs=torch.randn(20, 3, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", [*EACH_TIME, *BESIDE, *STEADY])
def test_what_changes_without_an_edit_is_refused(name):
    torch.manual_seed(0)
    net = Net({**EACH_TIME, **BESIDE, **STEADY}[name])
    setup = NetworkSetup(contexts=ArraySubject(CONTEXTS), network=net, seed=0, stats=StatsSpec())
    if name in STEADY:
        assert setup.executor().vectors("a", np.arange(20)).shape == (20, 4)
        (checkpoint,) = setup.selected()
        executor = setup.executor(checkpoint)
        edited, _ = executor.at("a").edited(executor.subject.cells(np.arange(20)), [Identity()])
        assert np.isfinite(edited).all()
        return
    with pytest.raises(
        ConfigError, match="each time it is run" if name in EACH_TIME else "the other examples of the batch"
    ):
        setup.executor()
    if name not in (
        "counts",
        "average",
        "rewritten",
        "replaced",
    ):  # these change the network itself, which the engine says by itself
        with pytest.raises(ExperimentError, match="change from pass to pass"):
            Engine(net, "a", strategy="hooks").evaluate(CONTEXTS.given.tensors[0], [Identity()])


def test_one_context_is_looked_at_too_and_outputs_must_go_by_examples():
    refuse_unsteady(Executor(Net(STEADY["off"]), ArraySubject(Contexts(inputs=torch.zeros(1, 3)))))
    with pytest.raises(ConfigError, match="each time"):
        refuse_unsteady(Executor(Net(EACH_TIME["dropout"]), ArraySubject(Contexts(inputs=torch.zeros(1, 3)))))
    turned = nn.Sequential(nn.Linear(3, 4), nn.Flatten(0))
    with pytest.raises(ConfigError, match=r"shape \(12,\) for 3 examples"):
        refuse_unsteady(Executor(turned, ArraySubject(CONTEXTS)))
    gru = nn.ModuleDict({"gru": nn.GRU(3, 4)})  # positions come first
    gru.forward = lambda x: gru["gru"](x.transpose(0, 1))[0][-1]
    three = Executor(gru, ArraySubject(Contexts(inputs=torch.randn(8, 3, 3))))
    with pytest.raises(ConfigError, match="axis 0 must hold the examples"):
        three.width("gru")
    with pytest.raises(ConfigError, match="axis 0 must hold the examples"):
        Engine(gru, "gru").plan(torch.randn(8, 3, 3))


def test_networks_that_cannot_be_run_or_give_no_numbers_are_refused_in_a_line():
    x = CONTEXTS.given.tensors[0].clone()
    x[4, 1] = float("nan")
    for net, inputs, said in (
        (Net(STEADY["off"]), x, "1 of 20 have inputs that are NaN or infinite"),
        (Net(lambda net, h: h / 0 * 0), CONTEXTS.inputs, "NaN or infinite outputs for some examples$"),
        (Net(STEADY["off"]), x.long(), "cannot be run on these arrays: RuntimeError: mat1 and mat2 must have the same"),
        (Net(STEADY["off"]), x[:, :2], "cannot be run on these arrays: RuntimeError"),
    ):
        with pytest.raises(ConfigError, match=said):
            refuse_unsteady(Executor(net, ArraySubject(Contexts(inputs=inputs))))
    filled = Net(lambda net, h: h.nan_to_num())
    refuse_unsteady(Executor(filled, ArraySubject(Contexts(inputs=x))))


class Aliased(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.part, self.b = nn.Linear(3, 4), nn.Identity(), nn.Linear(2, 2)

    def forward(self, x):
        h = self.a(x)
        y = self.part(h[:, ::2])
        h.relu_()
        return self.b(y)


def test_a_value_that_is_changed_through_another_tensor_is_no_site():
    x = CONTEXTS.given.tensors[0]
    with pytest.raises(ConfigError, match="through another tensor"):
        Engine(Aliased(), "part").plan(x)
    assert Engine(Aliased(), "a").plan(x).layouts[0].shape == (4,)
    written = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    assert Engine(written, "0").evaluate(x, [Identity()]).outputs.shape == (1, 20, 2)


def test_a_number_per_example_is_an_output_too():
    class Scalar(nn.Sequential):
        def forward(self, x):
            return super().forward(x)[:, 0]

    net = Scalar(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    found = Engine(net, "1").evaluate(CONTEXTS.given.tensors[0], [Identity()])
    assert found.report.strategy == "closed_form" and found.outputs.shape == (1, 20)
