"""Matching the latents of two autoencoders, by decoder direction and by activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.models.autoencoders import random_alike
from paribus.models.nets.sae import SparseAutoencoder
from paribus.stats.matching import Matching, correlations, cosines, match

MOST = 4000
"""The most latents of one autoencoder that are matched; the assignment takes the third power of their number."""
UNMATCHED = -1
DECODER, ACTIVATION = "decoder", "activation"
"""The two ways in which latents are matched."""


@dataclass(frozen=True, eq=False)
class LatentMatches:
    """The latents of a first autoencoder, each with its match in a second one; a row for each.

    Attributes:
        latent: Number of each latent of the first that fires often enough ``[k]``.
        n_others: Latents of the second that do.
        by_decoder: The latent of the second matched by decoder direction, one to one ``[k]``; -1: none.
        cosine: Cosine of the two decoder directions ``[k]``; NaN for none, and where channels do not mean the same.
        by_activation: The latent of the second matched by activation on the same contexts, one to one ``[k]``; -1:
            none.
        correlation: Correlation of the two activations over the contexts ``[k]``.
        mutual: For both ways, ``decoder`` and ``activation``: whether each is the other's most similar one ``[k]``.
        beside: The other similarity of the same pairs: correlation of those matched by decoder, cosine of those by
            activation ``[k]``.
        rate: Share of the vectors on which each latent of the first fires ``[F]``.
        other_rate: The same of the second ``[F']``.
        random_cosine: Cosines of matches with random latents that fire as often as those of the second ``[draws, k]``.
        random_correlation: Correlations of such matches ``[draws, k]``.
    """

    latent: Ints
    n_others: int
    by_decoder: Ints
    cosine: Floats
    by_activation: Ints
    correlation: Floats
    mutual: Mapping[str, Bools]
    beside: Mapping[str, Floats]
    rate: Floats
    other_rate: Floats
    random_cosine: Floats
    random_correlation: Floats

    @property
    def agree(self) -> Bools:
        """Whether both ways name the same latent ``[k]``."""
        return np.asarray((self.by_decoder == self.by_activation) & (self.by_decoder != UNMATCHED))


def match_latents(
    first: SparseAutoencoder,
    second: SparseAutoencoder,
    vectors: Tensor,
    *,
    generator: torch.Generator,
    other_vectors: Tensor | None = None,
    n_random: int = 5,
    same_channels: bool | None = None,
    least: int = 1,
) -> LatentMatches:
    """Match the latents of two autoencoders that fire at all, by decoder and by activation.

    Args:
        first: An autoencoder.
        second: Another one: of the same place (another seed), or of another model.
        vectors: What the first reads on some contexts ``[n, d]``.
        generator: Draws the random autoencoders, whose latents are as many as fire in the second, and fire as often.
        other_vectors: What the second reads on the same contexts ``[n, d']``, in that order; None: the same vectors.
        n_random: Random autoencoders.
        same_channels: Whether channels mean the same to both, so that what is written can be compared; None: where both
            read the same vectors.
        least: Fewest vectors on which a latent must fire to be matched: of one that fires twice, a single common vector
            makes a large correlation.

    Raises:
        ConfigError: If the contexts are not as many, or more latents fire than can be matched.

    Example:
        >>> from paribus.models.autoencoders import random_sae
        >>> draw = torch.Generator().manual_seed(0)
        >>> sae = random_sae(8, 12, draw)
        >>> found = match_latents(sae, sae, torch.randn(200, 8, generator=draw), generator=draw, n_random=2)
        >>> bool((found.by_decoder == found.latent).all()), bool(found.agree.all())
        (True, True)
    """
    beside = vectors if other_vectors is None else other_vectors
    if len(beside) != len(vectors):
        raise ConfigError(f"match_latents: {len(vectors)} contexts for the first and {len(beside)} for the second")
    f, g = _activations(first, vectors), _activations(second, beside)
    own, others = _firing(f, "first", least), _firing(g, "second", least)
    alike = correlations(f[own], g[others])
    shared = other_vectors is None if same_channels is None else same_channels
    shared = shared and first.width == second.width
    writes = _columns(first)[own]
    pointing = cosines(writes, _columns(second)[others]) if shared else np.full_like(alike, np.nan)
    matched, written = match(alike), match(pointing)
    random_cosine = np.full((n_random, len(own)), np.nan)
    random_correlation = np.full((n_random, len(own)), np.nan)
    rates = torch.from_numpy((g[others] > 0).mean(1))
    for k in range(n_random):
        drawn = random_alike(second, beside, rates, generator)
        found = match(correlations(f[own], _activations(drawn, beside)))
        random_correlation[k, found.first] = found.value
        if shared:
            found = match(cosines(writes, _columns(drawn)))
            random_cosine[k, found.first] = found.value
    ways = {DECODER: (written, pointing, alike), ACTIVATION: (matched, alike, pointing)}
    placed = {way: _Placed.of(found, len(own), others, other) for way, (found, _, other) in ways.items()}
    return LatentMatches(
        own,
        len(others),
        placed[DECODER].partner,
        placed[DECODER].value,
        placed[ACTIVATION].partner,
        placed[ACTIVATION].value,
        {way: one.mutual for way, one in placed.items()},
        {way: one.beside for way, one in placed.items()},
        np.asarray((f > 0).mean(1)),
        np.asarray((g > 0).mean(1)),
        random_cosine,
        random_correlation,
    )


def _activations(sae: SparseAutoencoder, vectors: Tensor) -> Floats:
    """Return the activations ``[F, n]``."""
    with torch.no_grad():
        return np.asarray(sae.encode(vectors.to(sae.encoder.weight))[0].double().cpu().numpy().T)


def _columns(sae: SparseAutoencoder) -> Floats:
    return np.asarray(sae.columns().detach().double().cpu().numpy())


def _firing(activations: Floats, which: str, least: int) -> Ints:
    """Return the latents that fire on at least so many vectors.

    Raises:
        ConfigError: If these are too many.
    """
    found = np.flatnonzero((activations > 0).sum(1) >= least)
    if len(found) > MOST:
        raise ConfigError(f"match_latents: {len(found)} latents of the {which} autoencoder fire; {MOST} at the most")
    return found


@dataclass(frozen=True, eq=False)
class _Placed:
    """A matching as columns, one entry per latent of the first: partner, similarity, mutual, other similarity."""

    partner: Ints
    value: Floats
    mutual: Bools
    beside: Floats

    @classmethod
    def of(cls, found: Matching, n: int, others: Ints, other: Floats) -> _Placed:
        """Place what was found among ``n`` latents; ``other [n, m]`` is the other similarity of all pairs."""
        partner, mutual = np.full(n, UNMATCHED, np.int64), np.zeros(n, bool)
        value, beside = np.full(n, np.nan), np.full(n, np.nan)
        partner[found.first] = others[found.second]
        value[found.first], mutual[found.first] = found.value, found.mutual
        beside[found.first] = other[found.first, found.second]
        return cls(partner, value, mutual, beside)
