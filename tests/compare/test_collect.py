"""Which runs may be compared."""

from __future__ import annotations

from paribus.compare.collect import select
from paribus.compare.values import value_of
from paribus.experiments.setup_runs import CollectedRun


def run(name, **changes):
    return CollectedRun(**{"run_id": name, "identity": name, "experiment_type": "t", **changes})


def test_the_latest_of_one_identity_stays():
    found = select([run("a", identity="x", started_at="2025-02"), run("b", identity="x", started_at="2025-01")])
    assert [r.run_id for r in found.runs] == ["a"]
    assert "repeated an identity" in found.left_out[0]


def test_grandparents_give_what_a_nested_run_lacks_and_circles_end():
    chain = [
        run("top", condition="standard", seed=3, n_train=600, params={"training.lr": 1, "experiment.k": 2}),
        run("middle", parent="top", seed=4),
        run("leaf", parent="middle", params={"own": 5}),
        run("round", parent="circle"), run("circle", parent="round"),
    ]  # fmt: skip
    leaf = next(r for r in select(chain).runs if r.run_id == "leaf")
    assert (leaf.condition, leaf.seed, leaf.n_train) == ("standard", 4, 600)
    assert dict(leaf.params) == {"training.lr": 1, "own": 5}


def test_names_find_fields_params_and_unique_ends():
    one = run("a", condition="c", seed=1, params={"model.width": 8, "a.x": 1, "b.x": 2}, metrics={"m": 0.5})
    assert [value_of(one, n) for n in ("training", "seed", "model.width", "width", "m", "x", "nothing")] == [
        "c", 1, 8, 8, 0.5, None, None,
    ]  # fmt: skip


def test_mixed_code_is_reported_per_type():
    found = select([run("a", code_version="1"), run("b", code_version="2"), run("c", experiment_type="u")])
    assert len(found.mixed) == 1 and "Runs of t were made by 2 versions" in found.mixed[0]
