"""`core_coverage_analysis` on planted features: what fills the core, what confirms, and silence."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.core_coverage_analysis import CoreCoverageAnalysis


def test_the_family_of_the_dose_fills_the_core_and_is_confirmed(planted_run):
    experiment = CoreCoverageAnalysis(unit="family", confirm=True, confirm_contexts=120)
    result, _ = planted_run(experiment, "dose", n_builds=500)
    frame = result.tables["core_coverage"].frame.set_index("token")
    row = frame.loc["swim_speed_up"]
    assert row["core_share"] == 1
    assert row["is_primary_driver"]
    assert row["core_low"] <= row["core_share"] <= row["core_high"]
    assert "swim_speed_up" in result.aggregates.custom["primary_drivers"]
    assert result.aggregates.custom["confirmed_drivers"] == ["swim_speed_up"]
    others = result.tables["confirm_effects"].frame.set_index("token").drop("swim_speed_up")
    assert (others["mean_delta"] == 0).all()
    assert result.tables["core_coverage"].evidence == "observational"
    assert result.tables["confirm_effects"].evidence == "interventional"


def test_high_rungs_mark_the_tail_only(planted_run):
    result, _ = planted_run(CoreCoverageAnalysis(max_quantile=0.9), "dose", n_builds=600)
    frame = result.tables["core_coverage"].frame.set_index("token")
    assert frame.loc["swim_speed_up_21", "is_tail_marker"]
    assert not frame.loc["swim_speed_up_21", "is_primary_driver"]
    assert not frame.loc["swim_speed_up_3", "is_tail_marker"]


def test_the_null_feature_has_neither_core_nor_tail(planted_run):
    result, _ = planted_run(CoreCoverageAnalysis(), "null")
    assert result.aggregates.custom["primary_drivers"] == result.aggregates.custom["tail_markers"] == []
    assert any("core" in warning for warning in result.diagnostics.warnings)


def test_a_core_needs_a_width():
    with pytest.raises(ConfigError, match="core_low"):
        CoreCoverageAnalysis(core_low=0.8, core_high=0.7)


def test_named_tokens_and_families_have_the_rows_they_have_among_all(planted_run):
    names = ["SSU_12", "comeback", "quick_respawn", "swim_speed_up_12"]
    result, _ = planted_run(CoreCoverageAnalysis(tokens=names), "dose", n_builds=300)
    frame = result.tables["core_coverage"].frame
    assert frame["token"].tolist() == ["swim_speed_up_12", "comeback", "quick_respawn"]
    tokens = planted_run(CoreCoverageAnalysis(), "dose", n_builds=300)[0].tables["core_coverage"].frame
    families = planted_run(CoreCoverageAnalysis(unit="family"), "dose", n_builds=300)[0].tables["core_coverage"].frame
    for among, name in ((tokens, "swim_speed_up_12"), (tokens, "comeback"), (families, "quick_respawn")):
        one, other = (each[each["token"] == name].reset_index(drop=True) for each in (frame, among))
        together = [column for column in frame if "_adj_" in column]  # of three rows, or of all
        pd.testing.assert_frame_equal(one.drop(columns=together), other.drop(columns=together))
        assert (one["gap_adj_high"] - one["gap_adj_low"] < other["gap_adj_high"] - other["gap_adj_low"]).all()
    assert result.aggregates.n_conditions == 3


@pytest.mark.parametrize("names", [["swim_speed"], ["SSU_5"], []])
def test_names_that_are_none_are_refused(planted_run, names):
    with pytest.raises(ConfigError, match="experiment.tokens"):
        planted_run(CoreCoverageAnalysis(tokens=names), "dose", n_builds=40)
