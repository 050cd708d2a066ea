"""A module handed over as an object is known by what it does, and is never changed."""

from __future__ import annotations

import copy
import functools
import threading

import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.models import handed
from paribus.models.handed import handed_model, let_go, state_of


class Net(nn.Module):
    def __init__(self, power=2, act=torch.relu):
        super().__init__()
        torch.manual_seed(0)
        self.power, self.act = power, act
        self.first, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.register_buffer("scale", torch.ones(4), persistent=False)

    def forward(self, x):
        return self.act(self.norm(self.first(x))) ** self.power * self.scale


def identity(module):
    spec = handed_model(module)
    let_go(spec)
    return spec.weights, spec.structure


@pytest.fixture(autouse=True)
def nothing_held():
    yield
    handed._held.clear()


def changed(change):
    module = Net()
    change(module)
    return module


CHANGES = {
    "a weight": lambda m: m.first.weight.data.__setitem__((0, 0), 9.0),
    "a buffer": lambda m: m.norm.running_mean.fill_(0.5),
    "a buffer that no state dict holds": lambda m: m.scale.fill_(2.0),
    "a setting": lambda m: setattr(m, "power", 3),
    "a setting of a part": lambda m: setattr(m.norm, "eps", 1e-3),
    "a function": lambda m: setattr(m, "act", torch.tanh),
    "a part": lambda m: setattr(m, "norm", nn.Identity()),
    "a number format": lambda m: m.double(),
}


def test_equal_modules_are_one_model_whatever_mode_they_are_in():
    assert identity(Net()) == identity(Net()) == identity(copy.deepcopy(Net()).eval())


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_the_outputs_makes_another_model(what):
    assert identity(changed(CHANGES[what])) != identity(Net())


def test_the_source_of_its_classes_counts(own):
    package = own("handed_things")
    text = "from torch import nn\nclass Twice(nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
    package.write("net", text)
    from handed_things.net import Twice

    before = identity(nn.Sequential(Twice()))
    package.change("net.py", "2 * x", "3 * x")
    package.anew()
    from handed_things.net import Twice as Thrice

    assert identity(nn.Sequential(Thrice())) != before


def scaled(x, by):
    return x * by


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("act", lambda m: setattr(m, "act", functools.partial(scaled, by=2))),
        ("act", lambda m: setattr(m, "act", (lambda k: lambda x: x * k)(2))),
        ("first._forward_hooks", lambda m: m.first.register_forward_hook(lambda *a: None)),
    ],
)
def test_parts_that_cannot_be_told_make_every_run_its_own(what, change):
    module = changed(change)
    one, other = handed_model(module), handed_model(module)
    assert one.untold == [what]
    assert one.structure != other.structure


def test_the_module_itself_is_never_changed():
    module = Net().train()
    spec = handed_model(module)
    built = spec.build()
    built.double().eval()
    built.first.weight.data.zero_()
    assert module.training and module.first.weight.dtype is torch.float32 and module.first.weight.any()
    assert state_of(spec)["first.weight"].data_ptr() != module.first.weight.data_ptr()


def test_an_object_that_was_let_go_is_asked_for_again():
    spec = handed_model(Net())
    let_go(spec)
    with pytest.raises(ConfigError, match=r"the module Net was an object of a notebook; hand it over again"):
        spec.build()


def test_a_module_that_cannot_be_copied_is_refused():
    module = Net()
    module.lock = threading.Lock()
    with pytest.raises(ConfigError, match="Net cannot be copied"):
        handed_model(module).build()
