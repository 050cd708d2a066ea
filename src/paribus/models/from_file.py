"""The base of networks whose weights are drawn, or come from a checkpoint file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class FromFile(Spec):
    """Base of networks whose weights are drawn, or come from a checkpoint file.

    Example:
        >>> from paribus.models.mlp import MLP
        >>> MLP(weights="mlp.pt", leave_out=["fc"]).leave_out
        ['fc']
    """

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
        check_left_out(self.leave_out, self.weights, type(self).__name__)


@dataclass(frozen=True)
class ImageClassifier(FromFile):
    """Base of classifiers of images.

    Example:
        >>> import torch
        >>> from paribus.models.small_cnn import SmallCNN
        >>> net = SmallCNN(width=4).build(in_channels=1, n_classes=3, image_size=8, generator=torch.Generator())
        >>> net(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 3])
    """

    def build(self, *, in_channels: int, n_classes: int, image_size: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, in_channels, n_classes, generator)
        return made


def check_left_out(leave_out: Sequence[str], weights: str | None, where: str) -> None:
    """Check that modules are only left out of a file that there is.

    Raises:
        ConfigError: If there is none.

    Example:
        >>> check_left_out(["fc"], "weights.pt", "ResNet18")
    """
    if leave_out and weights is None:
        raise ConfigError(f"{where}.leave_out: names modules of a file, and there is none; set weights too")
