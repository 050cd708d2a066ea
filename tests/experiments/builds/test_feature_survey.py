"""The survey of an autoencoder of builds: every number of its table of latents by a loop over latents and groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.experiments.base import perform
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.recording import MemoryRecorder
from paribus.models.autoencoders import random_sae
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_model import SetModel


def adjusted_share(f, groups):
    """Return the share of the variance of ``f`` that group means explain, adjusted for their number, at least 0."""
    labels = np.unique(groups)
    within = sum(((f[groups == label] - f[groups == label].mean()) ** 2).sum() for label in labels)
    return max(0.0, 1 - within / (len(f) - len(labels)) / f.var(ddof=1))


@pytest.mark.parametrize(("unit_norm", "normalise"), [(True, "none"), (False, "none"), (False, "layer_norm")])
def test_the_latents_at_a_glance_are_those_of_a_loop(unit_norm, normalise):
    """Decoder columns of other lengths: they count with norm 1 in a state dict, as they are in a SAELens folder.

    Where inputs are normalised, what a latent adds has the size of the input.
    """
    corpus = BuildsGenerated(n_builds=80, seed=1).load(None, None)
    specials = [weapon.special for weapon in corpus.weapons.weapons]
    planted = Planted().build(tokens=corpus.vocabulary.tokens, specials=specials)
    generator = torch.Generator().manual_seed(3)
    sae = random_sae(planted.sae.width, 20, generator, clamp=6.0)
    sae.unit_norm, sae.normalise = unit_norm, normalise
    with torch.no_grad():
        sae.decoder.weight.copy_(torch.randn(sae.decoder.weight.shape, generator=generator) * torch.arange(1, 21))
    model = SetModel(planted.network, sae, reads_source=True, name="mixed")
    setup = build_setup(data=corpus, model=model, seed=0, stats=StatsSpec(n_bootstrap=100, n_permutations=99))
    result = perform(FeatureSurvey(screen_contexts=10, max_firing=1.0), setup, MemoryRecorder())

    states, half = setup.contexts.states(), setup.half("feature_survey")
    x = setup.vectors(states)[0].astype(np.float64)
    size = np.ones((len(x), 1))
    if normalise == "layer_norm":
        x -= x.mean(1, keepdims=True)
        size = x.std(1, ddof=1, keepdims=True)
        x /= size + 1e-5
    z = x @ sae.encoder.weight.detach().numpy().T
    f = np.clip(z, 0, 6).astype(np.float64)
    groups = {family.name: setup.edits.highest_rung(states, family) for family in setup.vocabulary.families()}
    groups["weapon"] = setup.contexts.weapon
    weight = model.network.get_submodule("output_layer").weight.detach().double().numpy()
    weight = weight[[setup.vocabulary.ids[token] for token in setup.vocabulary.ability_tokens]]
    columns = sae.decoder.weight.detach().double().numpy()
    if unit_norm:
        columns = columns / np.linalg.norm(columns, axis=0)
    frame = result.tables["latents"].frame.set_index("latent")
    for latent, row in frame.iterrows():
        here, there = f[half, latent], f[~half, latent]
        assert row["firing_rate"] == (here > 0).mean() and row["firing_rate_other_half"] == (there > 0).mean()
        assert row["sd"] == pytest.approx(here.std(ddof=1), rel=1e-5)
        shares = {name: adjusted_share(here, of[half]) for name, of in groups.items()}
        assert shares[row["leading"]] == pytest.approx(max(shares.values()), abs=1e-5)
        assert row["selectivity"] == pytest.approx(max(shares.values()), abs=1e-5)
        assert row["weapon_share"] == pytest.approx(shares["weapon"], abs=1e-5)
        other = adjusted_share(there, groups[row["leading"]][~half])
        assert row["selectivity_other_half"] == pytest.approx(other, abs=1e-5)
        moved = weight @ (columns[:, latent] * (here * size[half, 0]).std(ddof=1))
        assert row["logit_effect"] == pytest.approx(np.sqrt(((moved - moved.mean()) ** 2).mean()), rel=1e-4)
    among = frame[frame["candidate"]]
    score = np.sqrt(among["selectivity"].rank(pct=True) * among["logit_effect"].rank(pct=True))
    np.testing.assert_allclose(among["score"], score)
