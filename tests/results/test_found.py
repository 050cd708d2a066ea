from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paribus.results import found
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Result


def result(**custom):
    return Result("", "t", Evidence.COMPARISON, None, None, "runs", Aggregates(custom=custom), {}, Diagnostics())


def test_the_summary_shows_sentences_or_numbers_with_their_intervals():
    assert found.lines(result(summary=["one", "two"], x=1)) == ["one", "two"]
    shown = found.lines(result(delta=0.123456, delta_ci_low=-1.0, delta_ci_high=float("nan"), name="x", on=True))
    assert shown == ["delta = 0.1235 [-1, n/a]"]


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.floats(), st.integers(), st.none(), st.text()), max_size=6))
def test_any_aggregates_can_be_summed_up(values):
    assert all(isinstance(line, str) for line in found.numbers(values))


def test_an_interval_that_allows_for_choosing_is_shown_with_its_number():
    shown = found.numbers({"largest": 2.0, "largest_ci_adj_low": 1.0, "largest_ci_adj_high": 3.0})
    assert shown == ["largest = 2 [1, 3]"]
