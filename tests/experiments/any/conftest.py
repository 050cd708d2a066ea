"""Networks whose causes are known, and a setup of small statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure import ArraySubject, Contexts
from paribus.stats.spec import StatsSpec

QUICK = {"n_bootstrap": 200, "n_permutations": 999, "n_null": 20}


def performed(experiment, setup):
    """Validate as a dry run does, then run, and return result and table of effects."""
    experiment.validate(setup)
    result = perform(experiment, setup, MemoryRecorder())
    return result, result.tables["effects"].frame


def setup_of(network, contexts, *, subject=None, seed=0, **stats):
    return NetworkSetup(
        seed=seed,
        stats=StatsSpec(**{**QUICK, **stats}),
        contexts=(subject or ArraySubject)(contexts),
        network=network,
    )


class Planted(nn.Module):
    """Hidden unit 2 alone carries the first input to the output; unit 5 is dead; units 0 and 1 make a product (AND)."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6, bias=False)
        weight = torch.zeros(6, 4)
        weight[0, 1] = weight[1, 2] = weight[2, 0] = weight[3, 3] = weight[4, 3] = 1.0
        self.hidden.weight = nn.Parameter(weight)
        self.gate = nn.Identity()
        self.out = nn.Linear(2, 2)
        self.out.weight = nn.Parameter(torch.tensor([[0.0, 0.0], [2.0, 1.0]]))
        self.out.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.gate(torch.relu(self.hidden(x)))
        return self.out(torch.stack([h[:, 2], h[:, 0] * h[:, 1]], 1))


@pytest.fixture
def planted():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, (160, 4)).astype(np.float32)
    y = (x[:, 0] > 1).astype(np.int64)
    contexts = Contexts(inputs=x, label=y, domain=np.arange(160) % 2, cluster=np.arange(160) // 2)
    return setup_of(Planted(), contexts)
