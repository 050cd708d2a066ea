"""The vector at a site of a set model, taken while the model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.subjects.builds.models.set_model import SetModel


@contextmanager
def captured(network: nn.Module, site: str) -> Iterator[list[Tensor]]:
    """Keep what passes the site in the list that is yielded (one entry for each forward pass); empty for no site.

    Raises:
        ConfigError: If the network has no such site.
    """
    seen: list[Tensor] = []
    if not site:
        yield seen
        return
    place = Site.parse(site)
    module = place.validate(network)
    if place.port == "input":
        handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    else:
        handle = module.register_forward_hook(lambda _, __, out: seen.append(out))
    try:
        yield seen
    finally:
        handle.remove()


def pooled(value: Tensor, pad: Tensor) -> Tensor:
    """Return ``[B, d]``: the value itself, or its mean over real tokens (over all, where they are no tokens)."""
    if value.ndim == 2:
        return value
    if value.ndim == 3 and value.shape[1] == pad.shape[1]:
        real = (~pad).to(value.dtype).unsqueeze(-1)
        return (value * real).sum(1) / real.sum(1).clamp_min(1.0)
    return value.flatten(1, -2).mean(1)


def width_at(model: SetModel, site: str) -> int:
    """Return the number of units at a site.

    Raises:
        ConfigError: If the network has no such site, or its value holds no units.
    """
    weapon = torch.zeros(1, 1, dtype=torch.long)
    tokens, pad = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.bool)
    device = next(model.network.parameters()).device
    with torch.no_grad(), captured(model.network.eval(), site) as seen:
        model.network(tokens.to(device), weapon.to(device), pad.to(device))
    if not seen or not isinstance(seen[-1], Tensor) or seen[-1].ndim < 2:
        raise ConfigError(f"site {site}: it holds no vector of units in this model")
    return int(pooled(seen[-1], pad.to(device)).shape[1])
