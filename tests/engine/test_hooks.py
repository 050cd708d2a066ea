"""What a hook sees and puts in place, at modules that are called by keyword, too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from paribus.engine.hooks import visiting
from paribus.engine.sites import Site
from paribus.errors import ConfigError


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Doubled()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(scale=2.0, value=x)


class Doubled(nn.Module):
    def forward(self, scale: float, value: Tensor | None = None) -> Tensor:
        return torch.zeros(1) if value is None else scale * value


def test_the_first_tensor_of_a_call_by_keyword_is_seen_and_edited():
    model, x = Keyword(), torch.arange(3.0)
    with visiting(model, Site("inner", "input")) as seen:
        assert torch.equal(model(x), 2 * x)
    assert torch.equal(seen.value, x)
    with visiting(model, Site("inner", "input"), lambda h: h + 1):
        assert torch.equal(model(x), 2 * (x + 1))
    assert torch.equal(model(x), 2 * x)


def test_a_call_without_a_tensor_is_refused():
    model = nn.Sequential(Doubled())
    with visiting(model, Site("0", "input")), pytest.raises(ConfigError, match="not a tensor|without a tensor"):
        model[0](scale=1.0)
