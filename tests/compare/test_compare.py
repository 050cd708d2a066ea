"""The general comparison: any metric, any grouping."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from paribus.compare.compare import ALLOW, Compare
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.figures.draw import draw
from paribus.stats.spec import StatsSpec


def runs(n=6, **outcome):
    made = []
    for name, value in outcome.items():
        for seed in range(n):
            aggregates = value(seed) if callable(value) else {"score": value + seed / 100}
            made.append(
                CollectedRun(
                    run_id=f"{name}{seed}", identity=f"{name}{seed}", experiment_type="t", seed=seed,
                    params={"model.width": name}, aggregates=aggregates,
                )
            )  # fmt: skip
    return made


def compared(collected, **settings):
    recorder = MemoryRecorder()
    settings = {"metrics": ["score"], "experiment_type": "t", "group_by": ["width"], "allow": ALLOW, **settings}
    return perform(Compare(**settings), RunsSetup(seed=0, stats=StatsSpec(n_bootstrap=200), runs=collected), recorder)


def test_groups_by_any_parameter_and_pairs_equal_seeds():
    result = compared(runs(a=0.5, b=0.7))
    row = result.tables["tests"].frame.iloc[0]
    assert (row["group"], row["reference"], row["design"]) == ("b", "a", "paired_sign_flip")
    assert row["difference"] == pytest.approx(0.2)
    assert row["p"] == row["smallest_p"] == 2 / 64
    assert "established" in result.aggregates.custom["summary"][-1]


def test_every_pair_of_three_groups_or_only_those_with_the_reference():
    three = runs(a=0.1, b=0.2, c=0.3)
    assert len(compared(three).tables["tests"].frame) == 3
    assert set(compared(three, reference="b").tables["tests"].frame["group"]) == {"a", "c"}
    with pytest.raises(ExperimentError, match="no group 'bb'; did you mean 'b'"):
        compared(three, reference="bb")


def test_equal_groups_are_not_different():
    table = compared(runs(a=0.5, b=0.5)).tables["tests"].frame
    assert table["p"].tolist() == [1.0]


def test_yes_or_no_is_compared_by_fisher():
    result = compared(runs(a=lambda s: {"score": True}, b=lambda s: {"score": s == 0}))
    row = result.tables["tests"].frame.iloc[0]
    assert row["design"] == "fisher"
    assert row["p"] == pytest.approx(0.015, abs=0.001)
    assert row["difference"] == pytest.approx(1 / 6 - 1)


def test_a_missing_unit_is_flagged_or_refused():
    some = runs(a=0.5, b=0.7)[:-1]
    result = compared(some)
    assert any("missing: 5" in line for line in result.diagnostics.warnings)
    with pytest.raises(ExperimentError, match="b lacks 5"):
        compared(some, allow=[])
    assert len(compared(some, allow=[], missing_units="flag").tables["tests"].frame) == 1


def test_unknown_names_get_the_nearest_valid_ones():
    with pytest.raises(ExperimentError, match="no run of 'u'; .*valid: t"):
        compared(runs(a=0.1), experiment_type="u")
    with pytest.raises(ExperimentError, match="did you mean 'score'"):
        compared(runs(a=0.1), metrics=["scores"])
    with pytest.raises(ConfigError, match="name at least one"):
        Compare(metrics=[], experiment_type="t")


def test_a_single_group_is_described_without_a_test():
    result = compared(runs(a=0.5))
    assert result.tables["tests"].frame.empty
    assert not math.isnan(result.tables["groups"].frame["ci_low"].iloc[0])


def test_its_figure_can_be_drawn():
    result = compared(runs(a=0.5, b=0.7))
    assert draw(result.figures[0], {name: table.frame for name, table in result.tables.items()}).axes


def test_runs_that_share_a_unit_are_averaged_and_what_differs_between_them_is_said():
    both = [replace(r, run_id=f"{r.run_id}{n}", identity=f"{r.identity}{n}", params={**r.params, "data.n_train": n},
                    aggregates={"score": r.aggregates["score"] + n / 1000})
            for n in (100, 300) for r in runs(a=0.5, b=0.7)]  # fmt: skip
    result = compared(both)
    assert any(
        "24 runs of t share group and replicate with another and differ in data.n_train" in line
        for line in result.diagnostics.warnings
    )
    figure = result.figures[0]
    points, bars = (result.tables[name].frame for name in figure.tables)
    assert len(points) == 12 and set(points["n_runs"]) == {2}
    assert points.loc[points["group"] == "a", "value"].tolist() == pytest.approx([0.7 + s / 100 for s in range(6)])
    assert bars["mean"].tolist() == pytest.approx(points.groupby("group")["value"].mean().tolist())


def test_runs_that_cannot_be_grouped_or_hold_no_number_are_counted():
    some = runs(a=0.5, b=0.7)
    odd = [
        replace(some[0], params={}),
        replace(some[1], aggregates={}),
        replace(some[2], aggregates={"score": math.inf}),
    ]
    warnings = compared([*odd, *some[3:]]).diagnostics.warnings
    assert "1 run of t without width left out." in warnings
    assert "1 run of t whose score is missing left out." in warnings
    assert "1 run of t whose score is infinite left out." in warnings


def test_half_a_yes_is_a_number():
    """Two runs of a unit that disagree make 0.5, which Fisher's counts would cut to 0."""
    once = runs(a=lambda s: {"score": True}, b=lambda s: {"score": False})
    again = [
        replace(r, run_id=f"{r.run_id}x", identity=f"{r.identity}x", aggregates={"score": False}) for r in once[:1]
    ]
    row = compared([*once, *again]).tables["tests"].frame.iloc[0]
    assert row["design"] == "paired_sign_flip"
    assert row["difference"] == pytest.approx(-(5 + 0.5) / 6)


def test_pairs_of_pooled_runs_are_over_the_settings_that_both_have():
    """A seed whose long run is missing in one group would differ from its pair by the length of its training too."""
    pooled = [replace(r, run_id=f"{r.run_id}{n}", identity=f"{r.identity}{n}", params={**r.params, "data.n_train": n},
                      aggregates={"score": r.aggregates["score"] + n / 1000})
              for n in (100, 300) for r in runs(a=0.5, b=0.7)]  # fmt: skip
    some = [run for run in pooled if run.run_id != "b5300"]
    result = compared(some)
    row = result.tables["tests"].frame.iloc[0]
    assert row["difference"] == pytest.approx(0.2)
    assert "settings that not both arms have of a unit left out: 300" in row["flag"]
    assert result.tables["pairs"].frame["difference"].tolist() == pytest.approx([0.2] * 6)
    assert any("not all units have data.n_train=300; only data.n_train=100 enters" in line
               for line in result.diagnostics.warnings)  # fmt: skip


def test_groups_named_by_numbers_stand_in_the_order_of_the_numbers():
    made = [replace(run, params={"model.width": width}, run_id=f"{run.run_id}{width}", identity=f"{width}{run.seed}")
            for width in (100, 9, 20.5) for run in runs(a=width / 1000)]  # fmt: skip
    result = compared(made)
    assert result.tables["groups"].frame["group"].tolist() == ["9", "20.5", "100"]
    tests = result.tables["tests"].frame
    assert list(zip(tests["group"], tests["reference"], strict=True)) == [("20.5", "9"), ("100", "9"), ("100", "20.5")]
    assert (tests["difference"] > 0).all()


def test_a_number_with_and_without_a_point_is_one_group():
    """A param of a field without a type is kept as it was typed: width=1 and width=1.0."""
    made = [replace(run, params={"model.width": (1.0 if run.seed % 2 else 1) if run.run_id[0] == "a" else 2})
            for run in runs(a=0.5, b=0.7)]  # fmt: skip
    groups = compared(made).tables["groups"].frame
    assert list(zip(groups["group"], groups["n_units"], strict=True)) == [("1.0", 6), ("2", 6)]


def test_equal_runs_have_no_spread_whatever_their_rounding():
    """Sums of 0.1 are not multiples of it: an sd of 1e-17 makes an effect size of 1e15, or 1.6 out of nothing."""
    for n_a, n_b, by in ((6, 6, 0.0), (6, 6, 0.2), (3, 7, 0.0), (5, 8, 0.2)):
        a, b = runs(n_a, a=lambda s: {"score": 0.1}), runs(n_b, b=lambda s, by=by: {"score": 0.1 + by})
        result = compared([*a, *b])
        row = result.tables["tests"].frame.iloc[0]
        assert row["difference"] == pytest.approx(by, abs=1e-15)
        assert math.isnan(row["hedges_g"]) and math.isnan(row["d_z"])
        assert row["ci_method"].startswith("none") and math.isnan(row["ci_low"])
        assert result.tables["groups"].frame["sd"].tolist() == [0.0, 0.0]
        assert result.tables["planned"].frame["sd"].tolist() == [0.0]


@pytest.mark.parametrize("growth", [{}, {"looks": [6, 8]}, {"anytime": True}])
def test_a_difference_of_rounding_is_none(growth):
    """0.1 + 0.2 and 0.3 are the same score in all eight seeds; their signs are alike, which means nothing."""
    made = runs(8, a=lambda s: {"score": 0.3 + s}, b=lambda s: {"score": 0.1 + 0.2 + s})
    row = compared(made, **growth).tables["tests"].frame.iloc[0]
    assert (row["p"], row["improvement"]) == (1.0, 0.5) and row["ci_method"].startswith("none")
    assert compared(made, **growth).tables["pairs"].frame["difference"].eq(0).all()


def test_the_mean_of_a_unit_does_not_depend_on_the_order_of_its_runs():
    sizes = {"a": (1, 2, 3), "b": (2, 3, 1)}
    values = {1: 0.1, 2: 0.2, 3: 0.3}
    made = [replace(run, run_id=f"{run.run_id}{n}", identity=f"{run.identity}{n}", started_at=f"2026-01-0{place + 1}",
                    params={**run.params, "data.n_train": n}, aggregates={"score": values[n]})
            for run in runs(a=0.0, b=0.0) for place, n in enumerate(sizes[run.run_id[0]])]  # fmt: skip
    row = compared(made).tables["tests"].frame.iloc[0]
    assert (row["difference"], row["p"], row["improvement"]) == (0.0, 1.0, 0.5)


def test_a_setting_with_and_without_a_point_is_one_setting():
    """Runs at n=100 and n=100.0 pair: else each seed would be the mean over settings that its pair lacks."""
    made = [replace(run, run_id=f"{run.run_id}{n}", identity=f"{run.identity}{n}",
                    aggregates={"score": run.aggregates["score"] + n / 1000},
                    params={**run.params, "data.n_train": float(n) if run.run_id[0] == "a" else n})
            for n in (100, 300) for run in runs(a=0.5, b=0.7)]  # fmt: skip
    result = compared([run for run in made if run.run_id != "b5300"])
    row = result.tables["tests"].frame.iloc[0]
    assert row["difference"] == pytest.approx(0.2) and row["n"] == 6
    assert result.tables["units"].frame["n_runs"].max() == 2


def test_what_was_not_declared_before_looking_is_not_counted_as_established():
    made = runs(8, a=lambda s: {"score": s, "other": s}, b=lambda s: {"score": s + (-1) ** s, "other": s + 1 + s / 10})
    custom = compared(made, metrics=["score", "other"], primary=["score"]).aggregates.custom
    said = [line for line in custom["summary"] if line.startswith("b against a")]
    assert [line.rpartition("): ")[2] for line in said] == ["not established after adjustment.", "stands out."]
    assert custom["n_established"] == 0
    reach = "can reach (same seeds in both arms, paired sign-flip): 0.00781; after Holm over 1 test 0.00781."
    assert reach in custom["summary"][0]


def test_other_units_are_not_called_seeds():
    made = [replace(run, params={**run.params, "data.fold": run.seed}) for run in runs(a=0.5, b=0.7)][:-1]
    said = compared(made, unit=["fold"]).aggregates.custom["summary"]
    assert any("6 units can reach" in line and "different units" in line for line in said)
    assert not any("seeds" in line.lower() for line in said)


def test_the_order_of_the_runs_changes_nothing():
    made = runs(a=0.1, b=0.3, c=0.2)
    made += [replace(made[0], run_id="again", aggregates={"score": 0.9}), replace(made[8], run_id="x", identity="x")]
    first, second = (compared(some, looks=[4, 6], primary=["score"]) for some in (made, made[::-1]))
    assert first.aggregates == second.aggregates and first.diagnostics.warnings == second.diagnostics.warnings
    for name, table in first.tables.items():
        assert table.frame.equals(second.tables[name].frame), name


def test_neither_names_of_groups_nor_what_else_is_compared_change_a_number_drawn_or_not():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 24))

    def p_of(names, metrics):
        made = [run for name, own in zip(names, values, strict=True) for run in
                runs(24, **{name: lambda s, own=own: {"score": own[s], "other": own[s] ** 2}})]  # fmt: skip
        tests = compared(made, reference=names[0], metrics=metrics).tables["tests"].frame
        tests = tests[tests["endpoint"] == "score"].set_index("group").loc[list(names[1:])]
        return tests[["p", "ci_low", "ci_high"]].to_numpy().tolist()

    assert p_of("abc", ["score"]) == p_of("zyx", ["score"]) == p_of("abc", ["other", "score"])
