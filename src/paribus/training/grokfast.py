"""Grokfast-EMA (Lee et al. 2024, "Grokfast: Accelerated Grokking by Amplifying Slow Gradients", algorithm 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


class GrokfastEMA:
    """Adds the exponential moving average of past gradients to each gradient.

    After every backward pass: ``ema = alpha * ema + (1 - alpha) * grad`` (the first gradient seen starts it), then
    ``grad += lamb * ema``.

    Args:
        alpha: Memory of the average, in [0, 1).
        lamb: Weight with which the average is added.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(2, 1, bias=False)
        >>> slow = GrokfastEMA(alpha=0.98, lamb=2.0)
        >>> net(torch.ones(1, 2)).sum().backward()
        >>> slow.amplify(net.named_parameters())
        >>> net.weight.grad
        tensor([[3., 3.]])
    """

    def __init__(self, alpha: float, lamb: float) -> None:
        """Start without averages."""
        self.alpha = alpha
        self.lamb = lamb
        self.averages: dict[str, torch.Tensor] = {}

    def amplify(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Update the averages and add them to the gradients, in place."""
        for name, parameter in named_parameters:
            gradient = parameter.grad
            if gradient is None:
                continue
            average = self.averages.get(name)
            if average is None:
                average = self.averages[name] = gradient.detach().clone()
            else:
                average.mul_(self.alpha).add_(gradient, alpha=1.0 - self.alpha)
            gradient.add_(average, alpha=self.lamb)

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of the averages."""
        return {name: average.clone() for name, average in self.averages.items()}

    def restore(self, averages: Mapping[str, torch.Tensor], like: Mapping[str, torch.Tensor]) -> None:
        """Take up averages kept by :meth:`state`, on the device and in the memory layout of the parameters ``like``."""
        self.averages = {name: torch.empty_like(like[name]).copy_(average) for name, average in averages.items()}
