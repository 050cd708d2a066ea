"""Passes that are edited at several sites, read before their end, called by keyword, or come through a module twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paribus.engine.evaluation import Engine
from paribus.engine.interventions import AblateUnits, Identity, Steer
from paribus.engine.parts import Together, Within
from paribus.engine.replacements import Graft, Resample
from paribus.errors import ConfigError, DataError, ExperimentError

ROWS = 9


class Net(nn.Module):
    """Two blocks that share one activation module, a skip past the second, and a keyword for a mask."""

    def __init__(self, *, dynamic: bool = False) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.first, self.second, self.third = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.relu = nn.ReLU(inplace=True)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor, *, weight: Tensor | None = None) -> Tensor:
        if self.dynamic and bool((x.sum() == 12345.0).item()):
            x = -x
        a = self.relu(self.first(x))
        b = self.relu(self.norm(self.second(a)))
        c = torch.tanh(self.third(b)) + a
        if weight is not None:
            c = c * weight
        return self.out(c)


@pytest.fixture(params=[False, True], ids=["traced", "dynamic"])
def net(request):
    torch.manual_seed(0)
    model = Net(dynamic=request.param).eval()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2.0)
    return model


@pytest.fixture
def x():
    return torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(1))


def close(a, b, allowed=2e-5):
    np.testing.assert_allclose(a, b, rtol=0, atol=allowed)


def by_hand(net, x, weight=None, *, second=lambda h: h, third=lambda h: h, norm=lambda h: h):
    """The forward pass written out, with an edit after ``second``, after ``third`` and after the norm."""
    with torch.no_grad():
        a = torch.relu(net.first(x))
        b = torch.relu(norm(net.norm(second(net.second(a)))))
        c = torch.tanh(third(net.third(b))) + a
        return net.out(c if weight is None else c * weight).numpy()


def zeroed(*units):
    def edit(h):
        h = h.clone()
        h[:, list(units)] = 0.0
        return h

    return edit


# ------------------------------------------------------------------ several sites


def test_several_sites_are_edited_in_one_pass(net, x):
    engine = Engine(net, "second", also=["norm", "third"])
    edits = [
        Together((AblateUnits([1]), None, AblateUnits([0, 2]))),
        Together((None, AblateUnits([3]), None)),
        Identity(),
        AblateUnits([4]),
        Together((AblateUnits([1]), AblateUnits([3]), AblateUnits([5]))),
    ]
    found = engine.evaluate(x, edits)
    assert found.report.strategy == ("hooks" if net.dynamic else "suffix")
    assert found.report.parity_max_abs_diff < 1e-5
    close(found.outputs[0], by_hand(net, x, second=zeroed(1), third=zeroed(0, 2)))
    close(found.outputs[1], by_hand(net, x, norm=zeroed(3)))
    close(found.outputs[2], by_hand(net, x))
    close(found.outputs[3], by_hand(net, x, second=zeroed(4)))
    close(found.outputs[4], by_hand(net, x, second=zeroed(1), norm=zeroed(3), third=zeroed(5)))
    close(Engine(net, "second", also=["norm", "third"], batch_limit=4).evaluate(x, edits).outputs, found.outputs)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_further_site_takes_values_row_by_row(net, x):
    values = torch.randn(ROWS, 2)
    edit = Together((Resample([1], list(range(ROWS))[::-1]), Graft([0, 3], values)))
    found = Engine(net, "second", also=["third"], batch_limit=2).evaluate(x, [edit])

    def resampled(h):
        h = h.clone()
        h[:, 1] = h[:, 1].flip(0)
        return h

    def grafted(h):
        h = h.clone()
        h[:, [0, 3]] = values
        return h

    close(found.outputs[0], by_hand(net, x, second=resampled, third=grafted))


def test_the_parity_check_sees_every_kind_of_edit_and_place(net, x, monkeypatch):
    from paribus.engine.streaming import OutputStream

    seen = []
    plain = OutputStream.reference

    def watched(self, plan, inputs, rows, interventions):
        seen.extend(one.kind for one in interventions)
        return plain(self, plan, inputs, rows, interventions)

    monkeypatch.setattr(OutputStream, "reference", watched)
    steer = Steer(np.ones(6), 0.1)
    part = Within(AblateUnits([0]), channels=[2, 3])
    edits = [steer, Steer(np.ones(6), 0.2), AblateUnits([1]), part, Together((steer, None)), Together((None, steer))]
    Engine(net, "second", also=["third"]).evaluate(x, [*edits, Together((part, steer))])
    assert len(seen) == len(set(seen)) == 6


def test_a_wrong_further_site_is_noticed_and_the_plain_pass_taken(x):
    class Fickle(Net):
        """Does something else under tracing than it does with numbers."""

        def forward(self, x: Tensor, *, weight: Tensor | None = None) -> Tensor:
            value = self.third(self.second(self.first(x)))
            return self.out(value if isinstance(x, torch.fx.Proxy) else torch.relu(value))

    torch.manual_seed(0)
    net = Fickle().eval()
    found = Engine(net, "second", also=["third"]).evaluate(x, [Together((None, AblateUnits([1])))])
    assert found.report.strategy == "hooks"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda: Together((Identity(),)), "1 edits for 2 sites"),
        (lambda: Together((None, None)), "nothing is edited"),
        (lambda: Together((Together((Identity(),)), None)), "single sites"),
        (lambda: Together((None, AblateUnits([6]))), "0..5"),
        (lambda: Together((None, Resample([0], range(ROWS)))), "takes donors by value"),
    ],
)
def test_unfit_edits_of_several_sites_are_refused(net, x, edit, words):
    with pytest.raises(ExperimentError, match=words):
        Engine(net, "second", also=["third"]).evaluate(x, [edit()])


def test_unfit_courses_are_refused(net, x):
    with pytest.raises(ConfigError, match="comes to second.output first"):
        Engine(net, "third", also=["second"]).features(x)
    with pytest.raises(ConfigError, match="named twice"):
        Engine(net, "third", also=["third"])
    with pytest.raises(ConfigError, match="did you mean 'third'"):
        Engine(net, "second", also=["thrid"])
    with pytest.raises(ConfigError, match="did you mean 'out'"):
        Engine(net, "second", read="ot")


# ------------------------------------------------------------------ reading downstream of the edit


@pytest.mark.parametrize("read", ["third", "out.input", "norm", "relu:2"])
def test_a_pass_is_read_where_one_asks(net, x, read):
    found = Engine(net, "second", read=read).evaluate(x, [Identity(), AblateUnits([1, 2])])
    assert found.report.strategy == ("hooks" if net.dynamic else "closed_form" if read == "norm" else "suffix")
    with torch.no_grad():
        a = torch.relu(net.first(x))
        for outputs, edit in zip(found.outputs, (lambda h: h, zeroed(1, 2)), strict=True):
            normed = net.norm(edit(net.second(a)))
            b = torch.relu(normed)
            c = torch.tanh(net.third(b)) + a
            close(outputs, {"third": net.third(b), "out.input": c, "norm": normed, "relu:2": b}[read].numpy())


def test_nothing_is_read_that_is_not_passed(net, x):
    net.unused = nn.Linear(6, 6)
    with pytest.raises(ConfigError, match="nothing to read there"):
        Engine(net, "second", read="unused").logits(x)


def test_engines_that_read_elsewhere_share_no_values(net, x):
    from paribus.engine.cache import FeatureCache

    cache = FeatureCache()
    whole = Engine(net, "second", cache=cache, key="weights").logits(x)
    part = Engine(net, "second", cache=cache, key="weights", read="third").logits(x)
    assert (whole.shape, part.shape) == ((ROWS, 3), (ROWS, 6))
    close(Engine(net, "second", cache=cache, key="weights").logits(x), whole)


# ------------------------------------------------------------------ arguments by keyword


def test_arguments_go_by_keyword(net, x):
    weight = torch.rand(ROWS, 6)
    found = Engine(net, "second", batch_limit=4).evaluate({"x": x, "weight": weight}, [Identity(), AblateUnits([0])])
    close(found.outputs[0], by_hand(net, x, weight))
    close(found.outputs[1], by_hand(net, x, weight, second=zeroed(0)))
    assert found.report.strategy == ("hooks" if net.dynamic else "suffix")


def test_the_same_tensors_under_other_keywords_are_another_call():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.out = nn.Linear(5, 6), nn.Linear(6, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.out(torch.tanh(self.mix(a - 2 * b)))

    model, a, b = Two(), torch.randn(ROWS, 5), torch.randn(ROWS, 5)
    engine = Engine(model, "mix")
    one, other = engine.logits({"a": a, "b": b}), engine.logits({"b": a, "a": b})
    with torch.no_grad():
        close(one, model(a, b).numpy())
        close(other, model(b, a).numpy())


def test_arguments_must_have_equally_many_rows(net, x):
    with pytest.raises(DataError, match="equally many rows"):
        Engine(net, "second").logits({"x": x, "weight": torch.rand(ROWS + 1, 6)})


# ------------------------------------------------------------------ a module that runs several times


@pytest.mark.parametrize("strategy", [None, "hooks"])
def test_a_call_is_named_by_its_number(net, x, strategy):
    found = Engine(net, "relu:2", strategy=strategy).evaluate(x, [AblateUnits([1])]).outputs[0]
    with torch.no_grad():
        a = torch.relu(net.first(x))
        b = zeroed(1)(torch.relu(net.norm(net.second(a))))
        close(found, net.out(torch.tanh(net.third(b)) + a).numpy())
        at_first = zeroed(1)(a)
        b = torch.relu(net.norm(net.second(at_first)))
        expected = net.out(torch.tanh(net.third(b)) + at_first).numpy()
    close(Engine(net, "relu.output:1", strategy=strategy).evaluate(x, [AblateUnits([1])]).outputs[0], expected)


def test_both_calls_are_edited_together(net, x):
    found = Engine(net, "relu:1", also=["relu:2"]).evaluate(x, [Together((AblateUnits([1]), AblateUnits([4])))])
    with torch.no_grad():
        a = zeroed(1)(torch.relu(net.first(x)))
        b = zeroed(4)(torch.relu(net.norm(net.second(a))))
        close(found.outputs[0], net.out(torch.tanh(net.third(b)) + a).numpy())
    later = Engine(net, "second", also=["relu:2"]).evaluate(x, [Together((None, AblateUnits([4])))])
    with torch.no_grad():
        a = torch.relu(net.first(x))
        b = zeroed(4)(torch.relu(net.norm(net.second(a))))
        close(later.outputs[0], net.out(torch.tanh(net.third(b)) + a).numpy())


def test_a_call_must_be_named_and_exist(net, x):
    with pytest.raises(ConfigError, match=r"2 times; name one of its calls, relu.output:1 to relu.output:2"):
        Engine(net, "relu").features(x)
    with pytest.raises(ConfigError, match="2 times only"):
        Engine(net, "relu:3").features(x)


# ------------------------------------------------------------------ scores


@pytest.mark.parametrize("site", ["second", "out.input"])
def test_only_the_score_of_every_row_is_kept(net, x, site):
    labels = torch.arange(ROWS) % 3

    def loss(outputs: Tensor, rows: slice) -> Tensor:
        return nn.functional.cross_entropy(outputs, labels[rows], reduction="none")

    edits = [Identity(), AblateUnits([0]), Steer(np.ones(6), 0.5), Within(AblateUnits([0]), channels=[2, 1])]
    whole = Engine(net, site).evaluate(x, edits).outputs
    expected = [nn.functional.cross_entropy(torch.from_numpy(one), labels, reduction="none") for one in whole]
    for limit in (2, 512):
        found = Engine(net, site, score=loss, batch_limit=limit).evaluate(x, edits)
        assert found.outputs.shape == (4, ROWS)
        close(found.outputs, torch.stack(expected).numpy())
        assert found.report.parity_max_abs_diff < 1e-5


def test_a_score_gives_the_same_for_every_row(net, x):
    with pytest.raises(ExperimentError, match="the same for every row"):
        Engine(net, "second", score=lambda outputs, rows: outputs[:, : rows.stop // 3]).evaluate(x, [Identity()])


# ------------------------------------------------------------------ modules that return more than a tensor


class Pair(NamedTuple):
    hidden: Tensor
    weights: Tensor


@pytest.mark.parametrize(
    "pack",
    [
        lambda h: {"name": "block", "hidden": h, "weights": h.abs()},
        lambda h: OrderedDict(hidden=h, weights=h.abs()),
        lambda h: Pair(h, h.abs()),
        lambda h: [h, h.abs()],
    ],
)
def test_the_first_tensor_of_what_a_module_returns_is_its_value(pack, x):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 6)

        def forward(self, x: Tensor):
            return pack(self.linear(x))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.out = Block(), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            packed = self.block(x)
            hidden, weights = list(packed.values())[-2:] if isinstance(packed, dict) else packed
            return self.out(torch.tanh(hidden) * weights)

    torch.manual_seed(0)
    model = Whole()
    engine = Engine(model, "block")
    h = model.block.linear(x).detach()
    close(engine.features(x).numpy(), h.numpy())
    found = engine.evaluate(x, [AblateUnits([2])]).outputs[0]
    with torch.no_grad():
        close(found, model.out(torch.tanh(zeroed(2)(h)) * h.abs()).numpy())
