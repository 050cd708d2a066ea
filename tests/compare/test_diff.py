"""What differs between runs: typed, nested, science apart from machine, equal values hidden."""

from __future__ import annotations

import math
from dataclasses import replace

from paribus.compare.diff import diff
from paribus.config.science import apart
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Result

CONFIG = {
    "seed": 0,
    "workers": 2,
    "experiment": {"_target_": "paribus.compare.compare_interventions.CompareInterventions", "at": "final", "runs": []},
    "tracking": {"_target_": "paribus.tracking.spec.TrackingSpec", "folder": "."},
    "data": {"_target_": "gone.somewhere.Data", "path": "x"},
}


def result(metrics=None, provenance=None, **config):
    head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
    origin = {"packages": {"numpy": "2"}, "threads": 1, **(provenance or {})}
    made = Result(*head, Aggregates(), {}, Diagnostics(), metrics=metrics or {"m": 1.0}, config={**CONFIG, **config})
    return replace(made, provenance=origin)


def lines(found):
    return {section: [str(each) for each in changes] for section, changes in found.items()}


def test_a_configuration_falls_into_what_counts_and_what_does_not():
    science, other = apart(CONFIG)
    assert "runs" not in science["experiment"] and other["experiment"] == {"runs": []}
    assert science["experiment"]["at"] == "final" and science["data"] == CONFIG["data"]  # of a class that is gone: all
    assert set(other) >= {"tracking", "workers"} and "tracking" not in science and science["seed"] == 0


def test_two_runs_differ_by_place_in_the_section_where_it_belongs():
    other = result({"m": 2.0}, {"packages": {"numpy": "3"}, "threads": 2}, seed=1, workers=4)
    assert lines(diff([result()], [other])) == {
        "science": ["seed: 0 -> 1"],
        "results": ["m: 1.0 -> 2.0"],
        "code": ["packages.numpy: 2 -> 3"],
        "machine": ["threads: 1 -> 2", "workers: 2 -> 4"],
    }
    assert not any(lines(diff([result()], [result()])).values())


def test_of_groups_the_values_that_occur_and_the_means_are_compared():
    a = [result({"m": float(seed)}, seed=seed, checkpoint="final") for seed in (0, 1)]
    b = [result({"m": float(seed) + 2}, seed=seed, checkpoint="all") for seed in (1, 0)]
    found = lines(diff(a, b))
    assert found["science"] == ["checkpoint: final -> all"]
    assert found["results"] == ["m: mean 0.5 of 2 -> mean 2.5 of 2"]
    (only,) = lines(diff(a, a[:1]))["science"]
    assert only == "seed: {0, 1} -> 0", "what a group holds has no type of its own"


def test_numbers_of_settings_are_compared_by_value_as_in_the_identity():
    """The default 1.0 of a file and the word 1 are one setting; yes or no and texts are not numbers."""
    one, other = result(experiment={"amount": 1.0}), result(experiment={"amount": 1})
    two, yes = result(experiment={"amount": 2}), result(experiment={"amount": True})
    assert not any(lines(diff([one], [other])).values())
    assert not any(lines(diff([one, other, two], [other, two])).values())
    assert lines(diff([one, two], [two, two]))["science"] == ["experiment.amount: {1.0, 2} -> 2"]
    assert lines(diff([one], [yes]))["science"] == ["experiment.amount: 1.0 (number) -> True (yes or no)"]


def test_of_groups_equal_means_are_left_out_and_missing_numbers_are_none_of_them():
    def of(*values):
        return [result({"m": value}) for value in values]

    assert not any(lines(diff(of(1.0, 2.0), of(2.0, 1.0))).values())
    assert not any(lines(diff(of(math.nan, math.nan), of(math.nan))).values())
    assert lines(diff(of(1.0, math.nan), of(1.0, 2.0)))["results"] == ["m: mean 1 of 1 -> mean 1.5 of 2"]
    assert lines(diff(of(math.nan, math.nan), of(1.0, 2.0)))["results"] == ["m: nan -> mean 1.5 of 2"]
    (change,) = diff([result(seed=0), result(seed=1)], [result(seed=0)])["science"]
    assert change.before.n == 2
