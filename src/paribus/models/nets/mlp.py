"""A multi-layer perceptron on flattened inputs."""

from __future__ import annotations

import torch
from torch import nn

from paribus.models.loading import start_from
from paribus.models.mlp import MLP
from paribus.models.nets.initialise import construct


class MLPNet(nn.Module):
    """Layers ``hidden1``, ``hidden2``, ... (linear and ReLU), then ``fc``.

    Args:
        n_inputs: Values of a flattened input.
        n_classes: Number of logits.
        widths: Units of each hidden layer.
    """

    def __init__(self, n_inputs: int, n_classes: int, widths: tuple[int, ...]) -> None:
        """Build the layers; weights are drawn by :func:`paribus.models.nets.initialise.initialise`."""
        super().__init__()
        self.depth = len(widths)
        self.probe_sites = tuple(f"hidden{i}" for i in range(1, self.depth + 1))
        incoming = n_inputs
        for name, outgoing in zip(self.probe_sites, widths, strict=True):
            self.add_module(name, nn.Sequential(nn.Linear(incoming, outgoing), nn.ReLU()))
            incoming = outgoing
        self.fc = nn.Linear(incoming, n_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits ``[n, k]`` of inputs ``[n, ...]``."""
        hidden = torch.flatten(inputs, 1)
        for name in self.probe_sites:
            hidden = self.get_submodule(name)(hidden)
        logits: torch.Tensor = self.fc(hidden)
        return logits


def build(spec: MLP, n_features: int, n_classes: int, generator: torch.Generator) -> nn.Module:
    """Return the network of a spec, with its weights; see :meth:`paribus.models.mlp.MLP.build`."""
    made = construct(lambda: MLPNet(n_features, n_classes, tuple(spec.widths)), generator)
    return start_from(made, spec.weights, spec.leave_out)
