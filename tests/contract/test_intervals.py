"""The rules for intervals and p can fail, and hold where there are next to no clusters, errors or differences."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from paribus.config import catalogue
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder

nan = float("nan")
GOOD = {
    "mean_delta": [0.5, 0.0, 0.3, 0.2],
    "n_clusters": [9, 3, 5, 12],
    "ci_low": [0.1, 0.0, nan, nan],
    "ci_high": [0.9, 0.0, nan, nan],
    "ci_method": ["bootstrap_t", "exact_zero", "none: 5 clusters", "none: units are equal"],
    "ci_adj_low": [0.0, 0.0, nan, nan],
    "ci_adj_high": [1.0, 0.0, nan, nan],
    "p": [0.01, 1.0, 0.06, 0.001],
    "p_method": ["monte_carlo", "exact", "exact", "exact"],
    "p_adj": [0.02, 1.0, 0.06, 0.004],
}


def table(rules, **changes):
    made = rules.table_of("effects")
    columns = {**GOOD, **changes}
    return dataclasses.replace(made, frame=pd.DataFrame({k: v for k, v in columns.items() if v is not None}))


def test_a_sound_table_has_no_problems(rules):
    assert rules.problems(table(rules)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ci_method": None}, "no ci_method"),
        ({"p_method": None}, "p has no p_method"),
        ({"ci_low": [0.1, 0.0, nan, 0.2], "ci_high": [0.9, 0.0, nan, 0.2]}, "ci_method says none, but ci_low is there"),
        (
            {"ci_method": ["bootstrap_t", "exact_zero", "bootstrap_t", "none: 1"]},
            "names a method, but ci_low is missing",
        ),
        ({"ci_high": [0.1, 0.0, nan, nan]}, "has no width"),
        ({"ci_low": [0.6, 0.0, nan, nan]}, "does not hold its value"),
        ({"n_clusters": [5, 3, 5, 12]}, "of fewer than 6 clusters"),
        ({"ci_adj_low": [0.2, 0.0, nan, nan]}, "inside the row's own interval"),
        ({"ci_high": [nan, 0.0, nan, nan]}, "ci_low without ci_high"),
        ({"p": [nan, 1.0, 0.06, 0.001]}, "p and p_method"),
    ],
)
def test_each_rule_can_fail(rules, changes, says):
    assert any(says in line for line in rules.problems(table(rules, **changes))), rules.problems(
        table(rules, **changes)
    )


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("probes", {"balanced_accuracy": 0.97, "ci_low": 0.9, "ci_high": 1.02, "ci_method": "percentile"}),
        ("ablation", {"delta": -0.9, "ci_low": -1.2, "ci_high": -0.6, "ci_method": "bootstrap_t"}),
        ("any", {"odds_ratio": 0.2, "odds_low": -0.1, "odds_high": 3.0, "odds_method": "linearised_t"}),
    ],
)
def test_no_range_is_left_unnoticed(rules, name, columns):
    assert any("leaves" in line for line in rules.problems(rules.table_of(name, **columns)))


def test_text_and_kept_numbers_are_looked_at(rules):
    assert rules.shares_in("from \N{MINUS SIGN}3 % to 101.5%") == [-3, 101.5]
    kept = {"slope_low": 0.1, "trend_p": 0.2, "a_p": 0.1, "a_p_method": "exact", "n_low": 3, "null_low": 0.0}
    assert rules.kept_numbers(kept) == ["slope_low", "trend_p"]


def needs():
    spec = importlib.util.spec_from_file_location("contract_needs", Path(__file__).with_name("test_experiments.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONTRACT = needs()
MEASURED = sorted(set(CONTRACT.BUILD_TYPES) - {"split_half", "shuffle_null", "feature_survey"})


@pytest.mark.parametrize("name", MEASURED)
def test_five_source_builds_give_no_interval_in_any_table(name, rules):
    """Sixty contexts of five source builds: rows enough, clusters too few."""
    words = ["feature=dose"] if name == "minimal_cores" else CONTRACT.asked(name)
    result = performed(name, words, n_builds=5, contexts_per_build=12)
    for found in result.tables.values():
        assert rules.problems(found) == []
        for low, high, method, _ in rules.ends(found.frame):
            shown = found.frame[found.frame[low].notna()]
            assert (shown[low] == shown[high]).all() and (shown[method] == "exact_zero").all(), (found.name, low)


def performed(name, words, **data):
    from paribus.experiments.builds.loading import build_setup
    from paribus.stats.spec import StatsSpec
    from paribus.subjects.builds.generated import BuildsGenerated
    from paribus.subjects.builds.models.planted import Planted
    from paribus.subjects.builds.planted_feature import PlantedFeature

    option = next(each for each in catalogue.options("experiment") if each.load().type == name)
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    variables = {
        key.removeprefix("experiment."): parsed(value) for key, value in given.items() if key.startswith("experiment.")
    }
    setup = build_setup(
        data=BuildsGenerated(seed=1, **data),
        model=Planted(),
        feature=PlantedFeature(given["feature"]),
        seed=0,
        stats=StatsSpec(n_bootstrap=100, n_permutations=99, n_null=5),
    )
    return perform(option.load()(**variables), setup, MemoryRecorder())


def parsed(value):
    import yaml

    return yaml.safe_load(value)
