"""The ``small_cnn`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.models.from_file import ImageClassifier
from paribus.spec import field


@dataclass(frozen=True)
class SmallCNN(ImageClassifier, kind="model/small_cnn"):
    """Three convolutional stages, average pooling and a linear head; made for images of 16 to 32 pixels.

    Example:
        >>> import torch
        >>> net = SmallCNN(width=8).build(in_channels=3, n_classes=2, image_size=16, generator=torch.Generator())
        >>> net(torch.zeros(5, 3, 16, 16)).shape
        torch.Size([5, 2])
    """

    work: ClassVar[str] = "paribus.models.nets.small_cnn"

    width: int = field(16, low=1, help="Channels of the first stage; later ones have 2 and 4 times as many.")
    norm: str = field("none", choices=("batch", "group", "none"), help="Normalisation after each convolution.")
