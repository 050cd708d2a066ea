"""Short names of places in a transformer: ``L18H6``, ``L18.mlp``, ``L*.heads``."""

from __future__ import annotations

import inspect
import re

import torch
from torch import nn

from paribus.errors import ConfigError, nearest

OUT_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "out", "out_lin", "proj", "wo", "Wo", "o")
"""Names of the heads' output projection inside the attention of a block."""
ATTENTIONS = ("self_attn", "attn", "attention", "self_attention", "self")
MLPS = ("mlp", "feed_forward", "ffn_output", "ffn", "ff", "output")
"""Names of a block's MLP module, or of its last linear map where it has no module of its own."""
PARTS = ("heads", "attn", "mlp", "resid_pre", "resid_post")
NORMED = {
    "mlp": ("post_feedforward_layernorm", "post_feedforward_norm", "post_mlp_layernorm"),
    # in GLM 4, which has the first, the second is the norm before the MLP
    "attn": ("post_self_attn_layernorm", "post_attention_layernorm", "post_attention_norm"),
}
"""Blocks with one of these norm the output of the MLP or the attention before it is added to the residual stream."""
ADDS_ITSELF = {"residual", "input_tensor"}
"""A module whose forward takes one of these adds it to its result: it returns the residual stream."""
NORMS_ITSELF = "LayerNorm"
"""A module of this name inside attention or MLP norms their sum with the residual stream (BERT and its kin)."""
FACTORS = (
    "residual_multiplier",
    "residual_scale",
    "{part}_beta_factor",
    "{part}_out_multiplier",
    "lambda_1",
    "lambda_2",
)
"""Blocks with one of these (Granite and its kin) multiply what attention and units give before it is added."""
_SHORT = re.compile(
    r"\s*L(\d+|\*)(?:H(\d+(?:(?:\+|\.\.)\d+)*)|\.(\w+))((?:\[[^\]]*\]|(?:\|[^|]+?)*)(?:@[A-Za-z_][\w.]*)?)\s*"
)


def places(text: str, network: nn.Module) -> tuple[str, ...]:
    """Return the places that a text names, one for each layer where it says ``L*``; other texts stay as they are.

    ``L18H6`` is head 6 of layer 18, ``L18.heads`` all of its heads, ``L18.attn`` and ``L18.mlp`` what the attention and
    the MLP add to the residual stream, ``L18.resid_pre`` and ``L18.resid_post`` the stream before and after the layer.

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
    if head is not None:
        rest, part = _with_head(head, rest), "heads"
    elif part not in PARTS:
        raise ConfigError(f"place {text!r}: no such part {part!r}; {nearest(part, PARTS)}")
    chosen = (int(number),) if number != "*" else layers_with(network, part, text)
    return tuple(_part(network, layers[index], part, text) + rest for index in chosen)


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
    """Return the names of a network's layers: the members of its longest list of modules that holds attention.

    Raises:
        ConfigError: If there is no such list, or several are as long.
    """
    lists = [
        (name, len(module))
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and any(_attention(block) is not None for block in module)
    ]
    if not lists:
        raise ConfigError(
            f"place {text!r}: {type(network).__name__} has no layers with attention; name a module instead"
        )
    size = max(length for _, length in lists)
    longest = [name for name, length in lists if length == size]
    if len(longest) > 1:
        raise ConfigError(
            f"place {text!r}: {type(network).__name__} has {len(longest)} lists of {size} layers "
            f"({', '.join(longest)}); name a module instead"
        )
    return tuple(f"{longest[0]}.{index}" for index in range(size))


def layers_with(network: nn.Module, part: str, text: str) -> tuple[int, ...]:
    """Return the numbers of the layers that have a part; every layer has the residual stream, not every one attention.

    Raises:
        ConfigError: If no layer has it.

    Example:
        >>> net = nn.Sequential()
        >>> blocks = [{"mixer": nn.Linear(4, 4)}, {"attn": nn.ModuleDict({"out": nn.Linear(4, 4)})}]
        >>> net.layers = nn.ModuleList([nn.ModuleDict(block) for block in blocks])
        >>> layers_with(net, "heads", "L*.heads"), layers_with(net, "resid_post", "L*.resid_post")
        ((1,), (0, 1))
    """
    layers = blocks(network, text)
    if part.startswith("resid"):
        return tuple(range(len(layers)))
    has = units_in if part == "mlp" else _attention
    found = tuple(index for index, name in enumerate(layers) if has(network.get_submodule(name)) is not None)
    if not found:
        _part(network, layers[0], part, text)  # says what the layer lacks
    return found


def layer_of(site: str, network: nn.Module) -> int | None:
    """Return the number of the layer that a site is in; None where it is in none.

    Example:
        >>> block = nn.ModuleDict({"attn": nn.ModuleDict({"out": nn.Linear(4, 4)})})
        >>> net = nn.Sequential(nn.ModuleDict({"layers": nn.ModuleList([block, block, block])}))
        >>> layer_of("0.layers.2.attn.out.input", net), layer_of("fc.input", net)
        (2, None)
    """
    try:
        layers = blocks(network, site)
    except ConfigError:  # the list of layers may hold something else than attention
        numbers = [int(piece) for piece in site.split(".") if piece.isdigit()]
        return numbers[0] if numbers else None
    return next((index for index, name in enumerate(layers) if f"{site}.".startswith(f"{name}.")), None)


def _attention(block: nn.Module) -> str | None:
    return next((name for name, _ in block.named_children() if name in ATTENTIONS), None)


def units_in(block: nn.Module) -> str | None:
    """Return the name of the MLP module of a block; None where it has none.

    Example:
        >>> units_in(nn.ModuleDict({"attn": nn.Identity(), "mlp": nn.Linear(2, 2)}))
        'mlp'
    """
    children = dict(block.named_children())
    return next((name for name in MLPS if name in children), None)


def _part(network: nn.Module, block: str, part: str, text: str) -> str:
    module = network.get_submodule(block)
    if part in ("resid_pre", "resid_post"):
        return f"{block}.{'input' if part == 'resid_pre' else 'output'}"
    if part == "mlp":
        units = units_in(module)
        if units is None:
            raise ConfigError(f"place {text!r}: {block} has no {' or '.join(MLPS)}; name a module instead")
        _refuse_multiplied(module, part, f"{block}.{units}", text)
        return f"{block}.{_added(module, part, units, last_linear_in(module.get_submodule(units)))}"
    attention = _attention(module)
    if attention is None:
        raise ConfigError(f"place {text!r}: {block} has no attention")
    projection = _projection(module.get_submodule(attention))
    if part == "attn":
        _refuse_multiplied(module, part, f"{block}.{attention}", text)
        return f"{block}.{_added(module, part, attention, projection)}"
    if projection is None:
        raise ConfigError(f"place {text!r}: {block}.{attention} has no output projection; name a module instead")
    return f"{block}.{attention}.{projection}.input"


def _refuse_multiplied(block: nn.Module, part: str, name: str, text: str) -> None:
    """Refuse what a block multiplies by a number before it is added to the stream: no module gives what is added."""
    for factor in (one.format(part=part) for one in FACTORS):
        value = getattr(block, factor, None)
        if isinstance(value, float | int | torch.Tensor) and not bool((torch.as_tensor(value) == 1).all()):
            raise ConfigError(
                f"place {text!r}: {type(block).__name__} multiplies this by its {factor} before it is added to the "
                f"stream, so that no module gives what is added; name what comes before it, {name}"
            )


def _projection(attention: nn.Module) -> str | None:
    """Return what the output projection of the heads is called inside attention."""
    return next(
        (
            str(name)
            for name, each in attention.named_modules()
            if name.rpartition(".")[2] in OUT_PROJECTIONS and hasattr(each, "weight")
        ),
        None,
    )


def last_linear_in(module: nn.Module) -> str | None:
    """Return the name of the last linear map inside a module, empty for the module itself; None where it has none.

    Example:
        >>> last_linear_in(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.LayerNorm(2)))
        '2'
    """
    found = [name for name, each in module.named_modules() if getattr(getattr(each, "weight", None), "ndim", 0) == 2]
    return str(found[-1]) if found else None


def _added(block: nn.Module, part: str, whole: str, inner: str | None) -> str:
    """Return what is added to the stream, inside a block: the module, the norm behind it, or its last linear map.

    Args:
        block: The block.
        part: ``attn`` or ``mlp``.
        whole: Name of the module.
        inner: Name of the last map inside it.
    """
    if any(hasattr(block, name) for name in NORMED["mlp"]):
        return next((name for name in NORMED[part] if hasattr(block, name)), whole)
    module = block.get_submodule(whole)
    returns_stream = any(
        name.rpartition(".")[2] == NORMS_ITSELF or ADDS_ITSELF & set(inspect.signature(each.forward).parameters)
        for name, each in module.named_modules()
    )
    found = f"{whole}.{inner}" if returns_stream and inner else whole
    return f"{found}.output" if found.rpartition(".")[2] in ("output", "input") else found


def _with_head(head: str, rest: str) -> str:
    if rest.startswith("["):
        return f"[head={head}, {rest[1:]}"
    return f"|head:{head}{rest}"
