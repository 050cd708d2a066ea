"""The axis that holds the channels of a value inside a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

# Modules that fix where channels are, and the attribute that says how many they return.
_SECOND: dict[type[nn.Module], str] = {
    **{getattr(nn, f"{kind}{d}d"): "out_channels" for kind in ("Conv", "ConvTranspose") for d in (1, 2, 3)},
    nn.modules.batchnorm._BatchNorm: "num_features",
    nn.modules.instancenorm._InstanceNorm: "num_features",
    nn.GroupNorm: "num_channels",
    **dict.fromkeys((nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d), ""),
}
_LAST = {
    nn.Linear: "out_features",
    nn.LayerNorm: "normalized_shape",
    nn.Embedding: "embedding_dim",
    nn.MultiheadAttention: "embed_dim",
    nn.TransformerEncoderLayer: "",
    nn.RNNBase: "",
}
_SAME = ("num_features", "num_channels", "normalized_shape", "embed_dim")
"""Attributes that give the number of both input and output channels."""
_INTO = {"out_channels": "in_channels", "out_features": "in_features"}


def channel_axis(model: nn.Module, name: str, shape: Sequence[int], *, returned: bool = True) -> int:
    """Return the axis of the channels in a value of ``shape [n, ...]`` that a module returns or takes.

    ``[n, d]`` has them in axis 1. Else the layer within the module that made the value (or takes it) decides:
    convolutions, batch norms and pools have them in axis 1, linear layers, layer norms and attention in the last one. A
    module without such layers (a ReLU, a dropout) leaves them where the layer declared before it has them, if the size
    of that axis agrees. Where nothing decides, ``[n, a, b]`` are tokens with channels last, and more axes an image with
    channels first.

    Args:
        model: The network.
        name: Dotted name of the module.
        shape: The value's.
        returned: Whether the module returns it, or takes it.

    Example:
        >>> net = nn.Sequential(nn.Conv1d(2, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
        >>> channel_axis(net, "1", (7, 4, 5))
        1
    """
    usual = 2 if len(shape) == 3 else 1
    if len(shape) == 2:
        return 1
    module = model.get_submodule(name)
    own = [one for one in module.modules() if _decides(one)]
    if not own:
        return _of_neighbour(model, module, shape, usual)
    decisive = own[-1 if returned else 0]
    if len(shape) == 3:
        return 1 if isinstance(decisive, tuple(_SECOND)) else 2
    last = isinstance(decisive, tuple(_LAST))
    if last and decisive is not module:  # the last layer within need not be the last thing done to the value
        width = _width(decisive, returned)
        last = width is not None and shape[1] != width == shape[-1]
    return len(shape) - 1 if last else 1


def _of_neighbour(model: nn.Module, module: nn.Module, shape: Sequence[int], usual: int) -> int:
    """Return the axis that the nearest layer declared before has; none before: of the nearest after."""
    every = list(model.modules())
    place = next(index for index, one in enumerate(every) if one is module)
    before = [one for one in every[:place] if _decides(one)]
    after = [one for one in every[place:] if _decides(one)]
    found, returned = (before[-1], True) if before else (after[0] if after else None, False)
    if found is None:
        return usual
    width, second = _width(found, returned), isinstance(found, tuple(_SECOND))
    if width is None:
        return usual
    axis = 1 if second else len(shape) - 1
    return axis if shape[axis] == width else usual


def _decides(module: nn.Module) -> bool:
    return isinstance(module, (*_SECOND, *_LAST))


def _width(module: nn.Module, returned: bool) -> int | None:
    """Return how many channels a layer returns, or takes; None where it does not say."""
    said = next((name for kind, name in (*_SECOND.items(), *_LAST.items()) if isinstance(module, kind)), "")
    name = said if returned or said in _SAME else _INTO.get(said, "")
    value = getattr(module, name, None) if name else None
    return int(value[-1]) if isinstance(value, tuple) else value
