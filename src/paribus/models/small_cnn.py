"""The ``small_cnn`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.models.left_out import check_left_out
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class SmallCNN(Spec, kind="model/small_cnn"):
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
        check_left_out(self.leave_out, self.weights, "SmallCNN")

    def build(self, *, in_channels: int, n_classes: int, image_size: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, in_channels, n_classes, generator)
        return made
