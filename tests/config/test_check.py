from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.config.check import build, build_settings, convert
from paribus.errors import ConfigError
from paribus.spec import Spec, check_value, field

quick = settings(max_examples=60, deadline=None)


@dataclass(frozen=True)
class Inner(Spec):
    size: int = field(1, low=1, help="Size.")


@dataclass(frozen=True)
class Outer(Spec):
    name: str = field(help="Name.")
    inner: Any = field(None, help="Anything.")
    table: dict[str, Any] = field({}, help="A table.")
    items: list[Any] = field([], help="A list.")
    mode: Literal["a", "b"] = field("a", help="Mode.")
    pairs: list[list[int]] = field([], help="Pairs.")


HERE = f"{__name__}"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "here_specs", sys.modules[__name__])


def test_nested_nodes_are_built_wherever_they_stand():
    node = {"_target_": "here_specs.Inner", "size": 3}
    made = build(
        {
            "_target_": "here_specs.Outer",
            "name": "x",
            "inner": node,
            "table": {"a": node, "b": 2},
            "items": [node, [node]],
        },
        "outer",
    )
    inner = Inner(size=3)
    assert made == Outer(name="x", inner=inner, table={"a": inner, "b": 2}, items=[inner, [inner]])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"inner": {"_target_": "here_specs.Inner", "size": 0}}, "outer.inner.size: must be at least 1"),
        ({"table": {"a": {"_target_": "here_specs.Inner", "sise": 2}}}, "outer.table.a.sise: unknown key"),
        ({"items": [1, {"_target_": "here_specs.Inner", "size": "x"}]}, "outer.items[1].size: wants a whole number"),
        ({"inner": {"_target_": "here_specs.Nope"}}, "outer.inner._target_: here_specs has no 'Nope'"),
        ({"mode": "c"}, "outer.mode: no such choice 'c'"),
        ({"pairs": [[1, 2], [1, "x"]]}, "outer.pairs[1][1]: wants a whole number"),
        ({"name": None}, "outer.name: wants a name or text, got null"),
    ],
)
def test_what_is_wrong_is_named_with_its_whole_place(change, part):
    with pytest.raises(ConfigError) as caught:
        build({"_target_": "here_specs.Outer", "name": "x", **change}, "outer")
    assert part in str(caught.value)


def test_a_missing_required_key_is_named():
    with pytest.raises(ConfigError, match=r"^outer.name: a value is needed \(outer.name=...\)$"):
        build({"_target_": "here_specs.Outer"}, "outer")


@quick
@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_stay_themselves(value):
    assert convert(value, int, "x") == value
    assert convert(value, float | None, "x") == float(value)
    assert convert(value, str, "x") == str(value)


@quick
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_becomes_an_int_only_when_nothing_is_lost(value):
    if value == math.floor(value) and -(2**63) <= value < 2**63:
        assert convert(value, int, "x") == value and isinstance(convert(value, int, "x"), int)
    else:
        with pytest.raises(ConfigError, match="whole number"):
            convert(value, int, "x")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1e308, 10**400])
def test_a_whole_number_that_no_array_can_hold_is_refused(value):
    with pytest.raises(ConfigError, match="^x: wants a whole number of 64 bits"):
        convert(value, int, "x")
    with pytest.raises(ConfigError, match="of 64 bits"):
        build({"_target_": "here_specs.Inner", "size": value}, "x")


def test_a_whole_number_beyond_all_floats_is_refused_as_a_number():
    with pytest.raises(ConfigError, match="^x: wants a number below 1e309"):
        convert(10**400, float, "x")
    assert convert(10**300, float, "x") == 1e300
    with pytest.raises(ConfigError, match="must be at most 2"):
        check_value("x", 10**400, {"high": 2})


@quick
@given(
    st.one_of(st.booleans(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()), st.none())
)
def test_nothing_but_a_number_is_a_number(value):
    for hint in (int, float):
        with pytest.raises(ConfigError, match="^x: wants a"):
            convert(value, hint, "x")


@pytest.mark.parametrize("value", [18.10, 1e3, True, None, ["a"]])
def test_a_name_is_a_text_or_a_whole_number(value):
    """Layer 18, unit 10 written as 18.10 is 18.1 by the time that we see it."""
    with pytest.raises(ConfigError, match="wants a name or text"):
        convert(value, str, "x")
    assert convert("18.10", str, "x") == "18.10" and convert(7, str, "x") == "7"


@quick
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text().filter(lambda key: key != "_target_"), s),
    )
)
def test_anything_without_a_target_passes_unchanged_where_anything_is_allowed(value):
    assert convert(value, Any, "x") == value


def test_an_exact_match_goes_before_a_conversion():
    assert convert(1, float | int, "x") == 1 and isinstance(convert(1, float | int, "x"), int)
    assert convert("1", int | str, "x") == "1"
    assert convert(True, str | bool, "x") is True


def test_checks_of_several_fields_name_the_place_and_not_the_class():
    @dataclass(frozen=True)
    class Range(Spec):
        low: int = field(0, help="Low.")
        high: int = field(1, help="High.")

        def check(self):
            if self.low > self.high:
                raise ConfigError("Range.low: too high")

    with pytest.raises(ConfigError, match="^a.b.low: too high$"):
        build_settings(Range, {"low": 5}, "a.b")
    with pytest.raises(ConfigError, match="^low: too high$"):
        build_settings(Range, {"low": 5})


@pytest.mark.parametrize("node", [None, 3, "text", {}, {"a": 1}])
def test_a_node_without_a_target_is_refused(node):
    with pytest.raises(ConfigError, match="^model: "):
        build(node, "model")
