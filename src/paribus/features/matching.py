"""The latents of two autoencoders beside each other: which are the same, by what they write and by when they fire."""

from __future__ import annotations

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


@dataclass(frozen=True, eq=False)
class LatentMatches:
    """Latents of a first autoencoder, each with the one of a second that it is matched with; a row for each.

    Attributes:
        latent: Number of the latent in the first ``[k]``.
        by_decoder: The one of the second that writes most alike, one to one ``[k]``; -1: none.
        cosine: Cosine of what the two write ``[k]``; NaN for none, and between models, whose channels are not the same.
        by_activation: The one that fires most alike on the same contexts, one to one ``[k]``; -1: none.
        correlation: Correlation of the two activations over the contexts ``[k]``.
        random_cosine: Cosines of matches with random latents that fire as often as those of the second ``[draws, k]``.
        random_correlation: Correlations of such matches ``[draws, k]``: what a match is worth.
    """

    latent: Ints
    by_decoder: Ints
    cosine: Floats
    by_activation: Ints
    correlation: Floats
    random_cosine: Floats
    random_correlation: Floats

    @property
    def agree(self) -> Bools:
        """Whether both ways name the same latent ``[k]``."""
        return np.asarray((self.by_decoder == self.by_activation) & (self.by_decoder != UNMATCHED))

    @property
    def beyond_random(self) -> Bools:
        """Whether the activations correlate more than 97.5 % of the matches with random autoencoders ``[k]``."""
        known = self.random_correlation[np.isfinite(self.random_correlation)]
        bound = np.percentile(known, 97.5) if known.size else np.inf
        with np.errstate(invalid="ignore"):
            return np.asarray(self.correlation > bound)


def match_latents(
    first: SparseAutoencoder,
    second: SparseAutoencoder,
    vectors: Tensor,
    *,
    generator: torch.Generator,
    other_vectors: Tensor | None = None,
    n_random: int = 5,
) -> LatentMatches:
    """Match the latents of two autoencoders that fire at all, by decoder and by activation.

    Args:
        first: An autoencoder.
        second: Another one: of the same place (another seed), or of another model.
        vectors: What the first reads on some contexts ``[n, d]``.
        generator: Draws the random autoencoders, whose latents are as many as fire in the second, and fire as often.
        other_vectors: What the second reads on the same contexts ``[n, d']``, in that order; None: the same vectors.
        n_random: Random autoencoders.

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
    own, others = _firing(f, "first"), _firing(g, "second")
    matched = match(correlations(f[own], g[others]))
    same_place = other_vectors is None and first.width == second.width
    writes = _columns(first)[own]
    written = match(cosines(writes, _columns(second)[others])) if same_place else None
    random_cosine = np.full((n_random, len(own)), np.nan)
    random_correlation = np.full((n_random, len(own)), np.nan)
    rates = torch.from_numpy((g[others] > 0).mean(1))
    for k in range(n_random):
        drawn = random_alike(second, beside, rates, generator)
        found = match(correlations(f[own], _activations(drawn, beside)))
        random_correlation[k, found.first] = found.value
        if same_place:
            found = match(cosines(writes, _columns(drawn)))
            random_cosine[k, found.first] = found.value
    by_activation, correlation = _placed(len(own), matched, others)
    by_decoder, cosine = _placed(len(own), written, others)
    return LatentMatches(own, by_decoder, cosine, by_activation, correlation, random_cosine, random_correlation)


def _activations(sae: SparseAutoencoder, vectors: Tensor) -> Floats:
    """Return the activations ``[F, n]``."""
    with torch.no_grad():
        return np.asarray(sae.encode(vectors.to(sae.encoder.weight))[0].double().cpu().numpy().T)


def _columns(sae: SparseAutoencoder) -> Floats:
    return np.asarray(sae.columns().detach().double().cpu().numpy())


def _firing(activations: Floats, which: str) -> Ints:
    """Return the latents that fire on some context.

    Raises:
        ConfigError: If these are too many.
    """
    found = np.flatnonzero(activations.max(1) > 0)
    if len(found) > MOST:
        raise ConfigError(f"match_latents: {len(found)} latents of the {which} autoencoder fire; {MOST} at the most")
    return found


def _placed(n: int, found: Matching | None, others: Ints) -> tuple[Ints, Floats]:
    """Return the partner and the similarity of each of ``n`` latents."""
    partner, value = np.full(n, UNMATCHED, np.int64), np.full(n, np.nan)
    if found is not None:
        partner[found.first] = others[found.second]
        value[found.first] = found.value
    return partner, value
