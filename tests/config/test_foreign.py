from __future__ import annotations

import sys

import pytest

from paribus.config.check import build
from paribus.errors import ConfigError


def net(width, in_channels, *, bias=True):
    return ("net", width, in_channels, bias)


def with_anything(width, **more):
    return (width, more)


class Head:
    def __init__(self, size: int = 2) -> None:
        self.size = size


def wrapped(head, n_classes):
    return (head.size, n_classes)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "foreign_things", sys.modules[__name__])


def test_what_is_configured_and_what_is_provided_are_joined():
    made = build({"_target_": "foreign_things.net", "width": 3}, "model")
    assert made.call(in_channels=1, n_classes=9) == ("net", 3, 1, True)  # n_classes is not taken, so not passed


def test_what_is_configured_goes_before_what_is_provided():
    made = build({"_target_": "foreign_things.net", "width": 3, "in_channels": 7}, "model")
    assert made.call(in_channels=1) == ("net", 3, 7, True)


def test_a_callable_with_kwargs_gets_everything():
    made = build({"_target_": "foreign_things.with_anything", "width": 3, "depth": 2}, "model")
    assert made.call(n_classes=9) == (3, {"depth": 2, "n_classes": 9})


def test_a_nested_callable_is_called_first():
    node = {"_target_": "foreign_things.wrapped", "head": {"_target_": "foreign_things.Head", "size": 5}}
    assert build(node, "model").call(n_classes=3) == (5, 3)


@pytest.mark.parametrize(
    ("node", "part"),
    [
        (
            {"_target_": "foreign_things.net", "wdth": 3},
            "model.wdth: foreign_things.net takes no such argument; did you",
        ),
        (
            {"_target_": "foreign_things.wrapped", "head": {"_target_": "foreign_things.Head", "sze": 1}},
            "model.head.sze",
        ),
        ({"_target_": "foreign_things.Nope"}, "has no 'Nope'"),
        ({"_target_": "foreign_things"}, "wants a dotted name"),
        ({"_target_": "../evil.py"}, "wants a dotted name"),
        ({"_target_": "foreign_things.net", "_args_": [1]}, "is not supported"),
    ],
)
def test_wrong_arguments_are_refused_before_any_call(node, part):
    with pytest.raises(ConfigError) as caught:
        build(node, "model")
    assert part in str(caught.value)


def test_what_neither_the_configuration_nor_the_data_give_is_refused():
    made = build({"_target_": "foreign_things.net"}, "model")
    with pytest.raises(ConfigError) as caught:
        made.refuse_unprovided(("in_channels", "n_classes"), "model", "images")
    assert str(caught.value) == (
        "model.width: foreign_things.net needs this argument and it is not given (images give in_channels, n_classes)"
    )
    build({"_target_": "foreign_things.net", "width": 1}, "model").refuse_unprovided(
        ("in_channels",), "model", "images"
    )


def test_only_the_model_may_leave_something_to_the_data():
    with pytest.raises(ConfigError, match="data.in_channels"):
        build({"_target_": "foreign_things.net", "width": 3}, "data")


def test_equal_configuration_is_equal():
    node = {"_target_": "foreign_things.net", "width": 3}
    assert build(node, "model") == build(dict(node), "model")
    assert build(node, "model") != build({**node, "width": 4}, "model")
