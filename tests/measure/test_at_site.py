"""A network at one site: vectors, outputs, edits and gradients against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.engine.given import Given
from paribus.engine.interventions import AblateUnits, Identity
from paribus.errors import ConfigError
from paribus.measure import ArraySubject, Contexts, Design, Executor, FeatureReadout
from paribus.measure.latest import LatestInputs


class Twice(nn.Module):
    """Runs one activation twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.act = nn.Linear(4, 5), nn.Linear(5, 3), nn.Tanh()

    def forward(self, x):
        return self.act(self.second(self.act(self.first(x))))


@pytest.fixture
def setting():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 6), nn.Tanh(), nn.Linear(6, 3))
    subject = ArraySubject(Contexts(inputs=torch.randn(11, 2, 6)))
    return net.eval(), subject, subject.cells(np.arange(11))


def test_vectors_and_outputs_are_those_of_the_network(setting):
    net, subject, cells = setting
    x = subject.inputs(cells).tensors[0]
    here = Executor(net, subject, batch_limit=4).at("1@1")
    with torch.no_grad():
        np.testing.assert_allclose(here.vectors(cells), net[:2](x).mean(2).numpy(), atol=1e-6)
        np.testing.assert_allclose(here.outputs(cells), net(x).numpy(), atol=1e-6)


def test_edits_go_together_and_are_reported(setting):
    net, subject, cells = setting
    run = Executor(net, subject)
    outputs, report = run.at("1@1").edited(cells, [Identity(), AblateUnits([0, 3])])
    assert outputs.shape == (2, 11, 3) and (report.strategy, report.n_requested) == ("suffix", 22)
    np.testing.assert_allclose(outputs[0], run.at("1@1").outputs(cells), atol=1e-6)
    assert run.at("1@1") is run.at("1.output@1")
    assert run.at("1@1").closed_form(cells) is None and run.at("5.input").closed_form(cells) is not None


@pytest.mark.parametrize("batch_limit", [3, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_is_that_of_finite_differences(setting, batch_limit, dtype):
    net, subject, cells = setting
    weights = torch.tensor([1.0, -0.5, -0.5])
    run = Executor(net, subject, batch_limit=batch_limit, dtype=dtype)
    found = run.at("1@1").gradient(cells, lambda outputs: outputs @ weights.to(outputs))
    net = net.double()
    x, step = subject.inputs(cells).tensors[0].double(), 1e-5

    def score(unit, by):
        h = net[:2](x)
        h[:, unit] += by
        return float((net[2:](h) @ weights.double()).mean())

    with torch.no_grad():
        expected = [(score(unit, step) - score(unit, -step)) / (2 * step) for unit in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_module_that_runs_twice_is_named_by_its_call_in_every_batch():
    torch.manual_seed(1)
    net, subject = Twice().eval(), ArraySubject(Contexts(inputs=torch.randn(7, 4)))
    run, cells = Executor(net, subject, batch_limit=2), subject.cells(np.arange(7))
    x = subject.inputs(cells).tensors[0]
    with torch.no_grad():
        first, second = net.act(net.first(x)).numpy(), net(x).numpy()
    np.testing.assert_allclose(run.vectors("act:1", np.arange(7)), first, atol=1e-6)
    np.testing.assert_allclose(run.vectors("act:2", np.arange(7)), second, atol=1e-6)
    np.testing.assert_allclose(run.at("act:1").vectors(cells), first, atol=1e-6)
    np.testing.assert_allclose(run.at("act:2").gradient(cells, lambda out: out[:, 1]), [0, 1, 0], atol=1e-6)
    for ask in (lambda: run.vectors("act", np.arange(7)), lambda: run.at("act").gradient(cells, lambda out: out[:, 0])):
        with pytest.raises(ConfigError, match="runs this module 2 times"):
            ask()
    columns = FeatureReadout(_Units(), 0, place="act:1")
    assert run.stream(Design(), columns).collected(7).values.shape == (2, 1, 7)


class _Units:
    size = 5

    def read(self, x, rows):
        return x[:, rows], x[:, rows]


def test_inputs_of_the_same_cells_are_made_once(setting):
    _, subject, cells = setting
    assert subject.held(cells) is subject.held(subject.cells(np.arange(11)))
    assert subject.held(cells) is not subject.held(cells[:5])


def test_held_inputs_are_bounded_in_number_and_bytes():
    made = []

    def ask(kept, number, size=100):
        return kept.get(np.array([number]), lambda: made.append(number) or Given((torch.zeros(size),), (None,)))

    kept = LatestInputs(most=2, limit_bytes=1000)
    for number in (1, 2, 1, 3, 1, 2):
        ask(kept, number)
    assert made == [1, 2, 3, 2]
    ask(kept, 9, size=1000)
    ask(kept, 9, size=1000)
    assert made == [1, 2, 3, 2, 9]
    ask(kept, 2)
    assert made == [1, 2, 3, 2, 9, 2]
