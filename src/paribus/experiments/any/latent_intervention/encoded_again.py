"""Re-encoding vectors after one latent was set."""

from __future__ import annotations

from typing import Any

import torch

from paribus.experiments.any.latent_intervention.activity import pieces
from paribus.features.columns import Latents


def encoded_again(sae: Any, latent: int, value: float, vectors: torch.Tensor, weight: torch.Tensor) -> dict[str, float]:
    """Return what changes when vectors ``[m, d]`` in which a latent was set are encoded again.

    Args:
        sae: The autoencoder.
        latent: The latent.
        value: What it is set to.
        vectors: Vectors before the edit.
        weight: How much each counts ``[m]``.

    Returns:
        ``change``, ``reencoded``, ``reencoded_off_target`` (NaN where nothing changes) and ``others_moved``.
    """
    rounding = 64 * torch.finfo(sae.encoder.weight.dtype).eps  # up to which activations count as equal
    edit = Latents(sae).setter(latent, value)
    change, again, off, moved = 0.0, 0.0, 0.0, 0.0
    with torch.inference_mode():
        for part, counts in pieces(vectors, weight, sae.n_features):
            x = part.to(sae.encoder.weight)
            before, after = sae.encode(x)[0], sae.encode(edit.forward(x))[0]
            different = (after - before).abs().double()
            different[different <= rounding * float(before.abs().max().clamp_min(after.abs().max()))] = 0.0
            counts = counts.to(different)
            change += float(counts @ (value - before[:, latent]).abs().double())
            again += float(counts @ after[:, latent].double())
            different[:, latent] = 0.0
            off += float(counts @ different.sum(1))
            moved += float(counts @ (different > 0).double().sum(1))
    n = float(weight.sum())
    return {
        "change": change / n,
        "reencoded": again / n,
        "reencoded_off_target": off / change if change > 0 else float("nan"),
        "others_moved": moved / n,
    }
