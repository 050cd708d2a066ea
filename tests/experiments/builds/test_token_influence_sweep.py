"""`token_influence_sweep` on planted features: correlation and cause stand apart."""

from __future__ import annotations

import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep


def test_what_moves_the_feature_is_told_from_what_goes_with_it(planted_run):
    experiment = TokenInfluenceSweep(unit="family", high_quantile=0.9, influence_contexts=300)
    result, _ = planted_run(experiment, "dose", n_builds=400)
    influence = result.tables["influence"].frame.set_index("token")
    assert influence.loc["swim_speed_up", "mean_delta"] > 0.2
    assert (influence.drop("swim_speed_up")["mean_delta"].dropna() == 0).all()
    assert result.aggregates.custom["drivers"] == ["swim_speed_up"]
    assert result.aggregates.custom["inhibitors"] == []
    observed = result.tables["all_tokens"].frame.set_index("token")
    assert observed.loc["ninja_squid", "role"] == "enhancer"
    assert not observed.loc["ninja_squid", "moves_feature"]
    assert "ninja_squid" in result.aggregates.custom["only_correlated"]
    assert result.tables["all_tokens"].evidence == "observational"


def test_a_token_is_compared_with_the_next_lower_rung(planted_run):
    result, _ = planted_run(TokenInfluenceSweep(high_quantile=0.9, influence_contexts=80), "threshold")
    frame = result.tables["influence"].frame.set_index("token")
    assert frame.loc["special_charge_up_29", "mean_delta"] == pytest.approx(1.5)
    assert (frame.drop("special_charge_up_29")["mean_delta"].dropna() == 0).all()


def test_a_suppressing_ability_is_an_inhibitor(planted_run):
    experiment = TokenInfluenceSweep(unit="family", high_quantile=0.9, influence_contexts=120)
    result, _ = planted_run(experiment, "suppression")
    assert "ninja_squid" in result.aggregates.custom["inhibitors"]
    frame = result.tables["influence"].frame.set_index("token")
    assert frame.loc["ninja_squid", "remove_delta"] == pytest.approx(1.0, abs=1e-6)


def test_the_null_feature_has_no_roles_and_no_effects(planted_run):
    result, _ = planted_run(TokenInfluenceSweep(unit="family", influence_contexts=80), "null")
    frame = result.tables["influence"].frame.query("n >= 30")
    assert (frame["mean_delta"] == 0).all()
    assert (frame[["p", "p_adj"]] == 1).all(axis=None)
    assert not len(result.tables["enhancers"].frame)
    assert not len(result.tables["suppressors"].frame)
    assert any("does not vary" in warning for warning in result.diagnostics.warnings)


def test_a_percent_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match=r"fraction.*0\.995"):
        TokenInfluenceSweep(high_quantile=99.5)


def test_the_effect_vector_follows_the_activations(planted_run):
    experiment = TokenInfluenceSweep(unit="family", high_quantile=0.9)
    _, setup = planted_run(TokenInfluenceSweep(unit="family", influence_contexts=40), "dose")
    f = setup.corpus_measured.f
    shuffled = setup.with_activations(f[::-1].copy(), f[::-1].copy())
    real, other = experiment.effect_vector(setup), experiment.effect_vector(shuffled)
    assert real.differences is None
    assert real.labels == other.labels
    assert np.abs(real.values - other.values).max() > 0.5
