"""Several runs of one trained model: the latest of equal ones, a refusal that says what decides where they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.compare.several import one_each
from paribus.errors import ExperimentError
from paribus.experiments.setup_runs import CollectedRun


def run(name, *, started="2026-01-01", **params):
    return CollectedRun(
        run_id=name,
        identity=params.pop("identity", name),
        experiment_type="t",
        condition="standard",
        n_train=300,
        seed=0,
        started_at=started,
        params=params,
    )


def refusal(runs):
    with pytest.raises(ExperimentError) as refused:
        one_each("t", runs, runs)
    return str(refused.value)


def test_of_one_identity_the_latest_is_read():
    runs = [run("a", identity="x", started="2026-01-02"), run("b", identity="x", started="2026-01-03")]
    assert one_each("t", [*runs, replace(run("c"), condition="grokking")], runs) == ["b", "c"]


def test_runs_that_differ_are_listed_with_what_decides():
    said = refusal([run("a", **{"experiment.k": 2, "seed": 0}), run("b", **{"experiment.k": 4, "seed": 1})])
    assert said.startswith("t: 1 trained model was measured by runs that differ: standard n=300 seed 0: ")
    assert "run a (experiment.k=2); run b (experiment.k=4)" in said
    assert said.endswith("Say which: experiment.where=[experiment.k=2] or experiment.where=[experiment.k=4]")


def test_three_restrictions_are_offered_and_ids_where_none_decides():
    said = refusal([run(f"r{k}", **{"experiment.k": k, "experiment.flag": k > 2}) for k in (1, 2, 3)])
    offered = said.partition("Say which: ")[2].split(" or ")
    assert offered == [
        "experiment.where=[experiment.flag=true]",
        "experiment.where=[experiment.k=1]",
        "experiment.where=[experiment.k=2]",
    ]
    assert "no setting that its params tell" in (alike := refusal([run("a"), run("b")]))
    assert alike.endswith(
        "experiment.runs=[ID,...] with the ids of the runs to compare (a study's stands for its steps)"
    )
