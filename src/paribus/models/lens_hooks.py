"""Maps the hook name in an autoencoder's folder to a site of the network."""

from __future__ import annotations

import re

from torch import nn

from paribus.engine.short_names import blocks, last_linear_in, place, units_in
from paribus.errors import ConfigError, nearest

_HOOK = re.compile(r"(?:blocks\.(\d+)\.)(hook_\w+|attn\.hook_\w+|mlp\.hook_\w+)")
PARTS = {
    "hook_resid_pre": "resid_pre",
    "hook_resid_post": "resid_post",
    "hook_attn_out": "attn",
    "hook_mlp_out": "mlp",
    "attn.hook_z": "heads",
}
UNITS = "mlp.hook_post"
KNOWN = (*PARTS, UNITS)


def place_of_hook(hook: str, network: nn.Module) -> str:
    """Return the site that a hook of transformer_lens is, or the module that the network itself calls so.

    ``blocks.3.hook_resid_post`` is the output of the layer's block, ``hook_resid_pre`` its input, ``hook_attn_out`` and
    ``hook_mlp_out`` what the two add, ``attn.hook_z`` the heads (the input of the output projection) and
    ``mlp.hook_post`` the MLP's hidden units (the input of the down projection).

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
    return _units(layer, hook, network) if name == UNITS else place(f"L{layer}.{PARTS[name]}", network)


def _units(layer: int, hook: str, network: nn.Module) -> str:
    """Return the input of the last linear map of a layer's MLP, where that is one of its own parts (no experts)."""
    layers = blocks(network, hook)
    if layer >= len(layers):
        raise ConfigError(
            f"feature.site: the autoencoder reads {hook!r}; the network has layers 0 to {len(layers) - 1}"
        )
    block = network.get_submodule(layers[layer])
    outer = units_in(block)
    units = None if outer is None else block.get_submodule(outer)
    linear = None if units is None else last_linear_in(units)
    several = units is None or any(name.rpartition(".")[2] == "experts" for name, _ in units.named_modules())
    if linear is None or several or "." in linear:
        where = f"{layers[layer]}.{outer}" if outer else layers[layer]
        raise ConfigError(f"feature.site: the autoencoder reads {hook!r}; {where} ends in no linear map; name the site")
    return ".".join(one for one in (layers[layer], outer, linear, "input") if one)
