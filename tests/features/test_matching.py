"""Latents of two autoencoders: a planted permutation is found exactly by decoder and by activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.errors import ConfigError
from paribus.features.matching import UNMATCHED, match_latents
from paribus.models.autoencoders import random_sae
from paribus.models.nets.sae import SparseAutoencoder

D, F, N = 10, 16, 300


def shuffled(sae, order, noise=0.0, seed=1):
    """The same autoencoder with its latents in another order."""
    made = SparseAutoencoder(sae.width, sae.n_features)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = sae.encoder.weight[order]
        made.encoder.weight.copy_(weight + noise * torch.randn(weight.shape, generator=generator))
        made.encoder.bias.copy_(sae.encoder.bias[order])
        made.decoder.weight.copy_(sae.decoder.weight[:, order])
        made.decoder.bias.copy_(sae.decoder.bias)
    return made.eval()


@pytest.fixture(scope="module")
def planted():
    draw = torch.Generator().manual_seed(0)
    return random_sae(D, F, draw), torch.randn(N, D, generator=draw), torch.randperm(F, generator=draw)


def beyond_random(found):
    """Whether activations correlate more than 97.5 % of the matches with random autoencoders."""
    with np.errstate(invalid="ignore"):
        return found.correlation > np.nanpercentile(found.random_correlation, 97.5)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_planted_permutation_is_found_exactly(planted, noise):
    sae, vectors, order = planted
    found = match_latents(sae, shuffled(sae, order, noise), vectors, generator=torch.Generator().manual_seed(1))
    where = torch.argsort(order).numpy()
    assert found.latent.tolist() == list(range(F))
    assert found.by_decoder.tolist() == found.by_activation.tolist() == where.tolist()
    assert found.agree.all() and beyond_random(found).all()
    assert found.cosine.min() > 0.999 and found.correlation.min() > 0.98
    assert np.nanmean(found.random_correlation) < found.correlation.min()
    assert np.nanmean(found.random_cosine) < 0.9


def test_between_models_of_other_channels_only_activations_are_matched(planted):
    sae, vectors, order = planted
    turned, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(2)))
    other = shuffled(sae, order)
    with torch.no_grad():  # the second model holds the same things in a turned basis
        other.encoder.weight.copy_(other.encoder.weight @ turned)
        other.decoder.weight.copy_(turned.T @ other.decoder.weight)
    draw = torch.Generator().manual_seed(3)
    found = match_latents(sae, other, vectors, other_vectors=vectors @ turned, generator=draw)
    assert found.by_activation.tolist() == torch.argsort(order).tolist()
    assert (found.by_decoder == UNMATCHED).all() and np.isnan(found.cosine).all()


def test_unrelated_autoencoders_are_no_better_than_random_ones(planted):
    sae, vectors, _ = planted
    other = random_sae(D, F, torch.Generator().manual_seed(9))
    found = match_latents(sae, other, vectors, generator=torch.Generator().manual_seed(4), n_random=20)
    assert beyond_random(found).mean() < 0.2
    assert np.percentile(found.random_correlation, 2.5) < found.correlation.mean()
    assert found.correlation.mean() < np.percentile(found.random_correlation, 97.5)


def test_unrelated_latents_that_fire_seldom_are_beyond_random_ones_at_the_rate_of_the_bound():
    beyond = []
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        one, other = (random_sae(D, 40, draw) for _ in range(2))
        with torch.no_grad():
            for sae in (one, other):
                sae.encoder.bias.fill_(-2.0)
        found = match_latents(one, other, torch.randn(N, D, generator=draw), generator=draw, n_random=8)
        beyond.append(beyond_random(found))
    assert np.concatenate(beyond).mean() < 0.1, "2.5 % expected; a third and more where random ones fire half the time"


def test_latents_that_never_fire_are_left_out_and_contexts_must_agree(planted):
    sae, vectors, order = planted
    silent = shuffled(sae, torch.arange(F))
    with torch.no_grad():
        silent.encoder.bias[3] = -100.0
    found = match_latents(silent, sae, vectors, generator=torch.Generator().manual_seed(5))
    assert 3 not in found.latent.tolist() and len(found.latent) == F - 1
    with pytest.raises(ConfigError, match="300 contexts for the first and 299"):
        match_latents(sae, sae, vectors, other_vectors=vectors[1:], generator=torch.Generator())
