"""Whether everything after a site is affine, decided from its traced graph."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

_AXES = ("1d", "2d", "3d")
# Affine in their input in evaluation mode, row by row.
_MODULES = (
    *(nn.Identity, nn.Linear, nn.Unflatten, nn.ZeroPad2d, nn.PixelShuffle),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(getattr(nn, kind + axes) for kind in ("Conv", "ConvTranspose", "AvgPool", "AdaptiveAvgPool") for axes in _AXES),
)
_FUNCTIONS = (
    *(torch.reshape, torch.squeeze, torch.unsqueeze, torch.permute, torch.transpose, torch.neg),
    *(functional.linear, operator.neg, operator.getitem),
    *(getattr(functional, kind + axes) for kind in ("conv", "avg_pool", "adaptive_avg_pool") for axes in _AXES),
)
_METHODS = ("view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "float", "double", "neg")
_SHAPES = ("size", "dim")
_SUMS = (operator.add, operator.sub, torch.add, torch.sub, operator.iadd, operator.isub)
_PRODUCTS = (operator.mul, torch.mul, operator.matmul, torch.matmul)
_QUOTIENTS = (operator.truediv, torch.div)


def is_affine(suffix: fx.GraphModule) -> bool:
    """Return whether the suffix is an affine function of the site alone.

    True only where every step is known to be affine; a step that is not known counts as not affine. A suffix with
    boundary values is refused: its matrix or its offset could differ from row to row.
    """
    placeholders = [node for node in suffix.graph.nodes if node.op == "placeholder"]
    if len(placeholders) != 1:
        return False
    moving: set[fx.Node] = {placeholders[0]}
    for node in suffix.graph.nodes:
        if not any(used in moving for used in node.all_input_nodes):
            continue
        if node.op == "output":
            return isinstance(node.args[0], fx.Node) and node.args[0] in moving
        if _is_shape(node):
            continue
        if not _affine_step(suffix, node, moving):
            return False
        moving.add(node)
    return False


def _is_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _SHAPES
    return (
        node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device")
    )


def _affine_step(suffix: fx.GraphModule, node: fx.Node, moving: set[fx.Node]) -> bool:
    fixed_rest = not any(used in moving for used in _nodes(node.args[1:]) + _nodes(tuple(node.kwargs.values())))
    if node.op == "call_module":
        return fixed_rest and is_affine_module(suffix.get_submodule(str(node.target)))
    if node.op == "call_method":
        if node.target == "flatten":
            return fixed_rest and _keeps_rows(node, 1)
        if node.target in ("mean", "sum"):
            return fixed_rest and _reduces_features(node)
        return fixed_rest and node.target in _METHODS
    if node.op != "call_function":
        return False
    if node.target is torch.flatten:
        return fixed_rest and _keeps_rows(node, 1)
    if node.target in (torch.mean, torch.sum):
        return fixed_rest and _reduces_features(node)
    if node.target is functional.dropout:
        return fixed_rest and node.kwargs.get("training") is False
    if node.target is operator.getitem:
        return fixed_rest and _indexes_features(node.args[1])
    if node.target in _SUMS:
        return True
    if node.target in _PRODUCTS:
        return sum(used in moving for used in _nodes(node.args)) == 1 and node.args[0] is not node.args[1]
    if node.target in _QUOTIENTS:
        return fixed_rest
    return fixed_rest and node.target in _FUNCTIONS


def is_affine_module(module: nn.Module) -> bool:
    """Return whether a single module is affine in evaluation mode and treats rows separately.

    Example:
        >>> is_affine_module(nn.Linear(2, 2)), is_affine_module(nn.ReLU())
        (True, False)
    """
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.running_mean is not None
    if isinstance(module, nn.Flatten):
        return module.start_dim >= 1
    if isinstance(module, nn.Sequential):
        return all(is_affine_module(inner) for inner in module)
    # Exactly these types: a subclass may do anything in its forward.
    return type(module) in _MODULES


def _nodes(values: tuple[Any, ...]) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.node.map_arg(values, found.append)
    return found


def _argument(node: fx.Node, position: int, name: str) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name)


def _keeps_rows(node: fx.Node, position: int) -> bool:
    start = _argument(node, position, "start_dim")
    return isinstance(start, int) and start >= 1


def _reduces_features(node: fx.Node) -> bool:
    dims = _argument(node, 1, "dim")
    dims = [dims] if isinstance(dims, int) else dims
    return isinstance(dims, list | tuple) and bool(dims) and all(isinstance(d, int) and d != 0 for d in dims)


def _indexes_features(index: Any) -> bool:
    return isinstance(index, tuple) and len(index) > 1 and index[0] == slice(None, None, None)
