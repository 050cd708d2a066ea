"""On planted features: the ability that suppresses is found, adding and removing mirror each other."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect


def table(result):
    return result.tables["binary_effects"].frame.set_index(["ability", "direction"])


def test_the_suppressing_ability_is_found_in_both_directions(planted_run):
    result, _ = planted_run(BinaryPresenceEffect(), "suppression")
    frame = table(result)
    assert frame.loc[("ninja_squid", "add"), "mean_delta"] == pytest.approx(-1.0, abs=1e-6)
    assert frame.loc[("ninja_squid", "remove"), "mean_delta"] == pytest.approx(1.0, abs=1e-6)
    others = frame.drop(index="ninja_squid", level="ability")
    # Another ability of the same piece can only act by displacing the one that matters.
    clothes = ["ability_doubler", "haunt", "respawn_punisher", "thermal_ink"]
    untouched = others.drop(index=clothes, level="ability")["mean_delta"].dropna()
    assert (untouched == 0).all()
    displaced = others.loc[(clothes, "add"), ["mean_delta", "n_displaced"]].dropna()
    assert (displaced["mean_delta"] >= 0).all()
    assert (others["own_delta"].dropna() == 0).all()
    assert result.aggregates.custom["suppressing"] == ["ninja_squid"]
    assert result.aggregates.custom["enhancing"] == []
    assert result.aggregates.custom["strongest"] == "ninja_squid"


def test_an_effect_by_taking_the_place_of_another_ability_is_said_to_be_one(planted_run):
    clothes = ["ability_doubler", "haunt", "respawn_punisher", "thermal_ink"]
    result, _ = planted_run(BinaryPresenceEffect(abilities=["ninja_squid", *clothes]), "suppression", n_builds=1500)
    found = result.aggregates.custom["by_displacing"]
    frame = table(result)
    assert found and set(found) <= set(clothes)
    assert (frame.loc[(found, "add"), "p_adj"] < 0.05).all() and (frame.loc[(found, "add"), "own_delta"] == 0).all()
    (said,) = [
        line for line in result.aggregates.custom["summary"] if line.startswith("Not established where nothing else")
    ]
    assert all(name in said for name in found)


def test_nothing_has_an_effect_on_the_null_feature(planted_run):
    result, _ = planted_run(BinaryPresenceEffect(), "null")
    tested = table(result).query("n >= 30")
    assert (tested[["mean_delta", "ci_low", "ci_high", "mean_delta_z"]] == 0).all(axis=None)
    assert (tested[["p", "p_adj"]] == 1).all(axis=None)
    assert result.aggregates.custom["enhancing"] == result.aggregates.custom["suppressing"] == []


def test_the_corpus_alone_would_blame_an_ability_that_does_nothing(planted_run):
    result, _ = planted_run(BinaryPresenceEffect(abilities=["ninja_squid"]), "dose")
    row = table(result).loc[("ninja_squid", "add")]
    assert row["mean_delta"] == 0
    assert row["observational_delta"] > 0.1
    assert row["confounding_gap"] == pytest.approx(row["observational_delta"])


def test_effects_at_each_rung_of_another_family(planted_run):
    experiment = BinaryPresenceEffect(abilities=["NS", "H"], primary_family="special_power_up", rungs=[12])
    result, _ = planted_run(experiment, "suppression")
    frame = result.tables["conditional_effects"].frame.set_index(["ability", "rung"])
    np.testing.assert_allclose(frame.loc["ninja_squid", "mean_delta_z"], -1.0, atol=1e-6)
    assert (frame.loc["haunt", "n"] > 0).all()


def test_abilities_must_be_main_only(planted_run):
    with pytest.raises(ConfigError, match="not main-only"):
        planted_run(BinaryPresenceEffect(abilities=["swim_speed_up"]), "dose")
