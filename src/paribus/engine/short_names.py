"""Short names of places in a transformer: ``L18H6``, ``L18.mlp``, ``L*.heads``."""

from __future__ import annotations

import re

from torch import nn

from paribus.errors import ConfigError, nearest

OUT_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "out", "proj", "wo")
"""What the projection of the heads is called in the attention of a block."""
ATTENTIONS = ("self_attn", "attn", "attention", "self_attention", "self")
MLPS = ("mlp", "feed_forward", "ffn", "ff", "output")
PARTS = ("heads", "attn", "mlp", "resid_pre", "resid_post")
_SHORT = re.compile(
    r"\s*L(\d+|\*)(?:H(\d+(?:(?:\+|\.\.)\d+)*)|\.(\w+))((?:\[[^\]]*\]|(?:\|[^|]+?)*)(?:@[A-Za-z_][\w.]*)?)\s*"
)


def places(text: str, network: nn.Module) -> tuple[str, ...]:
    """Return the places that a text names, one for each layer where it says ``L*``; other texts stay as they are.

    ``L18H6`` is head 6 of layer 18, ``L18.heads`` all of its heads, ``L18.attn`` and ``L18.mlp`` what the attention and
    the units add, ``L18.resid_pre`` and ``L18.resid_post`` the stream before and after the layer.

    Raises:
        ConfigError: If the network has no such layer or part.

    Example:
        >>> net = nn.Sequential()
        >>> block = nn.ModuleDict({"attn": nn.ModuleDict({"out": nn.Linear(4, 4)})})
        >>> net.layers = nn.ModuleList([block, block])
        >>> places("L*.heads", net)
        ('layers.0.attn.out.input', 'layers.1.attn.out.input')
    """
    found = _SHORT.fullmatch(text)
    if found is None:
        return (text,)
    number, head, part, rest = found.groups()
    layers = blocks(network, text)
    if number != "*" and int(number) >= len(layers):
        raise ConfigError(f"place {text!r}: the network has {len(layers)} layers, numbered 0 to {len(layers) - 1}")
    chosen = layers if number == "*" else (layers[int(number)],)
    if head is not None:
        rest = _with_head(head, rest)
    elif part not in PARTS:
        raise ConfigError(f"place {text!r}: no such part {part!r}; {nearest(part, PARTS)}")
    return tuple(_part(network, block, "heads" if head is not None else part, text) + rest for block in chosen)


def place(text: str, network: nn.Module) -> str:
    """Return the one place that a text names.

    Raises:
        ConfigError: If it names several, or none that is there.
    """
    found = places(text, network)
    if len(found) > 1:
        raise ConfigError(f"place {text!r}: names {len(found)} places; only factor=heads takes several")
    return found[0]


def blocks(network: nn.Module, text: str) -> tuple[str, ...]:
    """Return the names of a network's layers: the members of its longest list of modules that hold attention.

    Raises:
        ConfigError: If there is no such list.
    """
    lists = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) and _attention(module[0]) is not None
    ]
    if not lists:
        raise ConfigError(
            f"place {text!r}: {type(network).__name__} has no layers with attention; name a module instead"
        )
    name, found = max(lists, key=lambda pair: len(pair[1]))
    return tuple(f"{name}.{index}" for index in range(len(found)))


def layer_of(site: str) -> int | None:
    """Return the number of the layer in the name of a site; None where there is none.

    Example:
        >>> layer_of("model.layers.18.self_attn.o_proj.input"), layer_of("fc.input")
        (18, None)
    """
    numbers = [int(piece) for piece in site.split(".") if piece.isdigit()]
    return numbers[0] if numbers else None


def _attention(block: nn.Module) -> str | None:
    return next((name for name, _ in block.named_children() if name in ATTENTIONS), None)


def _part(network: nn.Module, block: str, part: str, text: str) -> str:
    module = network.get_submodule(block)
    if part in ("resid_pre", "resid_post"):
        return f"{block}.{'input' if part == 'resid_pre' else 'output'}"
    if part == "mlp":
        found = next((name for name, _ in module.named_children() if name in MLPS), None)
        if found is None:
            raise ConfigError(f"place {text!r}: {block} has no {' or '.join(MLPS)}; name a module instead")
        return f"{block}.{found}"
    attention = _attention(module)
    if attention is None:
        raise ConfigError(f"place {text!r}: {block} has no attention")
    if part == "attn":
        return f"{block}.{attention}"
    inside = module.get_submodule(attention)
    for name, each in inside.named_modules():
        if name.rpartition(".")[2] in OUT_PROJECTIONS and (isinstance(each, nn.Linear) or hasattr(each, "weight")):
            return f"{block}.{attention}.{name}.input"
    raise ConfigError(f"place {text!r}: {block}.{attention} has no output projection; name a module instead")


def _with_head(head: str, rest: str) -> str:
    if rest.startswith("["):
        return f"[head={head}, {rest[1:]}"
    return f"|head:{head}{rest}"
