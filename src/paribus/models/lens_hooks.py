"""From the name that an autoencoder's folder has for its place to the place in a network."""

from __future__ import annotations

import re

from torch import nn

from paribus.engine.short_names import blocks, places
from paribus.errors import ConfigError, nearest

_HOOK = re.compile(r"(?:blocks\.(\d+)\.)(hook_\w+|attn\.hook_\w+|mlp\.hook_\w+)")
STREAM = {"hook_resid_pre": "resid_pre", "hook_resid_post": "resid_post"}
ADDED = {"hook_attn_out": "attn", "hook_mlp_out": "mlp"}
HEADS, UNITS = "attn.hook_z", "mlp.hook_post"
KNOWN = (*STREAM, *ADDED, HEADS, UNITS)
NORM_BEHIND = ("post_feedforward_layernorm", "post_feedforward_norm")
"""Blocks with one of these norm what attention and units add before it is added; transformer_lens reads behind it."""


def place_of_hook(hook: str, network: nn.Module) -> str:
    """Return the site that a hook of transformer_lens is, or the module that the network itself calls so.

    ``blocks.3.hook_resid_post`` is the output of the layer's block, ``hook_resid_pre`` its input, ``hook_attn_out`` and
    ``hook_mlp_out`` what the two add, ``attn.hook_z`` the heads (the input of the output projection) and
    ``mlp.hook_post`` the units (the input of the down projection).

    Raises:
        ConfigError: If it is neither, or cannot be edited at one place of the network.

    Example:
        >>> net = nn.Sequential()
        >>> block = nn.ModuleDict({"attn": nn.ModuleDict({"out": nn.Linear(4, 4)})})
        >>> net.layers = nn.ModuleList([block, block])
        >>> place_of_hook("blocks.1.hook_resid_post", net), place_of_hook("layers.0.attn", net)
        ('layers.1.output', 'layers.0.attn')
    """
    if hook in dict(network.named_modules()):
        return hook
    found = _HOOK.fullmatch(hook)
    if found is None or found.group(2) not in KNOWN:
        wide = [name for name, _ in network.named_modules() if name]
        raise ConfigError(
            f"feature.site: the autoencoder reads {hook!r}, which is no module of the network and no hook known "
            f"here (blocks.N.{', blocks.N.'.join(KNOWN)}); name the site. {nearest(hook, wide, show=8)}"
        )
    layer, name = int(found.group(1)), found.group(2)
    if name in STREAM:
        return _short(f"L{layer}.{STREAM[name]}", network)
    if name == HEADS:
        return _short(f"L{layer}.heads", network)
    block = _block(layer, hook, network)
    if name == UNITS:
        return _units(layer, hook, network)
    behind = [one for one in NORM_BEHIND if hasattr(network.get_submodule(block), one)]
    if behind:
        raise ConfigError(
            f"feature.site: the autoencoder reads {hook!r} behind a norm ({block}.{behind[0]} is there); name the site"
        )
    return _short(f"L{layer}.{ADDED[name]}", network)


def _short(name: str, network: nn.Module) -> str:
    (found,) = places(name, network)
    return found


def _block(layer: int, hook: str, network: nn.Module) -> str:
    layers = blocks(network, hook)
    if layer >= len(layers):
        raise ConfigError(
            f"feature.site: the autoencoder reads {hook!r}; the network has layers 0 to {len(layers) - 1}"
        )
    return layers[layer]


def _units(layer: int, hook: str, network: nn.Module) -> str:
    """Return the input of the last linear map of a layer's units, where that is one of its own parts (no experts)."""
    outer = _short(f"L{layer}.mlp", network)
    linear = [
        name
        for name, module in network.get_submodule(outer).named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2
    ]
    if not linear or "." in linear[-1]:
        raise ConfigError(f"feature.site: the autoencoder reads {hook!r}; {outer} ends in no linear map; name the site")
    return f"{outer}.{linear[-1]}.input" if linear[-1] else f"{outer}.input"
