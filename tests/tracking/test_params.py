"""Params are flat, typed again when read, and never longer than MLflow keeps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.tracking.metrics import curve_points, read_non_finite
from paribus.tracking.params import MAX_VALUE, flatten, from_text, param_key, to_text

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)


@settings(deadline=None, max_examples=200)
@given(st.one_of(LEAF, st.lists(LEAF, max_size=4)))
def test_a_param_keeps_its_type(value):
    restored = from_text(to_text(value))
    assert restored == value and type(restored) is type(value)


@given(TEXT)
def test_text_that_looks_like_something_else_stays_text(text):
    assert from_text(to_text(text)) == text


def test_long_values_are_cut_by_us_and_say_so():
    assert len(to_text(list(range(10_000)))) == MAX_VALUE and to_text(["x"] * 9000).endswith("config.yaml)")


def test_flat_names_are_dotted_and_empty_groups_left_out():
    tree = {"a": {"_target_": "t", "b": {"c": 1}, "d": [1], "e": None, "f": {}}, "g": None, "h": 2}
    assert flatten(tree) == {"a.b.c": 1, "a.d": [1], "a.e": None, "h": 2}


@given(st.text(max_size=300))
def test_any_name_becomes_one_mlflow_accepts(name):
    key = param_key(name)
    assert 1 <= len(key) <= 250 and "\n" not in key


def test_broken_non_finite_tags_are_ignored():
    for text in (None, "", "[]", "{", '{"a": "x"}'):
        assert read_non_finite(text) == {}


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_steps_of_a_curve_are_integers_a_database_can_hold(levels):
    from paribus.results.schema import Curve

    for point in curve_points(Curve("c", tuple(levels), tuple(0.0 for _ in levels))):
        assert type(point.step) is int and abs(point.step) < 2**63
