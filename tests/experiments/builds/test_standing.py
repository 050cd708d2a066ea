"""What is listed as no cause: real causes that are small, rare, or act at another rung must not be among them."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.experiments.builds._standing import (
    ABSENT,
    BEYOND,
    NONZERO,
    UNDECIDED,
    UNMEASURED,
    WITHIN,
    over_rungs,
    standings,
    with_n,
)
from paribus.experiments.builds.core_coverage_analysis import CoreCoverageAnalysis
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.stats.intervals import EQUAL_UNITS, EXACT_ZERO

NAN = float("nan")


@pytest.mark.parametrize(
    ("standing", "mean", "low", "high", "adj_low", "adj_high", "p_adj", "n", "clusters", "method"),
    [
        (BEYOND, 0.5, 0.3, 0.7, 0.2, 0.8, 0.01, 300, 280, "percentile"),
        (BEYOND, -0.5, -0.7, -0.3, -0.8, -0.2, 0.01, 300, 280, "percentile"),
        (BEYOND, 0.5, NAN, NAN, NAN, NAN, 0.01, 300, 280, EQUAL_UNITS),
        (WITHIN, 0.05, 0.03, 0.07, 0.02, 0.08, 0.01, 300, 280, "percentile"),
        (WITHIN, 0.05, NAN, NAN, NAN, NAN, 0.01, 300, 280, EQUAL_UNITS),
        (NONZERO, 0.1, 0.05, 0.15, 0.02, 0.18, 0.01, 300, 280, "percentile"),
        (ABSENT, 0.0, -0.05, 0.05, -0.07, 0.07, 0.9, 300, 280, "percentile"),
        (ABSENT, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 300, 280, "exact_zero"),
        (UNDECIDED, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 40, 40, "exact_zero"),  # 7 % of the builds may respond unseen
        (UNDECIDED, 0.02, -0.05, 0.09, -0.1, 0.14, 0.9, 300, 280, "percentile"),
        (UNDECIDED, 0.05, 0.01, 0.09, -0.02, 0.12, 0.3, 300, 280, "percentile"),  # 0 excluded, not over all rows
        (UNDECIDED, 0.04, 0.01, 0.07, -0.01, 0.09, 0.3, 300, 280, "percentile"),  # and never called absent
        (UNDECIDED, 0.3, NAN, NAN, NAN, NAN, NAN, 11, 11, "none"),
        (UNMEASURED, NAN, NAN, NAN, NAN, NAN, NAN, 0, 0, "none"),
    ],
)
def test_what_an_effect_is_called(standing, mean, low, high, adj_low, adj_high, p_adj, n, clusters, method):
    row = {"mean_delta": mean, "ci_low": low, "ci_high": high, "ci_adj_low": adj_low, "ci_adj_high": adj_high}
    frame = pd.DataFrame([row | {"p_adj": p_adj, "n": n, "n_clusters": clusters, "ci_method": method}])
    assert standings(frame, margin=0.1, spread=2.0, level=0.05) == [standing]


def test_nothing_is_absent_from_a_feature_that_does_not_vary():
    row = dict.fromkeys(("mean_delta", "ci_low", "ci_high", "ci_adj_low", "ci_adj_high"), 0.0)
    row |= {"ci_method": EXACT_ZERO, "p_adj": 1.0, "n": 300, "n_clusters": 300}
    assert standings(pd.DataFrame([row]), margin=0.0, spread=0.0, level=0.05) == [UNDECIDED]


def test_a_family_is_what_its_strongest_rung_is():
    own = pd.DataFrame({"family": ["a", "b", "c", "d"], "ap": [6, 6, 6, 10], "standing": [ABSENT] * 3 + [WITHIN]})
    rungs = pd.DataFrame(
        [
            *(("a", 6, 0.0, 0.0, ABSENT), ("a", 29, 2.0, 1.0, BEYOND), ("a", 57, NAN, NAN, UNMEASURED)),
            *(("b", 29, 0.0, 0.0, UNDECIDED), ("b", 38, 0.3, NAN, UNDECIDED)),  # nothing seen, or too few for a test
            ("c", 29, 0.3, -0.1, UNDECIDED),
        ],
        columns=["family", "rung", "mean_delta", "ci_low", "standing"],
    )
    assert over_rungs(own, rungs) == ([BEYOND, ABSENT, UNDECIDED, WITHIN], [29, 6, 29, 10])


def test_a_pair_in_eleven_of_four_thousand_contexts_is_undecided_and_not_absent(planted_run, hard):
    result, setup = planted_run(
        TokenInfluenceSweep(high_quantile=0.99), "rare_pair", model=hard.MODEL, n_builds=2000, stats={"n_null": 0}
    )
    assert len(setup.contexts) == 4000 and (setup.observed.f > 0).sum() == 11
    custom, frame = result.aggregates.custom, result.tables["influence"].frame
    assert custom["only_correlated"] == []
    real = frame[frame["token"].isin(["object_shredder", "intensify_action_3"])]
    assert (real["mean_delta"] >= 0).all() and set(real["standing"]) <= {BEYOND, UNDECIDED}
    undecided = real[(real["standing"] == UNDECIDED) & (real["mean_delta"] > 0)]
    assert len(undecided) and set(with_n(undecided, "token")) <= set(custom["undecided"])


@pytest.mark.parametrize("unit", ["token", "family"])
def test_a_faint_effect_is_no_mere_correlation(planted_run, hard, unit):
    """It is below the least that counts, and its interval excludes 0."""
    experiment = TokenInfluenceSweep(high_quantile=0.9, unit=unit)
    result, _ = planted_run(experiment, "faint", model=hard.MODEL, stats={"n_null": 0})
    custom, frame = result.aggregates.custom, result.tables["influence"].frame
    squid = frame.set_index("token").loc["ninja_squid"]
    assert squid["p_adj"] <= 0.05 and "ninja_squid" not in custom["only_correlated"]
    assert squid["standing"] == WITHIN and "ninja_squid" in custom["moves_little"]
    assert result.tables["all_tokens"].frame.set_index("token").loc["ninja_squid", "role"] == "enhancer"


def test_a_family_that_acts_from_a_higher_rung_on_is_no_mere_correlation(planted_run):
    """Builds usually show 6 AP of it; it acts from 29 AP on."""
    result, _ = planted_run(TokenInfluenceSweep(high_quantile=0.9, unit="family"), "threshold", stats={"n_null": 0})
    custom, frame = result.aggregates.custom, result.tables["influence"].frame.set_index("token")
    assert frame.loc["special_charge_up", "mean_delta"] == 0 and custom["drivers"] == []
    assert "special_charge_up" not in custom["only_correlated"]
    assert custom["drivers_at_another_rung"] == ["special_charge_up at 29 AP"]


def test_a_driver_of_the_core_at_another_rung_is_not_dropped(planted_run, hard):
    experiment = CoreCoverageAnalysis(unit="family", confirm=True, core_low=0.05, core_high=0.95)
    result, _ = planted_run(experiment, "late_dose", model=hard.MODEL, n_builds=900, stats={"n_null": 0})
    custom = result.aggregates.custom
    assert "swim_speed_up" in custom["primary_drivers"] and custom["confirmed_drivers"] == []
    (found,) = custom["confirmed_at_another_rung"]
    assert found.startswith("swim_speed_up at ")
    assert not any(name.startswith("swim_speed_up") for name in custom["undecided_drivers"])


def test_itemsets_that_few_contexts_can_judge_are_undecided(planted_run):
    experiment = FrequentItemsets(confirm=True, confirm_contexts=60, max_size=1, top=12)
    result, _ = planted_run(experiment, "threshold", stats={"n_null": 0})
    custom = result.aggregates.custom
    assert custom["confirmed"] == ["special_charge_up_29"] and custom["only_correlated"] == []
    assert any(name.startswith("special_charge_up_12 (n ") for name in custom["undecided"])


def test_a_set_that_does_the_opposite_of_its_correlation_is_not_called_without_effect(planted_run, hard):
    """Stands where the feature is high, and lowers it when it is inserted."""
    experiment = FrequentItemsets(confirm=True, max_size=1, top=30, min_support=0.01)
    result, _ = planted_run(experiment, "backwards", model=hard.MODEL, n_builds=600, stats={"n_null": 0})
    custom = result.aggregates.custom
    assert custom["against_the_correlation"] == ["ninja_squid"]
    assert "ninja_squid" not in custom["only_correlated"] and "ninja_squid" not in custom["confirmed"]
