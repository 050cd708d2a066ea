"""On planted features: the threshold at its rung, the dose as a trend, and silence where nothing is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.base import perform
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_1d_sweep.plan import supported
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.recording import MemoryRecorder
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.planted_feature import PlantedFeature


def setup_for(feature, **data):
    return build_setup(
        data=BuildsGenerated(n_builds=250, seed=1, **data),
        model=Planted(),
        feature=PlantedFeature(feature),
        seed=0,
        stats=StatsSpec(n_bootstrap=200, n_permutations=999, n_null=50),
    )


def run(feature, **fields):
    recorder = MemoryRecorder()
    experiment = Family1dSweep(placebo_contexts=fields.pop("placebo_contexts", 0), **fields)
    return perform(experiment, setup_for(feature), recorder)


def test_the_planted_threshold_is_found_at_its_rung():
    result = run("threshold", family="special_charge_up", placebo_contexts=40)
    frame = result.tables["rung_deltas"].frame.set_index("rung")
    assert result.aggregates.custom["threshold_rung"] == 29
    assert (frame.loc[[3, 6, 12, 15, 21], "mean_delta"] == 0).all()
    assert frame.loc[29, "mean_delta"] == pytest.approx(1.5)
    assert frame.loc[29, "p_adj"] < 0.01
    placebo = result.tables["placebo"].frame
    assert (placebo.loc[~placebo["swept"], "mean_delta"].dropna() == 0).all()
    assert placebo.loc[placebo["swept"] & (placebo["rung"] == 29), "mean_delta"].item() == pytest.approx(1.5)


def test_a_dose_gives_a_trend_and_equal_steps():
    result = run("dose", family="SSU", rungs=[3, 6, 12])
    frame = result.tables["rung_deltas"].frame
    np.testing.assert_allclose(frame["mean_delta"], np.array([0, 3, 6, 12]) / 19, atol=1e-6)
    assert result.aggregates.custom["trend_p"] < 0.01
    assert result.aggregates.custom["trend_rho"] == pytest.approx(1.0)


@pytest.mark.parametrize("family", ["special_charge_up", "ninja_squid"])
def test_the_null_feature_has_no_effect_anywhere(family):
    frame = run("null", family=family).tables["rung_deltas"].frame.iloc[1:].query("n >= 30")
    assert len(frame)
    assert (frame[["mean_delta", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert (frame[["p", "p_adj"]] == 1).all(axis=None)


def test_confounding_is_named_where_only_the_corpus_correlates():
    """Ninja squid goes together with swim speed in the corpus, and does nothing to the feature."""
    result = run("dose", family="ninja_squid")
    row = result.tables["rung_deltas"].frame.set_index("rung").loc[10]
    assert row["mean_delta"] == 0
    assert row["p"] == 1
    assert row["confounding_gap"] > 0.1


def test_support_is_one_common_set_up_to_the_highest_rung_half_can_wear():
    feasible = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
    prefix, kind = supported(feasible, "prefix")
    assert kind == ["common", "common", "common", "own"]
    assert prefix[:3].tolist() == [[True, True, False, False]] * 3
    assert prefix[3].tolist() == [True, False, False, False]
    own, _ = supported(feasible, "per_rung")
    assert (own == feasible).all()
    common, kind = supported(feasible, "common")
    assert (common == feasible[3]).all()
    assert set(kind) == {"common"}


def test_held_tokens_are_in_the_baseline_too():
    free = run("suppression", family="special_power_up", rungs=[12])
    held = run("suppression", family="special_power_up", rungs=[12], stable_tokens=["ninja_squid"])
    means = [r.tables["rung_deltas"].frame["mean_activation"].to_numpy() for r in (free, held)]
    assert means[0][0] > means[1][0]
    np.testing.assert_allclose(np.diff(means[1]), 12 / 57, atol=1e-6)


def test_a_sweep_with_no_absent_level_starts_at_its_lowest_rung():
    frame = run("dose", family="SSU", rungs=[6, 12], include_absent=False).tables["rung_deltas"].frame
    assert frame["rung"].tolist() == [6, 12]
    assert frame["mean_delta"].tolist() == pytest.approx([0, 6 / 19])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"family": "special_charge"}, "special_charge_up"),
        ({"family": "SCU", "rungs": [35]}, "3, 6, 12, 15, 21, 29, 38, 51, 57"),
        ({"family": "SCU", "rungs": [3], "include_absent": False}, "two levels"),
        ({"family": "SCU", "stable_tokens": ["comeback", "tenacity"]}, "head"),
    ],
)
def test_wrong_requests_name_what_is_valid(fields, said):
    with pytest.raises(ConfigError, match=said):
        run("threshold", **fields)


def test_the_effect_vector_is_the_table():
    experiment = Family1dSweep(family="SSU", rungs=[3, 12], placebo_contexts=0)
    vector = experiment.effect_vector(setup_for("dose"))
    assert vector.labels == ("3 AP", "12 AP")
    np.testing.assert_allclose(vector.values, [3 / 19, 12 / 19], atol=1e-6)


@pytest.mark.parametrize(("keep_empty", "absent"), [(False, True), (True, True), (False, False)])
def test_a_rung_without_a_test_says_why(keep_empty, absent):
    """Few contexts have room for 57 AP, and these hold nothing else: without the family they are empty builds."""
    from paribus.subjects.builds.constraints import ConstraintsSpec

    setup = dataclasses.replace(setup_for("dose"), constraint_spec=ConstraintsSpec(keep_empty=keep_empty))
    sweep = Family1dSweep(family="SSU", rungs=[12, 57], include_absent=absent, placebo_contexts=0)
    result = perform(sweep, setup, MemoryRecorder())
    frame = result.tables["rung_deltas"].frame.set_index("rung")
    n = len(setup.contexts)
    can = int(setup.enforce(setup.edits.set_rung(setup.contexts.states(), "SSU", 57)).ok.sum())
    assert 0 < can < 30 and frame.loc[57, ["p", "ci_low"]].isna().all()
    assert frame.loc[12, "untested"] == ""
    said = frame.loc[57, "untested"]
    if keep_empty or not absent:
        assert said == f"{can} of {n} contexts allow it; a test needs 30"
    else:
        assert said.startswith(f"{can} of {n} contexts allow it, 0 of them the baseline too (the others are empty")
    assert f"not tested in SSU: 57 AP: {said}" in result.diagnostics.warnings


def test_the_slope_per_ap_is_the_mean_of_the_contexts_own_slopes():
    custom = run("saturating", family="IRU", rungs=[3, 6, 12]).aggregates.custom
    doses = np.array([0, 3, 6, 12])
    values = 3 * (1 - np.exp(-doses / 12))
    assert custom["slope_per_ap"] == pytest.approx(np.polyfit(doses, values, 1)[0], abs=1e-6)
    assert custom["slope_up_to"] == 12
    linear = run("dose", family="SSU").aggregates.custom
    assert linear["slope_per_ap"] == pytest.approx(1 / 19, abs=1e-6)
    assert np.isnan(linear["slope_per_ap_low"]) and linear["slope_per_ap_method"] == "none: units are equal"
    assert linear["slope_per_ap_p"] < 0.01
    nothing = run("dose", family="QR").aggregates.custom
    assert [nothing[f"slope_per_ap{end}"] for end in ("", "_low", "_high", "_p")] == [0, 0, 0, 1]


def test_a_noisy_slope_has_an_interval_that_holds_it():
    """Slopes of every context by hand, over the contexts that allow all rungs of the curve."""
    custom = run("noisy", family="SSU", rungs=[3, 12, 29]).aggregates.custom
    setup = setup_for("noisy")
    doses = [0, 3, 12, 29]
    values = np.stack([setup.measure(setup.edits.set_rung(setup.contexts.states(), "SSU", d)).f for d in doses])
    whole = values[:, ~np.isnan(values).any(0)]
    slopes = np.polyfit(doses, whole, 1)[0]
    assert custom["slope_per_ap"] == pytest.approx(slopes.mean(), abs=1e-9)
    assert custom["slope_per_ap_low"] < slopes.mean() < custom["slope_per_ap_high"]
    assert custom["slope_per_ap_high"] - custom["slope_per_ap_low"] < 8 * slopes.std() / np.sqrt(len(slopes))


def test_gaps_of_rungs_that_few_contexts_show_are_not_the_largest(planted_run):
    result, _ = planted_run(Family1dSweep(family="SSU", placebo_contexts=0), "noisy", n_builds=300)
    frame, observed = result.tables["rung_deltas"].frame, result.tables["observed_by_rung"].frame
    gaps, many = frame["confounding_gap"].abs(), observed["n"] >= 30
    told = result.aggregates.custom["largest_confounding_gap"]
    assert many.iloc[0] and many.iloc[1:].any() and not many.all()
    assert told == gaps[many].iloc[1:].max() < gaps.max(), "of few contexts the gap is chance"
    few, _ = planted_run(Family1dSweep(family="SSU", placebo_contexts=0), "noisy", n_builds=40)
    assert few.aggregates.custom["largest_confounding_gap"] is None
    assert not any("happen to show" in line for line in few.aggregates.custom["summary"])
