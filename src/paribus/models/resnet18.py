"""The ``resnet18`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.models.left_out import check_left_out
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class ResNet18(Spec, kind="model/resnet18"):
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
    weights: str | None = field(None, file=True, help="Checkpoint file to start from (.pt, .pth or .safetensors).")
    leave_out: list[str] = field(
        [], unstated=[], help="Modules whose weights are not taken from the file, such as [fc] for a new head."
    )
    untrained: bool = field(
        False, science=False, help="Let experiments examine it with random weights, where nothing gives others."
    )

    def check(self) -> None:
        """Check that modules are only left out of a file that there is.

        Raises:
            ConfigError: If there is none.
        """
        check_left_out(self.leave_out, self.weights, "ResNet18")

    def build(self, *, in_channels: int, n_classes: int, image_size: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, in_channels, n_classes, generator)
        return made
