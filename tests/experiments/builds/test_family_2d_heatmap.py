"""`family_2d_heatmap` on planted features: interaction where families really work together, none where they add up."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.family_2d_heatmap.sums import additive_r2, compared_cells, corners


def heatmap(planted_run, feature, x, y, rungs=(3, 12), **fields):
    result, _ = planted_run(
        Family2dHeatmap(family_x=x, family_y=y, rungs_x=list(rungs), rungs_y=list(rungs), **fields), feature
    )
    return result, result.tables["heatmap"].frame


def test_and_is_a_positive_interaction_in_f_and_z(planted_run):
    _, frame = heatmap(planted_run, "and", "quick_respawn", "special_saver")
    inner = frame.dropna(subset=["interaction"])
    np.testing.assert_allclose(inner["interaction"], 2.0, atol=1e-6)
    np.testing.assert_allclose(inner["interaction_z"], 2.0, atol=1e-6)
    assert (inner["p_adj"] < 0.01).all()


def test_or_is_a_negative_interaction(planted_run):
    _, frame = heatmap(planted_run, "or", "ink_saver_main", "ink_saver_sub")
    np.testing.assert_allclose(frame["interaction"].dropna(), -2.0, atol=1e-6)


def test_a_sum_behind_a_relu_interacts_in_f_only(planted_run):
    _, frame = heatmap(planted_run, "relu_sum", "run_speed_up", "ink_recovery_up")
    inner = frame.dropna(subset=["interaction"])
    assert (inner["interaction"] > 0.5).all()
    np.testing.assert_allclose(inner["interaction_z"], 0.0, atol=1e-6)


def test_families_that_do_nothing_show_nothing(planted_run):
    result, frame = heatmap(planted_run, "null", "run_speed_up", "ink_recovery_up")
    inner = frame.dropna(subset=["interaction"])
    assert (inner[["interaction", "interaction_z", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert (inner[["p", "p_adj"]] == 1).all(axis=None)
    assert result.aggregates.custom["significant_interactions"] == 0


def test_cells_that_cannot_be_worn_are_blank_and_not_zero(planted_run):
    result, _ = planted_run(Family2dHeatmap(family_x="SSU", family_y="RSU"), "dose")
    frame = result.tables["heatmap"].frame
    blank = frame["n"] == 0
    assert blank.sum() >= 34
    assert frame.loc[blank, "mean_activation"].isna().all()
    assert result.aggregates.custom["peak"]["n"] >= 30
    inner = frame[(frame["x"] > 0) & (frame["y"] > 0) & (frame["n_interaction"] > 0)]
    assert len(inner) >= 40
    assert (inner["interaction"].abs() < 1e-6).all()


def test_a_main_only_family_has_two_levels(planted_run):
    experiment = Family2dHeatmap(family_x="special_power_up", family_y="ninja_squid", rungs_x=[12])
    result, _ = planted_run(experiment, "suppression")
    frame = result.tables["heatmap"].frame
    assert sorted(frame["y"].unique()) == [0, 10]
    assert abs(frame["interaction_z"].dropna()).max() < 1e-6
    assert result.aggregates.custom["additive_r2"] is None or result.aggregates.custom["additive_r2"] > 0.99


def test_corners_are_second_differences():
    values = np.arange(9.0).reshape(3, 3) ** 2
    found = (corners(3, 3) @ values.reshape(9, 1)).reshape(2, 2)
    expected = values[1:, 1:] - values[1:, :1] - values[:1, 1:] + values[0, 0]
    np.testing.assert_allclose(found, expected)


def test_the_additive_share_is_one_for_a_sum_and_less_for_a_product():
    x, y = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
    every = np.ones(9, bool)
    assert additive_r2((x + y).ravel(), every, 3) == pytest.approx(1.0)
    assert additive_r2((x * y).ravel(), every, 3) < 0.9
    assert additive_r2((x + y).ravel(), np.arange(9) < 5, 3) is None
    assert additive_r2(np.zeros(9), every, 3) is None


def test_cells_that_few_can_wear_are_left_out_of_the_additive_model():
    known = np.ones((9, 40), bool)
    known[8, 5:], known[7, :10] = False, False
    cells, common = compared_cells(known, 30)
    assert cells.tolist() == [True] * 8 + [False]
    assert common.tolist() == [False] * 10 + [True] * 30


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [("SSU", "swim_speed_up", "two families"), ("comeback", "tenacity", "head"), ("SSU", "nothing", "valid")],
)
def test_wrong_pairs_are_refused(planted_run, x, y, said):
    with pytest.raises(ConfigError, match=said):
        planted_run(Family2dHeatmap(family_x=x, family_y=y), "dose")
