"""Scaling the initial weights (Liu et al. 2022, "Omnigrok"), and recording which of them were scaled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ScaledTensor:
    """A weight that the init scale touches.

    Attributes:
        name: Parameter name.
        shape: Its shape, as ``16x8x3x3``.
        before_norm: Whether a normalisation follows directly, so that the scale leaves the function as it is and only
            makes each step relatively smaller.
    """

    name: str
    shape: str
    before_norm: bool


def scale_starting_weights(model: nn.Module, scale: float) -> list[ScaledTensor]:
    """Multiply the weights of all convolutions and linear maps by ``scale``; biases and norms stay as they are.

    Returns:
        What the scale touches, in the order of the model, also where ``scale`` is 1.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(3, 2)
        >>> before = net.weight.detach().clone()
        >>> scaled = scale_starting_weights(net, 8.0)
        >>> len(scaled), torch.allclose(net.weight, 8.0 * before)
        (1, True)
    """
    modules = dict(model.named_modules())
    touched = []
    for name, module in modules.items():
        if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            continue
        with torch.no_grad():
            module.weight.mul_(scale)
        shape = "x".join(map(str, module.weight.shape))
        touched.append(ScaledTensor(f"{name}.weight".lstrip("."), shape, _norm_follows(model, module)))
    return touched


def _norm_follows(model: nn.Module, module: nn.Module) -> bool:
    """Whether a normalisation comes directly after ``module`` in the order in which the model declares its parts."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)
    leaves = [part for part in model.modules() if not list(part.children())]
    position = next(i for i, part in enumerate(leaves) if part is module)
    return position + 1 < len(leaves) and isinstance(leaves[position + 1], norms)
