from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.sweep import outcome as outcomes
from paribus.sweep.outcome import Outcome

text = st.text(alphabet=st.characters(codec="utf-8"))


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(text).map(tuple),
    message=st.none() | text,
    run=st.none() | text,
    seconds=st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)
def test_an_outcome_reads_back_as_it_was(tmp_path_factory, words, message, run, seconds):
    folder = tmp_path_factory.mktemp("job")
    kept = Outcome(outcomes.FAILED, words, "sweep", run, message, seconds)
    kept.write(folder)
    assert outcomes.read(folder) == kept
    assert [p.name for p in folder.iterdir()] == ["outcome.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"status": "done"}', '{"overrides": 3}', '{"overrides": [], "odd": 1}']
)
def test_a_damaged_outcome_counts_as_none(tmp_path, content):
    (tmp_path / "outcome.json").write_text(content)
    assert outcomes.read(tmp_path) is None
    assert outcomes.read(tmp_path / "nope") is None


def test_outcomes_of_an_earlier_sweep_in_the_same_folder_are_left_out(tmp_path):
    for name, sweep in (("0", "old"), ("1", "new"), ("2", "old")):
        (tmp_path / name).mkdir()
        Outcome(outcomes.DONE, (name,), sweep).write(tmp_path / name)
    found = outcomes.collect(sorted(tmp_path.iterdir()), "new")
    assert [o.overrides for o in found] == [("1",)]


def test_the_failure_table_names_what_differs_and_what_is_lost():
    done = Outcome(outcomes.DONE, ("a=1", "seed=0"))
    failed = Outcome(outcomes.FAILED, ("a=1", "seed=1"), run_id="abc", message="broke")
    assert outcomes.failure_table([done], expected=1) == ""
    assert outcomes.failure_table([done, failed], expected=2) == (
        "1 of 2 jobs did not finish:\n  failed       seed=1: broke (run abc)"
    )
    assert "2 of 3 jobs" in outcomes.failure_table([done, failed], expected=3)
    assert "1 left no outcome" in outcomes.failure_table([done, failed], expected=3)
    assert "1 of 1 jobs" in outcomes.failure_table([], expected=1)


def test_jobs_are_counted_by_how_they_ended():
    ended = [
        Outcome(outcomes.DONE, (), "s", run_id="a"),
        Outcome(outcomes.DONE, (), "s", run_id="b", reused=True),
        Outcome(outcomes.DONE, (), "s", run_id="b", reused=True),
        Outcome(outcomes.FAILED, (), "s"),
        Outcome(outcomes.INTERRUPTED, (), "s"),
        Outcome(outcomes.REFUSED, (), "s"),
    ]
    counted = "7 jobs: 1 FAILED, 1 FINISHED, 1 KILLED, 1 refused, 2 reused, 1 without an outcome"
    assert outcomes.counts(ended, expected=7) == counted
    assert outcomes.counts(ended[:1], expected=1) == "1 job: 1 FINISHED"


def test_a_job_that_was_left_for_later_has_the_outcome_it_came_back_with():
    busy, done = Outcome(outcomes.BUSY, ("a=1",), number=0), Outcome(outcomes.DONE, ("a=1",), reused=True, number=0)
    assert outcomes.in_order([busy, done]) == outcomes.in_order([done, busy]) == [done]
    assert outcomes.in_order([busy]) == [busy]
