"""Restricting a comparison: the grammar, what it means, and what it says to nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.compare.where import check_names, check_where, fits, read
from paribus.errors import ConfigError
from paribus.experiments.setup_runs import CollectedRun


def run(seed=0, **changes):
    fields = {
        "run_id": f"r{seed}", "identity": f"r{seed}", "experiment_type": "t", "seed": seed, "n_train": 300,
        "condition": "standard", "started_at": f"2026-11-{10 + seed:02d}T12:00:00+00:00",
        "params": {"data.strength": "0.9", "training.grokfast": True, "data": "digits"}, "tags": {"sweep": "s1"},
        "metrics": {"acc": 0.5},
    }  # fmt: skip
    return CollectedRun(**{**fields, **changes})


RUNS = [run(seed, n_train=(300, 600)[seed % 2], condition=("standard", "grokking")[seed % 2]) for seed in range(10)]


def seeds(*where):
    check_where("C", where)
    return [each.seed for each in RUNS if fits(each, where)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["n_train=300"], [0, 2, 4, 6, 8]),
        (["seed=0..3"], [0, 1, 2, 3]),
        (["seed=7.."], [7, 8, 9]),
        (["seed=..1"], [0, 1]),
        (["seed=0..1|5|8.."], [0, 1, 5, 8, 9]),
        (["seed!=0..7"], [8, 9]),
        (["seed>=8"], [8, 9]),
        (["seed>8"], [9]),
        (["seed<1"], [0]),
        (["seed<=1", "training=grokking"], [1]),
        (["training=standard|grokking", "seed=3|4"], [3, 4]),
        (["training=Grokking", "seed<5"], [1, 3]),
        (["training!=grokking", "seed<3"], [0, 2]),
        (["started=2026-11-12"], [2]),
        (["started>=2026-11-18"], [8, 9]),
        (["started>2026-11-18"], [9]),
        (["started<2026-11-11"], [0]),
        (["started<=2026-11-11"], [0, 1]),
        (["started=2026-11-12..2026-11-13"], [2, 3]),
        (["started=2026-11-18.."], [8, 9]),
        (["started>=2026-11-18T13:00"], [9]),
        (["strength=0.9", "seed=4"], [4]),
        (["data.strength=.9", "seed=4"], [4]),
        (["grokfast=true", "seed=4"], [4]),
        (["tag.sweep=s1", "seed=4"], [4]),
        (["tag.sweep=s2"], []),
        (["acc=0.4..0.6", "seed=4"], [4]),
        (["nothing=1"], []),
        (["nothing!=1"], []),
        ([" seed = 2 | 3 "], [2, 3]),
    ],
)
def test_conditions_mean_what_they_say(where, expected):
    assert seeds(*where) == expected


@given(st.integers(-5, 15), st.integers(-5, 15))
@settings(max_examples=40, deadline=None)
def test_a_range_is_both_of_its_sides(low, high):
    if low > high:
        with pytest.raises(ConfigError, match="ends before it begins"):
            check_where("C", [f"seed={low}..{high}"])
        return
    assert seeds(f"seed={low}..{high}") == seeds(f"seed>={low}", f"seed<={high}")
    assert seeds(f"seed!={low}..{high}") == sorted(set(seeds()) - set(seeds(f"seed={low}..{high}")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data.strength", "NAME=VALUE"),
        ("=3", "NAME=VALUE"),
        ("seed=", "NAME=VALUE"),
        ("", "NAME=VALUE"),
        ("seed==3", "NAME=VALUE"),
        ("seed=1..b", "a range goes from number to number"),
        ("seed=..", "at least one end"),
        ("seed=9..1", "ends before it begins"),
        ("seed=1||2", "nothing beside"),
        ("seed>many", "> wants a number"),
        ("training>=standard", "is a text"),
        ("started=yesterday", "no date; write 2026-11-20"),
        ("started>=2026-13-01", "no date"),
        ("started=2026-11-20..2026-11-01", "ends before it begins"),
    ],
)
def test_nonsense_is_refused_in_one_line_that_shows_how(text, words):
    with pytest.raises(ConfigError) as caught:
        check_where("CompareInterventions", [text])
    message = str(caught.value)
    assert message.startswith("CompareInterventions.where: cannot read") and words in message and "\n" not in message
    assert "e.g. n_train=300" in message


@pytest.mark.parametrize(
    "where",
    [
        ["seed=1", "seed=2"],
        ["seed>=5", "seed<3"],
        ["seed=0..3", "seed=5..7"],
        ["seed=1|2", "seed!=0..4"],
        ["training=standard", "training=grokking"],
        ["training=standard", "training!=standard"],
        ["started<2026-11-01", "started>=2026-11-01"],
    ],
)
def test_contradictions_are_refused(where):
    with pytest.raises(ConfigError, match="contradict each other"):
        check_where("C", where)


@pytest.mark.parametrize(
    "where",
    [
        ["seed=1", "n_train=2"],
        ["seed>=5", "seed<=5"],
        ["seed>0", "seed<1"],
        ["seed!=1", "seed!=2"],
        ["training=standard|grokking", "training!=standard"],
        ["started>=2026-11-01", "started<2026-11-02"],
        ["started=2026-11-01", "started>=2026-11-01T10:00"],
    ],
)
def test_what_can_be_is_not_called_a_contradiction(where):
    check_where("C", where)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (["trainig=standard"], "none of 10 runs has 'trainig'; did you mean 'training'"),
        (["strenth=0.9"], "did you mean 'data.strength'"),
        (["seed=40..50"], "seed=40..50 fits none of 10 runs; seed is 0, 1, 2, 3, 4, 5, 6, 7, ..."),
        (["training=standrd"], "training is grokking, standard"),
        (["training=grokking", "n_train=300"], "no run of 10 fulfils all of training=grokking, n_train=300"),
    ],
)
def test_what_no_run_has_is_refused_with_what_they_have(where, words):
    with pytest.raises(ConfigError) as caught:
        check_names("C", where, RUNS)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_without_runs_nothing_is_said_about_names():
    check_names("C", ["whatever=1"], [])


def test_texts_that_look_like_numbers_stay_texts():
    assert fits(run(sweep="1e5"), ["sweep=1e5"]) and not fits(run(sweep="100000"), ["sweep=1e5"])
    assert read("C", "data.path=../here").words == ("../here",)
