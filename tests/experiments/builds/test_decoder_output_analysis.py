"""What is written into the output is read from the weights, and setting the latent does the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.errors import ConfigError
from paribus.experiments.base import perform
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.recording import MemoryRecorder
from paribus.features.latent import Latent
from paribus.features.unit import Unit
from paribus.models.autoencoders import random_sae
from paribus.results.evidence import Evidence
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_model import SetModel

STATS = StatsSpec(n_bootstrap=100, n_permutations=199, n_null=30)
QUICK = {"n_builds": 80, "stats": {"n_bootstrap": 100, "n_permutations": 199, "n_null": 30}}


def base_states(setup, **held):
    return DecoderOutputAnalysis(**held).hold(setup, setup.contexts.states())


@pytest.fixture(scope="module")
def trained_like():
    """A planted network under an autoencoder whose decoder is not its encoder and that misses a part of the vector."""
    data = BuildsGenerated(n_builds=80, seed=1)
    corpus = data.load(None, None)
    specials = [weapon.special for weapon in corpus.weapons.weapons]
    planted = Planted().build(tokens=corpus.vocabulary.tokens, specials=specials)
    generator = torch.Generator().manual_seed(3)
    sae = random_sae(planted.sae.width, 40, generator, clamp=6.0)
    with torch.no_grad():
        sae.decoder.weight.copy_(torch.randn(sae.decoder.weight.shape, generator=generator))
        sae.decoder_bias.copy_(torch.randn(sae.width, generator=generator))
        sae.encoder.bias.copy_(0.3 * torch.randn(40, generator=generator))
    model = SetModel(planted.network, sae, reads_source=True, name="mixed")
    return build_setup(data=corpus, model=model, feature=Latent(id=7), seed=0, stats=STATS)


def test_the_family_that_a_feature_drives_is_what_it_writes(planted_run):
    result, setup = planted_run(DecoderOutputAnalysis(), "threshold", **QUICK)
    custom = result.aggregates.custom
    assert custom["top_family"] == "special_charge_up"
    families = result.tables["family_effects"].frame.set_index("family")
    assert families.loc["special_charge_up", "null_percentile"] == 100
    assert (families.drop("special_charge_up")["mean_centred"] < 0.5).all()
    weight = setup.model.network.output_layer.weight.detach().double().numpy()
    ids = [setup.vocabulary.ids[token] for token in setup.vocabulary.ability_tokens]
    tokens = result.tables["token_effects"].frame
    column = weight[ids, setup.reader.latent]
    np.testing.assert_allclose(tokens["logit_effect"], column, rtol=1e-12)
    np.testing.assert_allclose(tokens["centred"], column - column.mean(), rtol=1e-9, atol=1e-12)
    assert custom["encoder_cosine"] == pytest.approx(1.0)
    assert tokens["token"].tolist() == list(setup.vocabulary.ability_tokens)
    assert tokens.set_index("token").loc[["special_charge_up_29", "ninja_squid"], "rung"].tolist() == [29, 10]


def test_what_setting_the_latent_does_equals_what_its_weights_say(planted_run):
    result, setup = planted_run(DecoderOutputAnalysis(), "dose", **QUICK)
    assert result.aggregates.custom["prediction_holds"]
    assert result.diagnostics.engine.strategy == "hooks"
    assert result.diagnostics.engine.parity_max_abs_diff < 1e-5
    changes = result.tables["logit_changes"].frame
    np.testing.assert_allclose(changes["mean_delta"], changes["predicted_delta"], atol=1e-6)
    weight = setup.model.network.output_layer.weight.detach().double().numpy()
    leading = changes[changes["set_to"] == "zero"].iloc[0]
    per_unit = weight[setup.vocabulary.ids[leading["token"]], setup.reader.latent]
    assert leading["mean_delta"] == pytest.approx(-setup.observed.f.mean() * per_unit, abs=1e-5)
    assert leading["p_adj"] < 0.05
    assert leading["ci_low"] <= leading["mean_delta"] <= leading["ci_high"]
    values = result.tables["interventions"].frame.set_index("set_to")["value"]
    f = setup.corpus_measured.f
    assert values.to_dict() == pytest.approx({"zero": 0.0, "mean": f.mean(), "max": f.max()})


def test_a_decoder_unlike_its_encoder_is_told_and_the_error_term_is_kept(trained_like):
    setup = trained_like
    result = perform(DecoderOutputAnalysis(max_contexts=60), setup, MemoryRecorder())
    sae = setup.model.sae
    column = torch.nn.functional.normalize(sae.decoder.weight[:, 7].detach(), dim=0)
    row = torch.nn.functional.normalize(sae.encoder.weight[7].detach(), dim=0)
    assert result.aggregates.custom["encoder_cosine"] == pytest.approx(float(column @ row), abs=1e-6)
    assert abs(result.aggregates.custom["encoder_cosine"]) < 0.5
    assert result.aggregates.custom["prediction_holds"]
    assert result.aggregates.n_samples == 60
    table = result.tables["interventions"].frame.set_index("set_to")
    assert table.loc["max", "mean_f_read_back"] != pytest.approx(table.loc["max", "value"], abs=1e-3)
    # the reconstruction is far from the vector, so an edit that dropped the error term would miss the prediction
    x, _ = setup.vectors(base_states(setup)[:20])
    reconstruction = sae(torch.as_tensor(x))[0].detach().numpy()
    assert np.abs(reconstruction - x).max() > 0.5


def test_the_most_probable_tokens_that_come_and_go(planted_run):
    result, _ = planted_run(DecoderOutputAnalysis(top_k=3), "threshold", **QUICK)
    moved = result.tables["top_k_changes"].frame
    up = moved[(moved["set_to"] == "max") & (moved["mean_delta"] > 0)]
    assert up.nlargest(3, "mean_delta")["token"].str.startswith("special_charge_up").all()
    np.testing.assert_allclose(moved["mean_delta"], moved["share_after"] - moved["share_before"])
    np.testing.assert_allclose(moved["mean_delta"], moved["entered"] - moved["left"])
    overlap = result.tables["interventions"].frame.set_index("set_to")["top_k_overlap"]
    assert overlap["max"] < 1


def test_a_constant_feature_at_its_own_mean_changes_nothing(planted_run):
    result, _ = planted_run(DecoderOutputAnalysis(), "null", **QUICK)
    changes = result.tables["logit_changes"].frame
    same = changes[changes["set_to"].isin(["mean", "max"])]
    assert (same["mean_delta"].abs() < 1e-6).all()
    frame = result.tables["interventions"].frame.set_index("set_to")
    assert (frame.loc[["mean", "max"], "top_k_overlap"] == 1).all()
    assert frame.loc["mean", "top_1_changed"] == 0


def test_tables_say_what_is_weights_and_what_was_done(planted_run):
    result, _ = planted_run(DecoderOutputAnalysis(stable_tokens=["comeback"]), "and", **QUICK)
    assert result.evidence is Evidence.WEIGHTS
    kinds = {name: table.evidence for name, table in result.tables.items()}
    assert kinds == {
        "token_effects": Evidence.WEIGHTS,
        "family_effects": Evidence.WEIGHTS,
        "interventions": Evidence.INTERVENTIONAL,
        "logit_changes": Evidence.INTERVENTIONAL,
        "top_k_changes": Evidence.INTERVENTIONAL,
    }


def test_a_feature_that_is_no_latent_is_refused():
    setup = build_setup(
        data=BuildsGenerated(n_builds=20, seed=1), model=Planted(), feature=Unit(id=3), seed=0, stats=STATS
    )
    with pytest.raises(ConfigError, match="unit 3.* is none; use feature=latent feature.id=N"):
        DecoderOutputAnalysis().validate(setup)
