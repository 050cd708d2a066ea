"""The site that auto means."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from paribus.engine.auto_site import resolve_site
from paribus.errors import ConfigError


class Backwards(nn.Module):
    """Declares its layers in another order than it runs them."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


class Untraceable(Backwards):
    """Its forward branches on values, so it cannot be traced; declaration order is all there is."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


@pytest.mark.parametrize(
    ("model", "site"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1)), "2.input"),
        (Backwards(), "head.input"),
        (Untraceable(), "body.input"),
        (nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))), "0.1.input"),
    ],
)
def test_auto_is_the_input_of_the_last_linear_layer_that_is_run(model, site):
    assert str(resolve_site("auto", model)) == site


def test_a_named_site_is_taken_and_checked():
    assert str(resolve_site("body", Backwards())) == "body.output"
    with pytest.raises(ConfigError, match="did you mean 'body'"):
        resolve_site("bodi", Backwards())


def test_a_model_without_a_linear_layer_asks_for_a_site():
    with pytest.raises(ConfigError, match="no linear layer"):
        resolve_site("auto", nn.Sequential(nn.Conv2d(1, 2, 1)))
