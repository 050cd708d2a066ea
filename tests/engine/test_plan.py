"""What a plan knows about values that pass by the site, and how exact two ways must be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from paribus.engine.course import output_tensor
from paribus.engine.evaluation import Engine
from paribus.engine.interventions import Identity, Steer
from paribus.engine.plan import _boundary, tolerance
from paribus.errors import ConfigError


@pytest.mark.parametrize(
    ("two", "three", "kind"),
    [
        (torch.ones(2, 4), torch.ones(3, 4), "rows"),
        (torch.ones(4), torch.ones(4), "constant"),
        (torch.ones(2, 4), torch.ones(3, 5), None),
        (torch.ones(4), torch.zeros(4), None),
        (torch.ones(2), 3, None),
        (2, 3, "batch"),
        (7, 7, "constant"),
        ("mean", "mean", "constant"),
        (1, 2, None),
        (2.0, 3.0, None),
    ],
)
def test_what_depends_on_the_examples_is_told_from_two_and_from_three_of_them(two, three, kind):
    found = _boundary(two, three)
    assert (found and found.kind) == kind


def test_coarser_numbers_and_devices_may_differ_more():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    bounds = [tolerance(torch.float64, cpu), tolerance(torch.float32, cpu), tolerance(torch.float32, cuda)]
    assert bounds == sorted(bounds) and bounds[-1] < tolerance(torch.bfloat16, cuda) < 0.1
    assert bounds[0] < 1e-8 and bounds[1] < 1e-3


def test_the_tensor_of_an_output_is_the_only_one_or_the_logits():
    x, y = torch.ones(2), torch.zeros(2)
    assert output_tensor(x, "the model") is x
    assert output_tensor((None, x), "the model") is x
    assert output_tensor({"loss": y, "logits": x}, "the model") is x
    for several in ((x, y), {"a": x, "b": y}, (None,)):
        with pytest.raises(ConfigError, match="tensors; wrap it"):
            output_tensor(several, "the model")


class InPlace(nn.Module):
    """What passes by the site is changed in place behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.site, self.out = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x)
        b = torch.tanh(self.site(a))
        return self.out(torch.relu(a.add_(b)))


def test_what_passes_by_is_kept_from_methods_that_write():
    torch.manual_seed(0)
    model, x = InPlace().eval(), torch.randn(5, 3)
    engine = Engine(model, "site")
    edits = [Identity(), Steer(torch.ones(4), 1.0), Identity()]
    found = engine.evaluate(x, edits)
    assert found.report.strategy == "suffix"
    plain = Engine(model, "site", strategy="hooks").evaluate(x, edits)
    for ours, theirs in zip(found.outputs, plain.outputs, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), atol=1e-5, rtol=0)
