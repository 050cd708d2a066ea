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


def test_what_is_left_out_is_counted():
    runs = [
        *(run(f"f{i}", status="FAILED") for i in range(3)),
        *(run(f"k{i}", status="KILLED") for i in range(2)),
        run("r", status="RUNNING", experiment_type="u"),
        *(run(f"x{i}", identity="x", started_at=f"2026-0{i + 1}") for i in range(4)),
        *(run(f"y{i}", identity="y", started_at=f"2026-0{i + 1}") for i in range(2)),
        *(run(f"o{i}", experiment_version=1, experiment_type="v") for i in range(5)),
        *(run(f"n{i}", experiment_version=3, experiment_type="v") for i in range(2)),
        run("m", experiment_version=2, experiment_type="v"),
    ]
    found = select(runs)
    assert found.left_out == (
        "3 runs of t with status FAILED left out.",
        "2 runs of t with status KILLED left out.",
        "1 run of u with status RUNNING left out.",
        "4 runs repeated an identity that a later run has; the latest was used.",
        "6 runs of v left out: made with an older version of the experiment than 3.",
    )
    assert sorted(r.run_id for r in found.runs) == ["n0", "n1", "x3", "y1"]


def test_one_repetition_is_one_run():
    found = select([run("a", identity="x", started_at="1"), run("b", identity="x", started_at="2")])
    assert found.left_out == ("1 run repeated an identity that a later run has; the latest was used.",)


def test_mixed_code_is_counted_by_version_the_most_frequent_first():
    runs = [run(f"r{i}", code_version=version) for i, version in enumerate("aaabbcdeee")]
    (said,) = select(runs).mixed
    assert said == "Runs of t were made by 5 versions of the code: a (3), e (3), b (2), c (1)."


def test_what_is_said_is_about_the_runs_that_were_asked_for():
    """A failed run of another setting, or code of another size, is no news to who restricted the comparison."""
    runs = [
        run("a", n_train=300, code_version="1"), run("b", n_train=300, code_version="1"),
        run("c", n_train=600, code_version="2"), run("d", n_train=600, status="FAILED"),
        run("e", n_train=600, identity="a", started_at="9"),
    ]  # fmt: skip
    found = select(runs, where=["n_train=300"])
    assert (found.left_out, found.mixed) == ((), ())
    assert [r.run_id for r in found.runs] == ["a", "b"]
    assert len(select(runs).mixed) == 1 and len(select(runs).left_out) == 2
