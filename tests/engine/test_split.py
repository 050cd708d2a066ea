"""Cutting networks at a site, including the awkward ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paribus.engine.course import Course
from paribus.engine.evaluation import Engine
from paribus.engine.hooks import at_rest
from paribus.engine.interventions import AblateUnits, ProjectOut, Steer
from paribus.engine.sites import Site
from paribus.engine.split import folded, split_at

N = 9


def edits(width: int) -> list:
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.standard_normal((width, 2)))[0]
    return [Steer(generator.standard_normal(width), 2.0), AblateUnits([0]), ProjectOut(basis, np.ones(width))]


def check(model: nn.Module, site: str, inputs: object, strategy: str, width: int = 4, **options: object) -> Engine:
    """Evaluate by the chosen way and by hooks on another batch size than the plan saw."""
    engine = Engine(model, site, batch_limit=4, **options)
    found = engine.evaluate(inputs, edits(width))
    assert found.report.strategy == strategy
    expected = Engine(model, site, strategy="hooks", **options).evaluate(inputs, edits(width))
    np.testing.assert_allclose(found.outputs, expected.outputs, rtol=0, atol=2e-5)
    return engine


def test_a_batch_norm_is_folded_into_a_copy():
    conv, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 3.0)
    norm.weight.data.normal_()
    weight = conv.weight.clone()
    model = nn.Sequential(nn.Conv2d(3, 3, 1), conv, norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 2)).train()
    with at_rest(model):
        split = split_at(model, Course(Site("0")), (None,), coarse=False)
        called = [split.suffix.get_submodule(n.target) for n in split.suffix.graph.nodes if n.op == "call_module"]
        assert [type(part) for part in called] == [nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear]
        x = torch.randn(5, 3, 5, 5)
        torch.testing.assert_close(split.suffix(*split.prefix(x)), model(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(folded(conv, norm)(x), norm(conv(x)), atol=1e-5, rtol=1e-5)
    assert torch.equal(conv.weight, weight)
    assert conv.bias is None
    assert model[2] is norm
    assert model.training and norm.training


class Optional(nn.Module):
    """Arguments with defaults, the number of rows, a position table, a scalar from the inputs' shape."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(12, 2)
        self.register_buffer("places", torch.randn(3, 4))

    def forward(self, x: Tensor, mask: Tensor | None = None, scale: float = 2.0) -> Tensor:
        n = x.size(0)
        places = self.places * scale
        h = torch.relu(self.a(x)) + places
        if mask is not None:
            h = h * mask[..., None]
        return self.b(torch.tanh(h).reshape(n, -1)) / x.shape[1]


def test_optional_arguments_row_counts_and_constants_are_handled():
    x, mask = torch.randn(N, 3, 4), (torch.rand(N, 3) > 0.4).float()
    alone = check(Optional(), "a", x, "suffix").plan(x)
    assert {one.kind for one in alone.boundary} == {"batch", "constant"}
    masked = check(Optional(), "a", (x, mask), "suffix").plan((x, mask))
    assert {one.kind for one in masked.boundary} == {"batch", "constant", "rows"}


def test_an_input_edit_reaches_one_reader_only():
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.stem(x)
            return torch.tanh(self.a(h)) + self.b(h)

    model, x = Fork(), torch.randn(N, 4)
    check(model, "a.input", x, "suffix")
    check(model, "b.input", x, "suffix")
    check(model, "stem", x, "suffix")
    edited = Engine(model, "b.input").evaluate(x, [Steer(torch.ones(4), 1.0)]).outputs[0]
    with torch.no_grad():
        np.testing.assert_allclose(edited, (model(x) + model.b.weight.sum(1)).numpy(), atol=1e-5)


def test_the_same_tensor_in_several_arguments():
    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.mha, self.out = (
                nn.Linear(4, 4),
                nn.MultiheadAttention(4, 2, batch_first=True),
                nn.Linear(4, 2),
            )

        def forward(self, x: Tensor) -> Tensor:
            h = self.stem(x)
            return self.out(self.mha(h, h, h, need_weights=False)[0][:, 0])

    check(Attend(), "mha.input", torch.randn(N, 3, 4), "suffix")
    check(Attend(), "stem", torch.randn(N, 3, 4), "suffix")


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.1)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        return self.out(self.encoder(x, src_key_padding_mask=pad)[:, 0])


@pytest.mark.parametrize(("site", "strategy"), [("encoder", "closed_form"), ("encoder.layers.0", "resume")])
def test_a_library_transformer_with_padding(site, strategy):
    torch.manual_seed(0)
    x, pad = torch.randn(N, 5, 8), torch.arange(5)[None] >= torch.randint(1, 6, (N, 1))
    engine = check(Encoder(), site, (x, pad), strategy, width=8)
    assert engine.features((x, pad)).shape == (N, 8, 5)


def test_control_flow_in_another_module_does_not_matter():
    class Wayward(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if float(x.sum()) == 0.5 else torch.tanh(x)

    model = nn.Sequential(Wayward(), nn.Linear(4, 4), Wayward(), nn.Linear(4, 2))
    check(model, "1", torch.randn(N, 4), "suffix")


def test_in_place_methods_do_not_reach_kept_values():
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.stem(x)
            y = self.a(x)
            h.add_(y)
            return self.b(h.relu_())

    model, x = Writes(), torch.randn(N, 4)
    # After "a" the tracer does not see that h changes; the plan is tried against the plain model and refused.
    for site, strategy in (("a", "hooks"), ("stem", "suffix")):
        engine = check(model, site, x, strategy)
        first = engine.evaluate(x, edits(4)).outputs
        np.testing.assert_array_equal(engine.evaluate(x, edits(4)).outputs, first)


def test_a_site_that_is_the_output():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    x = torch.randn(N, 4)
    found = Engine(model, "1").evaluate(x, [Steer(torch.ones(3), 0.5)])
    assert found.report.strategy == "closed_form"
    with torch.no_grad():
        np.testing.assert_allclose(found.outputs[0], model(x).numpy() + 0.5, atol=1e-6)


def test_a_declared_channel_axis():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.relu(self.a(x)).mean((1, 2)))

    x = torch.randn(N, 3, 5, 4)
    engine = check(Last(), "a@-1", x, "suffix")
    assert engine.features(x).shape == (N, 4, 3, 5)


def test_assignments_to_entries_are_traced():
    class Assigns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            gate = torch.ones_like(x)
            gate[:, 0] = 0.5
            h = torch.tanh(self.a(x * gate))
            gate[:, 1] = 3.0
            return self.b(h * gate)

    model, x = Assigns(), torch.randn(N, 4)
    engine = check(model, "a", x, "suffix")
    first = engine.evaluate(x, edits(4)).outputs
    np.testing.assert_array_equal(engine.evaluate(x, edits(4)).outputs, first)
