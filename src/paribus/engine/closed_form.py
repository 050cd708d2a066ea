"""The closed form: interventions in front of an affine map are matrix products on cached features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paribus.engine.intervention import Intervention

# Rows of the extracted matrix computed by one backward pass.
_EXTRACT_ROWS = 256


@dataclass(frozen=True, eq=False)
class LinearMap:
    """``output = weight @ h + bias`` for the channel vector ``h`` of a site (its mean over positions).

    Attributes:
        weight: ``[k, d]``.
        bias: ``[k]``.

    Example:
        >>> from torch import nn
        >>> from paribus.engine.evaluation import Engine
        >>> engine = Engine(nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), "1.input")
        >>> x = torch.ones(5, 4)
        >>> engine.logits(x).shape, engine.plan(x).closed.linear.weight.shape
        ((5, 2), torch.Size([2, 4]))
    """

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """An affine suffix as a matrix.

    Attributes:
        weight: ``[k, d, P]``: outputs x channels x positions.
        bias: ``[k]``.
        uniform: Whether all positions weigh the same, so that position means are enough (average pooling).
        output_shape: The output's axes after the first (``k`` is their product).

    Example:
        >>> read = ClosedForm(torch.ones(2, 3, 1), torch.zeros(2), uniform=True, output_shape=(2,))
        >>> read.direct(torch.ones(5, 3)).shape, read.linear.weight.shape
        (torch.Size([5, 2]), torch.Size([2, 3]))
    """

    weight: Tensor
    bias: Tensor
    uniform: bool
    output_shape: tuple[int, ...]

    @property
    def linear(self) -> LinearMap | None:
        """The map on channel vectors, or None where positions weigh differently."""
        return LinearMap(self.weight.sum(2), self.bias) if self.uniform else None

    def compact(self, h: Tensor) -> Tensor:
        """Return what of ``h [n, d, *positions]`` the affine interventions need: ``[n, d]`` or ``[n, d * P]``."""
        h = h.to(self.weight)
        if h.ndim == 2:
            return h
        return h.flatten(2).mean(2) if self.uniform else h.flatten(1)

    def pulled(self, family: Sequence[Intervention]) -> tuple[Tensor | None, Tensor]:
        """Return the maps behind each of ``family`` (one class, one :attr:`Intervention.family`).

        Returns:
            Weights ``[F, k, d]`` (``[F, k, d * P]`` where positions differ; None where they stay), biases ``[F, k]``.
        """
        k, d, positions = self.weight.shape
        n = len(family)
        weight = self.weight.sum(2) if self.uniform else self.weight.permute(0, 2, 1).reshape(k * positions, d)
        pulled = type(family[0]).pull_back(family, weight)
        weights, offsets = pulled.weights, pulled.offsets
        if not self.uniform:
            offsets = offsets.reshape(n, k, positions).sum(2)
            if weights is not None:
                weights = weights.reshape(n, k, positions, d).transpose(2, 3).reshape(n, k, d * positions)
        return weights, self.bias + offsets

    def direct(self, h: Tensor) -> Tensor:
        """Return the outputs ``[n, k]`` for full (edited) activations ``h [n, d, *positions]``."""
        return torch.addmm(self.bias, h.to(self.weight).flatten(1), self.weight.flatten(1).T)

    def outputs(self, compact: Tensor, family: Sequence[Intervention]) -> Tensor:
        """Return the outputs ``[F, n, k]`` of a family on compact features (a view; see :meth:`compact`)."""
        weights, biases = self.pulled(family)
        n, (f, k) = len(compact), biases.shape
        if weights is None:
            flat = self.weight.sum(2) if self.uniform else self.weight.flatten(1)
            return (compact @ flat.T) + biases[:, None, :]
        return torch.addmm(biases.reshape(-1), compact, weights.reshape(f * k, -1).T).reshape(n, f, k).transpose(0, 1)


def closed_form(suffix: Callable[[Tensor], Tensor], example: Tensor, output_shape: tuple[int, ...]) -> ClosedForm:
    """Read the matrix of an affine ``suffix``.

    One backward pass through a batch of zeros gives a row of the matrix per example, exactly (no differences).

    Args:
        suffix: Site value ``[n, d, *positions]`` to output ``[n, *output_shape]``; rows must not mix.
        example: ``[1 or more, d, *positions]``, for shape, device and number format.
        output_shape: The output's axes after the first.

    Example:
        >>> read = closed_form(lambda h: h.sum(1, keepdim=True), torch.zeros(1, 3), (1,))
        >>> read.weight.shape, read.uniform
        (torch.Size([1, 3, 1]), True)
    """
    k = 1
    for size in output_shape:
        k *= size
    rows: list[Tensor] = []
    bias = None
    with torch.enable_grad():
        for start in range(0, k, _EXTRACT_ROWS):
            stop = min(k, start + _EXTRACT_ROWS)
            h = example.new_zeros((stop - start, *example.shape[1:]), requires_grad=True)
            out = suffix(h).reshape(stop - start, -1)
            picked = out[torch.arange(stop - start), torch.arange(start, stop)].sum()
            rows.append(torch.autograd.grad(picked, h)[0])
            bias = out[0].detach()
    assert bias is not None
    weight = torch.cat(rows).flatten(2) if example.ndim > 2 else torch.cat(rows)[:, :, None]
    spread = (weight - weight[:, :, :1]).abs().max() if weight.numel() else weight.new_zeros(())
    uniform = bool(spread <= 1e-6 * weight.abs().max()) if weight.numel() else True
    return ClosedForm(weight.detach(), bias, uniform, output_shape)
