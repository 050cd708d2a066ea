"""The direct effect of each latent's decoder column on the outputs, from the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from paribus.arrays import Floats
from paribus.engine.auto_site import last_linear
from paribus.engine.short_names import blocks, places
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.any._features import Surveyed
from paribus.experiments.any.scan_features.one_pass import chunks
from paribus.features.columns import Latents

WRITERS = ("L*.resid_pre", "L*.resid_post", "L*.attn", "L*.mlp")
"""Places whose value is, or is added to, the residual stream that the outputs are read from."""
MOST = 1 << 23
"""Weights that are held at once: features by outputs."""
EXACTLY, DIRECTLY = "exactly", "directly"
WRITTEN = {
    "feature": "number of the latent or unit",
    "rank": "place of the output among those that the decoder's column writes to most, from 1",
    "output": "the output",
    "weight": "its logit for one unit of the latent, less the mean over outputs",
    "beyond": "how far that is from what all latents write to this output, in their sd",
}


def unembedding(network: nn.Module, site: str, width: int) -> tuple[Tensor, str] | None:
    """Return the weights ``[outputs, d]`` by which a vector at a site makes the outputs, and in what sense.

    ``exactly`` at the input of the last linear layer; ``directly`` at a place that is, or is added to, the residual
    stream of a transformer: later layers and the final norm are ignored. None elsewhere.
    """
    try:
        last = last_linear(network)
    except ConfigError:
        return None
    weight = getattr(network.get_submodule(last), "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or weight.shape[1] != width:
        return None
    here = Site.parse(site)
    if here == Site(last, "input"):
        return weight.detach(), EXACTLY
    return (weight.detach(), DIRECTLY) if here in _stream(network) else None


def _stream(network: nn.Module) -> set[Site]:
    """Return the sites that are, or are added to, the residual stream of a transformer."""
    try:
        blocks(network, "")
    except ConfigError:
        return set()
    found: set[Site] = set()
    for name in WRITERS:
        try:
            found |= {Site.parse(one) for one in places(name, network)}
        except ConfigError:  # blocks without an MLP
            continue
    return found


def written(at: Surveyed, weight: Tensor, names: Sequence[str], n_tokens: int) -> pd.DataFrame:
    """Return the outputs that each latent's decoder column writes to most, sorted by feature.

    Args:
        at: The latents.
        weight: Weights of the outputs ``[outputs, d]``.
        names: Their names; numbers beyond them.
        n_tokens: How many of each.

    Returns:
        One row per feature and rank: ``weight`` is the output's logit for one unit of the latent, less the mean over
        outputs; ``beyond`` says how far that is from what all latents write to this output, in their sd.
    """
    assert isinstance(at.columns, Latents)
    sae = at.columns.sae
    n, v = sae.n_features, len(weight)
    k = min(n_tokens, v)
    values, outputs = np.empty((n, k)), np.empty((n, k), np.int64)
    sums = np.zeros((2, v))
    with torch.inference_mode():
        rows, out = sae.columns().float(), weight.to(sae.columns()).float()
        for some in chunks(n, v, MOST):
            made = rows[some] @ out.T
            made = made - made.mean(1, keepdim=True)
            sums += np.stack([each.sum(0).double().cpu().numpy() for each in (made, made.double().square())])
            top = made.topk(k, 1)
            values[some], outputs[some] = top.values.double().cpu().numpy(), top.indices.cpu().numpy()
    mean = sums[0] / n
    sd = np.sqrt(np.maximum(sums[1] / n - mean**2, 0.0))
    beyond: Floats = np.divide(values - mean[outputs], sd[outputs], out=np.full((n, k), np.nan), where=sd[outputs] > 0)
    called = np.array([names[one] if one < len(names) else str(one) for one in range(v)], object)
    return pd.DataFrame(
        {
            "feature": np.repeat(np.arange(n), k),
            "rank": np.tile(np.arange(1, k + 1), n),
            "output": called[outputs.ravel()].astype(str),
            "weight": values.ravel(),
            "beyond": beyond.ravel(),
        }
    )
