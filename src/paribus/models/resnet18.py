"""The ``resnet18`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.models.from_file import ImageClassifier
from paribus.spec import field


@dataclass(frozen=True)
class ResNet18(ImageClassifier, kind="model/resnet18"):
    """ResNet-18 with the parameter names of torchvision and timm.

    Example:
        >>> ResNet18().weights is None
        True
    """

    work: ClassVar[str] = "paribus.models.nets.resnet"

    width: int = field(64, low=1, help="Channels of the first stage (64 in the paper).")
    stem: str = field(
        "imagenet",
        choices=("imagenet", "small"),
        help="First layers: 7x7 stride 2 and max pooling, or 3x3 stride 1 for images below 64 pixels.",
    )
