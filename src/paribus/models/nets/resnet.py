"""ResNet-18 (He et al. 2016), with the parameter names of torchvision and timm, so that their checkpoints load."""

from __future__ import annotations

import torch
from torch import nn

from paribus.models.loading import start_from
from paribus.models.nets.initialise import construct
from paribus.models.resnet18 import ResNet18


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        """Build the block; the shortcut is projected where the shape changes (option B of the paper)."""
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.relu = nn.ReLU(inplace=False)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or incoming != outgoing:
            self.downsample = nn.Sequential(
                nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False), nn.BatchNorm2d(outgoing)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the block's output ``[n, outgoing, H / stride, W / stride]``."""
        shortcut = images if self.downsample is None else self.downsample(images)
        hidden = self.relu(self.bn1(self.conv1(images)))
        output: torch.Tensor = self.relu(self.bn2(self.conv2(hidden)) + shortcut)
        return output


class ResNet18Net(nn.Module):
    """The 18-layer residual network.

    Args:
        in_channels: Colour channels of the images.
        n_classes: Number of logits.
        width: Channels of the first stage, 64 in the paper; later stages have 2, 4 and 8 times as many.
        stem: ``imagenet`` (7x7 with stride 2, then max pooling) or ``small`` (3x3 with stride 1, no pooling).
    """

    probe_sites = ("layer1", "layer2", "layer3", "avgpool")

    def __init__(self, in_channels: int, n_classes: int, width: int, stem: str) -> None:
        """Build the network; weights are drawn by :func:`paribus.models.nets.initialise.initialise`."""
        super().__init__()
        small = stem == "small"
        kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=False)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(width, width, 1), BasicBlock(width, width, 1))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2), BasicBlock(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(BasicBlock(4 * width, 8 * width, 2), BasicBlock(8 * width, 8 * width, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[n, k]`` of images ``[n, C, H, W]``."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        logits: torch.Tensor = self.fc(torch.flatten(self.avgpool(hidden), 1))
        return logits


def build(spec: ResNet18, in_channels: int, n_classes: int, generator: torch.Generator) -> nn.Module:
    """Return the network of a spec, with its weights; see :meth:`paribus.models.resnet18.ResNet18.build`."""
    made = construct(lambda: ResNet18Net(in_channels, n_classes, spec.width, spec.stem), generator)
    return start_from(made, spec.weights, spec.leave_out)
