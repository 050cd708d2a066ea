"""A small convolutional network: three stages, average pooling, a linear head."""

from __future__ import annotations

import torch
from torch import nn

from paribus.models.loading import start_from
from paribus.models.nets.initialise import construct
from paribus.models.small_cnn import SmallCNN


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(min(4, channels), channels)
    return nn.Identity()


def _stage(incoming: int, outgoing: int, norm: str, *, pool: bool) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(incoming, outgoing, 3, padding=1, bias=norm == "none"),
        _norm(norm, outgoing),
        nn.ReLU(),
    ]
    if pool:
        parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts)


class SmallCNNNet(nn.Module):
    """Stages ``layer1``, ``layer2`` (each halves the image) and ``layer3``, then ``avgpool`` and ``fc``.

    Args:
        in_channels: Colour channels of the images.
        n_classes: Number of logits.
        width: Channels of the first stage; the later ones have twice and four times as many.
        norm: ``batch``, ``group`` or ``none``.
    """

    probe_sites = ("layer1", "layer2", "avgpool")

    def __init__(self, in_channels: int, n_classes: int, width: int, norm: str) -> None:
        """Build the stages; weights are drawn by :func:`paribus.models.nets.initialise.initialise`."""
        super().__init__()
        self.layer1 = _stage(in_channels, width, norm, pool=True)
        self.layer2 = _stage(width, 2 * width, norm, pool=True)
        self.layer3 = _stage(2 * width, 4 * width, norm, pool=False)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[n, k]`` of images ``[n, C, H, W]``."""
        hidden = self.layer3(self.layer2(self.layer1(images)))
        logits: torch.Tensor = self.fc(torch.flatten(self.avgpool(hidden), 1))
        return logits


def build(spec: SmallCNN, in_channels: int, n_classes: int, generator: torch.Generator) -> nn.Module:
    """Return the network of a spec, with its weights; see :meth:`paribus.models.small_cnn.SmallCNN.build`."""
    made = construct(lambda: SmallCNNNet(in_channels, n_classes, spec.width, spec.norm), generator)
    return start_from(made, spec.weights, spec.leave_out)
