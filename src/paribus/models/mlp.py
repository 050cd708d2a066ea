"""The ``mlp`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.models.left_out import check_left_out
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class MLP(Spec, kind="model/mlp"):
    """A multi-layer perceptron on flattened images or the columns of a table.

    Its sites are ``hidden1``, ``hidden2``, ... and ``fc``.

    Example:
        >>> MLP(widths=[64, 32]).widths
        [64, 32]
    """

    work: ClassVar[str] = "paribus.models.nets.mlp"

    widths: list[int] = field([128, 64], low=1, help="Units of each hidden layer.")
    weights: str | None = field(None, file=True, help="Checkpoint file to start from (.pt, .pth or .safetensors).")
    leave_out: list[str] = field(
        [], unstated=[], help="Modules whose weights are not taken from the file, such as [fc] for a new head."
    )
    untrained: bool = field(
        False, science=False, help="Let experiments examine it with random weights, where nothing gives others."
    )

    def check(self) -> None:
        """Check that there is a hidden layer.

        Raises:
            ConfigError: If ``widths`` is empty.
        """
        if not self.widths:
            raise ConfigError("MLP.widths: needs at least one hidden layer, e.g. [128, 64]")
        check_left_out(self.leave_out, self.weights, "MLP")

    def build(self, *, n_features: int, n_classes: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, n_features, n_classes, generator)
        return made
